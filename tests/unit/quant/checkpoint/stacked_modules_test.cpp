#include "quant/checkpoint/stacked_modules.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

/// Two experts with two linears of three rows of two bytes; byte: expert, linear, row, column.
StackedTensor stack() {
  return {{"s_blocks", DType::kU8, {2, 6, 2}}, {"0.gate", "0.up", "1.gate", "1.up"}, 2};
}

std::map<std::string, std::vector<uint8_t>> pieces() {
  std::map<std::string, std::vector<uint8_t>> made;
  uint8_t number = 0;
  for (const std::string& name : stack().pieces) {
    for (uint8_t row = 0; row < 3; ++row) {
      for (uint8_t column = 0; column < 2; ++column) {
        made[name].push_back(static_cast<uint8_t>(number * 16 + row * 4 + column));
      }
    }
    ++number;
  }
  return made;
}

TEST(StackedModules, RowsOfAnExpertsLinearsTakeTurns) {
  const auto made = pieces();
  std::vector<uint8_t> whole(24, 0xFF);
  ASSERT_OK(write_stacked(
      stack(),
      [&](const std::string& name) -> Result<std::vector<uint8_t>> { return made.at(name); },
      [&](int64_t offset, std::span<const uint8_t> bytes) {
        std::copy(bytes.begin(), bytes.end(), whole.begin() + offset);
        return Status();
      }));
  EXPECT_EQ(whole, (std::vector<uint8_t>{0x00, 0x01, 0x10, 0x11, 0x04, 0x05, 0x14, 0x15,
                                         0x08, 0x09, 0x18, 0x19, 0x20, 0x21, 0x30, 0x31,
                                         0x24, 0x25, 0x34, 0x35, 0x28, 0x29, 0x38, 0x39}));
}

TEST(StackedModules, APieceOfAnotherSizeIsNoPiece) {
  const auto read = [](const std::string&) -> Result<std::vector<uint8_t>> {
    return std::vector<uint8_t>(5);
  };
  const auto write = [](int64_t, std::span<const uint8_t>) { return Status(); };
  EXPECT_FAILS(write_stacked(stack(), read, write), Code::kInternal, "", "0.gate has 5 bytes");
}

TEST(StackedModules, AStackStandsWhereItsFirstPieceStood) {
  std::vector<TensorSpec> tensors;
  for (const char* name : {"before", "0.gate", "between", "0.up", "1.gate", "1.up", "after"}) {
    tensors.push_back({name, DType::kU8, {3, 2}});
  }
  std::vector<std::string> names;
  for (const TensorSpec& tensor : with_stacked({stack()}, tensors)) {
    names.push_back(tensor.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"before", "s_blocks", "between", "after"}));
}

}  // namespace
}  // namespace rotor
