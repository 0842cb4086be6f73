#include "quant/checkpoint/safetensors_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

std::vector<TensorSpec> specs() {
  return {{"b", DType::kU8, {3}},
          {"a", DType::kBf16, {2, 2}},
          {"z", DType::kF64, {1}},
          {"c", DType::kF32, {}},
          {"b2", DType::kF16, {1}}};
}

TEST(SafetensorsPlan, OrdersByElementSizeThenName) {
  const auto plan = plan_safetensors(specs());
  ASSERT_OK(plan);
  std::vector<std::string> names;
  for (const auto& entry : plan->header.entries) {
    names.push_back(entry.spec.name);
    EXPECT_EQ((plan->header.data_offset + entry.begin) % dtype_size(entry.spec.dtype), 0);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"z", "c", "a", "b2", "b"}));
  EXPECT_EQ(plan->file_size, plan->header.data_offset + 8 + 4 + 8 + 2 + 3);
  EXPECT_EQ(plan->header_bytes.size() % 8, 0U);
}

TEST(SafetensorsPlan, BytesDoNotDependOnTheOrderGiven) {
  auto reversed = specs();
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(plan_safetensors(specs())->header_bytes, plan_safetensors(reversed)->header_bytes);
}

TEST(SafetensorsPlan, WritesWhatTheReaderReads) {
  auto with_odd_name = specs();
  with_odd_name.push_back({"quote\" slash\\ tab\t \xc3\xa4", DType::kI64, {0, 5}});
  const auto plan = plan_safetensors(with_odd_name);
  ASSERT_OK(plan);
  const auto header = parse_safetensors_header(std::string_view(plan->header_bytes).substr(8),
                                               plan->file_size, "f");
  ASSERT_OK(header);
  ASSERT_EQ(header->entries.size(), plan->header.entries.size());
  for (size_t i = 0; i < header->entries.size(); ++i) {
    EXPECT_EQ(header->entries[i].spec, plan->header.entries[i].spec);
    EXPECT_EQ(header->entries[i].begin, plan->header.entries[i].begin);
  }
  EXPECT_EQ(header->data_offset, plan->header.data_offset);
  EXPECT_EQ(header->metadata, plan->header.metadata);
}

TEST(SafetensorsPlan, RefusesWhatCannotBeRead) {
  const auto refused = [](std::vector<TensorSpec> list, const std::string& words) {
    EXPECT_FAILS(plan_safetensors(std::move(list)), Code::kInvalidArgument, "BAD_TENSOR_SPEC",
                 words);
  };
  refused({{"__metadata__", DType::kU8, {1}}}, "keeps this name");
  refused({{"a", DType::kU8, {1}}, {"b", DType::kU8, {1}}, {"a", DType::kF32, {1}}}, "twice");
  refused({{"\xff", DType::kU8, {1}}}, "not UTF-8");
  refused({{"a", DType::kF32, {int64_t{1} << 47}}}, "2^48");
  refused({{"a", DType::kU8, {-1}}}, "2^48");
  refused({{"a", DType::kU8, {(int64_t{1} << 48) - 1}}, {"b", DType::kU8, {1}}}, "2^48");
}

}  // namespace
}  // namespace rotor
