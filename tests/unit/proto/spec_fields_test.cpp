#include "proto/spec_fields.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

TEST(SpecFields, SetsEveryTypeByText) {
  v1::JobSpec spec;
  ASSERT_OK(set_field(&spec, setting("format"), "mxfp4"));
  ASSERT_OK(set_field(&spec, setting("act_order"), "off"));
  ASSERT_OK(set_field(&spec, setting("damping"), "0.02"));
  ASSERT_OK(set_field(&spec, setting("plan.lanes"), "4"));
  ASSERT_OK(set_field(&spec, setting("calibration.seed"), "18446744073709551615"));
  ASSERT_OK(set_field(&spec, setting("max_shard_size"), "7000000"));
  ASSERT_OK(set_field(&spec, setting("ignore"), "a.*"));
  ASSERT_OK(set_field(&spec, setting("ignore"), "b"));
  v1::JobSpec expected;
  expected.set_format(v1::FORMAT_MXFP4);
  expected.set_act_order(false);
  expected.set_damping(0.02);
  expected.mutable_plan()->set_lanes(4);
  expected.mutable_calibration()->set_seed(UINT64_MAX);
  expected.set_max_shard_size(7000000);
  expected.add_ignore("a.*");
  expected.add_ignore("b");
  EXPECT_EQ(spec.SerializeAsString(), expected.SerializeAsString());
}

TEST(SpecFields, RefusesWhatIsNoValue) {
  v1::JobSpec spec;
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"format", "fp5", "nvfp4|mxfp4|int4"},      {"act_order", "maybe", "on|off"},
      {"damping", "much", "not a number"},        {"plan.lanes", "1.5", "not a whole number"},
      {"plan.lanes", "99999999999", "too large"}, {"calibration.seed", "-1", "0 or more"},
      {"calibration.seed", "", "whole number"}};
  for (const auto& [path, text, words] : cases) {
    EXPECT_FAILS(set_field(&spec, setting(path), text), Code::kInvalidArgument, "BAD_SPEC", words);
    EXPECT_FALSE(is_given(spec, setting(path))) << path;
  }
}

TEST(SpecFields, GivenIsWhatTheSpecSays) {
  v1::JobSpec spec;
  EXPECT_FALSE(is_given(spec, setting("damping")));
  EXPECT_FALSE(is_given(spec, setting("calibration.sequences")));
  EXPECT_FALSE(is_given(spec, setting("ignore")));
  spec.set_damping(0.0);
  spec.mutable_calibration();
  EXPECT_TRUE(is_given(spec, setting("damping")));
  EXPECT_FALSE(is_given(spec, setting("calibration.sequences")));
}

TEST(SpecFields, ChecksWhatIsGivenAlone) {
  v1::JobSpec spec;
  EXPECT_OK(check_field(spec, setting("damping")));
  spec.set_damping(0.0);
  EXPECT_FAILS(check_field(spec, setting("damping")), Code::kInvalidArgument, "BAD_SPEC",
               "spec.damping");
  spec.set_method(static_cast<v1::Method>(77));
  EXPECT_FAILS(check_field(spec, setting("method")), Code::kInvalidArgument, "BAD_SPEC",
               "unknown value 77");
}

}  // namespace
}  // namespace rotor
