#include "worker/model/tensor_loader.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "quant/checkpoint/memory_source.h"
#include "tests/support/status_matchers.h"

namespace rotor::worker {
namespace {

constexpr int64_t kWidth = int64_t{1} << 20;  // F32: a row of 4 MiB, a step of 16 rows
constexpr int64_t kRows = 21;

MemorySource large_tensor() {
  std::vector<uint8_t> bytes(static_cast<size_t>(kRows * kWidth * 4));
  uint32_t state = 1;
  for (uint8_t& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<uint8_t>(state >> 24U);
  }
  MemorySource source;
  source.add({{"large", DType::kF32, {kRows, kWidth}}, std::move(bytes)});
  return source;
}

TEST(TensorLoader, FillsRowsInStepsAndPieces) {
  const MemorySource source = large_tensor();
  const std::vector<uint8_t> expected = read_tensor(source, "large").value();
  const std::unique_ptr<Backend> backend = make_cpu_backend(1);
  TensorLoader loader(source);
  for (const int64_t begin : {int64_t{0}, int64_t{3}, int64_t{20}}) {
    const Tensor rows = backend->allocate(DType::kF32, kRows - begin, kWidth).value();
    ASSERT_OK(loader.load(*backend, "large", begin, rows));
    std::vector<uint8_t> got(rows.bytes());
    ASSERT_OK(backend->download(rows, got.data(), got.size()));
    const std::vector<uint8_t> tail(expected.end() - std::ssize(got), expected.end());
    EXPECT_TRUE(got == tail) << "from row " << begin;
  }
}

TEST(ReadPieces, TellsAnErrorAmongMany) {
  const MemorySource source = large_tensor();
  std::vector<char> memory(static_cast<size_t>(kRows * kWidth * 4));
  std::vector<ReadPiece> pieces;
  append_pieces("large", 0, std::ssize(memory), memory.data(), &pieces);
  EXPECT_GT(pieces.size(), 8U);
  EXPECT_OK(read_pieces(source, pieces));
  pieces[5].offset = std::ssize(memory);
  EXPECT_EQ(read_pieces(source, pieces).code(), Code::kOutOfRange);
  EXPECT_OK(read_pieces(source, {}));
}

}  // namespace
}  // namespace rotor::worker
