#include "proto/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "proto/convert.h"
#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

v1::JobSpec whole_spec() {
  v1::JobSpec spec;
  spec.set_format(v1::FORMAT_NVFP4);
  spec.add_ignore("a.*");
  v1::Override& change = *spec.add_overrides();
  change.set_pattern("b");
  change.set_damping(0.05);
  spec.mutable_calibration()->add_files("c.txt");
  return with_defaults(spec).value();
}

TEST(SpecJson, HasEverySettingUnderTheKeyOfTheContract) {
  const Json json = spec_json(whole_spec());
  const Json expected = {{"model", ""},
                         {"output", ""},
                         {"calibration",
                          {{"files", {"c.txt"}},
                           {"sequences", 128},
                           {"seq_len", 2048},
                           {"seed", 0},
                           {"mode", "packed"}}},
                         {"format", "nvfp4"},
                         {"method", "mr-gptq"},
                         {"activations", "a16"},
                         {"rotation", 0},
                         {"merged_rotation", 0},
                         {"group_size", 0},
                         {"scale_search", "mse"},
                         {"act_order", true},
                         {"damping", 0.01},
                         {"refine_passes", 2},
                         {"least_expert_share", 0.005},
                         {"propagate", "quantized"},
                         {"sequential", "stage"},
                         {"layout", "compressed-tensors"},
                         {"ignore", {"a.*"}},
                         {"overrides", Json::array({{{"pattern", "b"}, {"damping", 0.05}}})},
                         {"max_fallback_share", 1.0},
                         {"lanes", 8},
                         {"micro_batch_sequences", 0},
                         {"max_shard_size", 5'000'000'000}};
  for (const auto& [key, value] : expected.items()) {
    EXPECT_EQ(json.value(key, Json("missing")), value) << key;
  }
  EXPECT_FALSE(json.contains("evaluation"));
}

TEST(SpecJson, AnEvaluationIsAnObjectOfItsOwn) {
  v1::JobSpec spec = whole_spec();
  spec.mutable_evaluation()->add_files("e.txt");
  spec.mutable_evaluation()->set_seq_len(64);
  const Json json = spec_json(spec);
  EXPECT_EQ(json["evaluation"], (Json{{"files", {"e.txt"}}, {"sequences", 0}, {"seq_len", 64}}));
}

TEST(ByteSettings, AreThoseThatDecideBytesByTheirKeys) {
  const Json json = byte_settings_json(whole_spec());
  for (const char* key : {"format", "rotation", "refine_passes", "least_expert_share", "sequences",
                          "calibration_mode", "lanes", "overrides"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  for (const char* key : {"max_shard_size", "max_fallback_share", "calibration_files", "files"}) {
    EXPECT_FALSE(json.contains(key)) << key;
  }
}

TEST(MessageJson, WalksFieldsListsAndMessages) {
  v1::ModuleReport module;
  module.set_name("m");
  module.set_relative_error(0.25);
  module.set_tokens(int64_t{1} << 53);
  module.add_fallbacks()->set_kind("DAMPING_RAISED");
  EXPECT_EQ(message_json(module),
            (Json{{"name", "m"},
                  {"relative_error", 0.25},
                  {"rtn_relative_error", 0.0},
                  {"damping", 0.0},
                  {"rotation", 0},
                  {"method", ""},
                  {"fallbacks", Json::array({{{"kind", "DAMPING_RAISED"}, {"detail", ""}}})},
                  {"tokens", int64_t{1} << 53}}));
}

TEST(MessageJson, LeavesOutWhatIsNotSet) {
  v1::Override change;
  change.set_pattern("p");
  EXPECT_EQ(message_json(change), (Json{{"pattern", "p"}}));
  change.set_act_order(false);
  EXPECT_EQ(message_json(change), (Json{{"pattern", "p"}, {"act_order", false}}));
}

}  // namespace
}  // namespace rotor
