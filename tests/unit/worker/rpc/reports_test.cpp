#include "worker/rpc/reports.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <set>

#include "worker/pipeline/result_fields.h"

namespace rotor::worker {
namespace {

TEST(Reports, AModulesResultHasTheFieldsOfTheApi) {
  std::set<std::string> names;
  const ModuleResult result;
  each_field(result, [&](const char* name, const auto& /*value*/) { names.insert(name); });
  std::set<std::string> fields;
  const auto* type = v1::ModuleReport::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    fields.insert(type->field(i)->name());
  }
  EXPECT_EQ(names, fields);
}

TEST(Reports, CarryEveryValue) {
  ModuleResult result;
  result.name = "model.layers.0.mlp.up_proj";
  result.relative_error = 0.25;
  result.rtn_relative_error = 0.5;
  result.damping = 0.01;
  result.rotation = 16;
  result.method = Method::kMrGptq;
  result.tokens = int64_t{1} << 40;
  result.fallbacks = {{"DAMPING_RAISED", "to 0.02"}};
  const v1::ModuleReport report = to_report(result);
  EXPECT_EQ(report.name(), result.name);
  EXPECT_EQ(report.relative_error(), 0.25);
  EXPECT_EQ(report.rtn_relative_error(), 0.5);
  EXPECT_EQ(report.damping(), 0.01);
  EXPECT_EQ(report.rotation(), 16);
  EXPECT_EQ(report.method(), "mr-gptq");
  EXPECT_EQ(report.tokens(), int64_t{1} << 40);
  ASSERT_EQ(report.fallbacks_size(), 1);
  EXPECT_EQ(report.fallbacks(0).kind(), "DAMPING_RAISED");
  EXPECT_EQ(report.fallbacks(0).detail(), "to 0.02");
}

TEST(Reports, SayOfARankThatWasNotHeardWhoItIsAlone) {
  RankStatus heard;
  heard.identity.host = "a";
  heard.heard = true;
  heard.beat.memory_bytes = 77;
  RankStatus silent;
  silent.identity.host = "b";
  const std::vector<v1::RankState> states = to_states({heard, silent});
  EXPECT_EQ(states[0].memory_bytes(), 77);
  EXPECT_TRUE(states[0].has_wait_share());
  EXPECT_EQ(states[1].host(), "b");
  EXPECT_EQ(states[1].rank(), 1);
  EXPECT_FALSE(states[1].has_memory_bytes() || states[1].has_cpu_cores() ||
               states[1].has_wait_share());
}

}  // namespace
}  // namespace rotor::worker
