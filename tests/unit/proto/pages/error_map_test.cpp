#include "proto/pages/error_map.h"

#include <gtest/gtest.h>

namespace rotor {
namespace {

v1::ModuleReport module(const std::string& name, double error, int64_t tokens = 0) {
  v1::ModuleReport report;
  report.set_name(name);
  report.set_relative_error(error);
  report.set_tokens(tokens);
  return report;
}

TEST(ModulePlace, IsTheFirstNumberAndWhatFollowsWithoutNumbers) {
  const ModulePlace expert = module_place("model.layers.3.mlp.experts.17.down_proj");
  EXPECT_EQ(expert.layer, 3);
  EXPECT_EQ(expert.kind, "mlp.experts.down_proj");
  EXPECT_EQ(module_place("language_model.model.layers.12.self_attn.q_proj").kind,
            "self_attn.q_proj");
  EXPECT_FALSE(module_place("lm_head").layer.has_value());
  EXPECT_FALSE(module_place("model.layers.99999999999999999999.up").layer.has_value());
}

TEST(ErrorMap, GathersTheExpertsOfALayer) {
  const std::vector<v1::ModuleReport> modules = {
      module("layers.0.q", 0.5), module("layers.1.experts.0.up", 0.1, 7),
      module("layers.1.experts.1.up", 0.3, 2), module("layers.1.q", 0.25), module("head", 1)};
  const ErrorMap map = error_map(modules);
  EXPECT_EQ(map.kinds, (std::vector<std::string>{"q", "experts.up"}));
  EXPECT_EQ(map.layers, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(map.cells[0][1].modules, 0);
  EXPECT_EQ(map.cells[1][0].modules, 1);
  const ErrorCell& experts = map.cells[1][1];
  EXPECT_EQ(experts.modules, 2);
  EXPECT_DOUBLE_EQ(experts.mean, 0.2);
  EXPECT_EQ(experts.worst->name(), "layers.1.experts.1.up");
  EXPECT_EQ(experts.least_tokens, 2);
  EXPECT_EQ(experts.most_tokens, 7);
}

}  // namespace
}  // namespace rotor
