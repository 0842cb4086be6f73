#include "quant/checkpoint/linear_names.h"

#include <gtest/gtest.h>

namespace rotor {
namespace {

TEST(LinearNames, AreThoseOfMatricesThatAreNoEmbeddings) {
  const auto linear = [](const std::string& name, std::vector<int64_t> shape) {
    return linear_of({name, DType::kBf16, std::move(shape)});
  };
  EXPECT_EQ(linear("model.layers.61.eh_proj.weight", {4, 8}), "model.layers.61.eh_proj");
  EXPECT_EQ(linear("model.layers.61.shared_head.head.weight", {4, 8}),
            "model.layers.61.shared_head.head");
  EXPECT_EQ(linear("model.layers.61.embed_tokens.weight", {4, 8}), "");
  EXPECT_EQ(linear("transformer.wte.weight", {4, 8}), "");
  EXPECT_EQ(linear("model.norm.weight", {4}), "");
  EXPECT_EQ(linear("model.conv.weight", {4, 8, 2}), "");
  EXPECT_EQ(linear("q_proj.weight_packed", {4, 8}), "");
  EXPECT_EQ(linear("q_proj.bias", {4, 8}), "");
}

}  // namespace
}  // namespace rotor
