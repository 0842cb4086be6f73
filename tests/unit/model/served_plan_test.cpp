#include "model/served_plan.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using Counts = std::set<int64_t>;

Heads heads_of(const std::string& family, const nlohmann::json& keys) {
  const auto config = testing::parse_config(testing::family_config(family, keys));
  EXPECT_OK(config);
  const Architecture architecture = describe(*config).value();
  ModelPlan plan;
  plan.architecture = architecture;
  return served_checkpoint(plan).heads;
}

TEST(ServedPlan, KnowsTheHeadsThatGpusShareOut) {
  const Heads dense = heads_of("llama", nlohmann::json::object());
  EXPECT_EQ(dense.cut, Counts{4});
  EXPECT_EQ(dense.shared, Counts{2});
}

TEST(ServedPlan, KnowsThoseOfDeltaNetsToo) {
  const Heads hybrid =
      heads_of("qwen3_5_text", {{"layer_types", {"linear_attention", "full_attention"}},
                                {"head_dim", 16},
                                {"linear_num_key_heads", 8},
                                {"linear_num_value_heads", 24},
                                {"linear_key_head_dim", 4},
                                {"linear_value_head_dim", 4}});
  EXPECT_EQ(hybrid.cut, (Counts{4, 8, 24}));
  EXPECT_EQ(hybrid.shared, Counts{2});
}

}  // namespace
}  // namespace rotor
