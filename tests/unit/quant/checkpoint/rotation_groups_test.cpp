#include "quant/checkpoint/rotation_groups.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace rotor {
namespace {

TEST(RotationGroups, OneBlockIgnoresWhatIsNotRotated) {
  QuantizationInfo info;
  info.modules = {{"a", 1, 32, 0}, {"b", 1, 32, 16}, {"c", 1, 32, 16}};
  info.ignored = {"lm_head"};
  const auto groups = rotation_groups(info);
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].name, "v");
  EXPECT_EQ(groups[0].block, 16);
  EXPECT_EQ(groups[0].first_module, "b");
  EXPECT_EQ(groups[0].targets, std::vector<std::string>{"Linear"});
  EXPECT_EQ(groups[0].ignore, (std::vector<std::string>{"lm_head", "a"}));
}

TEST(RotationGroups, SmallerBlocksGetTheirOwnTransform) {
  QuantizationInfo info;
  info.modules = {{"a", 1, 32, 16}, {"b", 1, 128, 128}, {"c", 1, 48, 16}};
  const auto groups = rotation_groups(info);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].name, "v");
  EXPECT_EQ(groups[0].block, 128);
  EXPECT_EQ(groups[0].first_module, "b");
  EXPECT_EQ(groups[0].ignore, (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(groups[1].name, "v16");
  EXPECT_EQ(groups[1].first_module, "a");
  EXPECT_EQ(groups[1].targets, (std::vector<std::string>{"a", "c"}));
  EXPECT_TRUE(groups[1].ignore.empty());
}

TEST(RotationGroups, NoneWithoutRotation) {
  QuantizationInfo info;
  info.modules = {{"a", 1, 32, 0}};
  EXPECT_TRUE(rotation_groups(info).empty());
}

TEST(RotationGroups, SylvesterMatrixByItsRecursion) {
  const StoredTensor tensor = rotation_matrix({"v", 32}, "m.v_input.weight");
  EXPECT_EQ(tensor.spec, (TensorSpec{"m.v_input.weight", DType::kF64, {32, 32}}));
  std::vector<double> h(32 * 32);
  ASSERT_EQ(tensor.bytes.size(), h.size() * 8);
  std::memcpy(h.data(), tensor.bytes.data(), tensor.bytes.size());
  // H_1 = 1; H_2n = [H_n H_n; H_n -H_n].
  EXPECT_EQ(h[0], 1.0);
  for (size_t n = 1; n < 32; n *= 2) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        const double v = h[i * 32 + j];
        EXPECT_EQ(h[i * 32 + j + n], v);
        EXPECT_EQ(h[(i + n) * 32 + j], v);
        EXPECT_EQ(h[(i + n) * 32 + j + n], -v);
      }
    }
  }
}

TEST(RotationGroups, NormalizedMatrixHasTheSignsOfTheOther) {
  const StoredRotation rotation = {"h", 32, {}, {}, RotationStorage::kNormalizedEach};
  const StoredTensor tensor = rotation_matrix(rotation, "m.h");
  EXPECT_EQ(tensor.spec, (TensorSpec{"m.h", DType::kBf16, {32, 32}}));
  const StoredTensor signs = rotation_matrix({"v", 32}, "m.v_input.weight");
  ASSERT_EQ(tensor.bytes.size() * 4, signs.bytes.size());
  for (size_t i = 0; i < 32 * 32; ++i) {
    uint16_t entry = 0;
    double sign = 0.0;
    std::memcpy(&entry, tensor.bytes.data() + i * 2, 2);
    std::memcpy(&sign, signs.bytes.data() + i * 8, 8);
    // 1 / sqrt(32) = 0.17678, of which BF16 keeps 8 bits: 0x3e35.
    EXPECT_EQ(entry, sign > 0 ? 0x3e35 : 0xbe35) << i;
  }
}

}  // namespace
}  // namespace rotor
