#include <gtest/gtest.h>

#include "proto/convert.h"
#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

v1::JobSpec request(v1::Format format) {
  v1::JobSpec spec;
  spec.set_format(format);
  spec.mutable_calibration()->add_files("c.txt");
  return spec;
}

v1::JobSpec settled(const v1::JobSpec& spec) {
  return with_defaults(spec).value();
}

TEST(Defaults, FollowTheFormat) {
  EXPECT_EQ(settled(request(v1::FORMAT_NVFP4)).method(), v1::METHOD_MR_GPTQ);
  EXPECT_EQ(settled(request(v1::FORMAT_NVFP4)).group_size(), 0);
  EXPECT_EQ(settled(request(v1::FORMAT_MXFP4)).method(), v1::METHOD_MR_GPTQ);
  EXPECT_EQ(settled(request(v1::FORMAT_INT4)).method(), v1::METHOD_GPTQ);
  EXPECT_EQ(settled(request(v1::FORMAT_INT4)).group_size(), 128);
}

TEST(Defaults, FollowTheMethod) {
  v1::JobSpec spec = request(v1::FORMAT_NVFP4);
  EXPECT_TRUE(settled(spec).act_order());
  spec.set_method(v1::METHOD_RTN);
  EXPECT_FALSE(settled(spec).act_order());
}

TEST(Defaults, LeaveToTheModelWhatDependsOnIt) {
  const v1::JobSpec spec = settled(request(v1::FORMAT_MXFP4));
  EXPECT_FALSE(spec.has_rotation());
  EXPECT_EQ(spec.merged_rotation(), 0);
  EXPECT_EQ(spec.plan().micro_batch_sequences(), 0);
}

TEST(Defaults, AreThoseOfThePlainOptions) {
  const Result<QuantOptions> options = to_options(settled(request(v1::FORMAT_NVFP4)), DType::kBf16);
  ASSERT_OK(options);
  const QuantOptions plain;
  EXPECT_EQ(options->damping, plain.damping);
  EXPECT_EQ(options->refine_passes, plain.refine_passes);
  EXPECT_EQ(options->lanes, plain.lanes);
  EXPECT_EQ(options->method, plain.method);
  EXPECT_EQ(options->scheme, plain.scheme);
}

TEST(Defaults, LeaveWhatIsGiven) {
  v1::JobSpec spec = request(v1::FORMAT_INT4);
  spec.set_rotation(32);
  spec.set_act_order(false);
  spec.set_damping(0.5);
  spec.set_refine_passes(0);
  spec.mutable_calibration()->set_sequences(3);
  const v1::JobSpec full = settled(spec);
  EXPECT_EQ(full.rotation(), 32);
  EXPECT_FALSE(full.act_order());
  EXPECT_EQ(full.damping(), 0.5);
  EXPECT_EQ(full.refine_passes(), 0);
  EXPECT_EQ(full.calibration().sequences(), 3);
  EXPECT_EQ(full.calibration().seq_len(), 2048);
}

TEST(Defaults, OfAnEvaluationAreTheCalibrations) {
  v1::JobSpec spec = request(v1::FORMAT_NVFP4);
  EXPECT_FALSE(settled(spec).has_evaluation());
  spec.mutable_calibration()->set_seq_len(512);
  spec.mutable_evaluation()->add_files("e.txt");
  EXPECT_EQ(settled(spec).evaluation().seq_len(), 512);
  EXPECT_EQ(settled(spec).evaluation().sequences(), 0);
}

TEST(Defaults, RefuseByField) {
  v1::JobSpec spec;
  EXPECT_FAILS(with_defaults(spec), Code::kInvalidArgument, "BAD_SPEC", "spec.format");
  spec = request(v1::FORMAT_NVFP4);
  spec.mutable_calibration()->clear_files();
  EXPECT_FAILS(with_defaults(spec), Code::kInvalidArgument, "BAD_SPEC", "spec.calibration.files");
  spec = request(v1::FORMAT_NVFP4);
  spec.mutable_plan()->set_lanes(-1);
  EXPECT_FAILS(with_defaults(spec), Code::kInvalidArgument, "BAD_SPEC", "spec.plan.lanes: -1");
  spec = request(v1::FORMAT_NVFP4);
  spec.mutable_evaluation()->add_files("e.txt");
  spec.set_propagate(v1::PROPAGATE_ORIGINAL);
  EXPECT_FAILS(with_defaults(spec), Code::kInvalidArgument, "BAD_SPEC", "spec.evaluation");
}

TEST(Options, RefuseOverridesByPlace) {
  v1::JobSpec spec = request(v1::FORMAT_NVFP4);
  spec.add_overrides()->set_pattern("a");
  spec.mutable_overrides(0)->set_damping(2.0);
  EXPECT_FAILS(to_options(settled(spec), DType::kBf16), Code::kInvalidArgument, "BAD_SPEC",
               "overrides[0]");
  spec.mutable_overrides(0)->set_damping(0.1);
  spec.add_overrides();
  EXPECT_FAILS(to_options(settled(spec), DType::kBf16), Code::kInvalidArgument, "BAD_SPEC",
               "overrides[1].pattern");
}

TEST(Options, RefuseASpecWithoutItsDefaults) {
  EXPECT_FAILS(to_options(request(v1::FORMAT_NVFP4), DType::kBf16), Code::kInvalidArgument,
               "BAD_SPEC", "rtn|gptq|mr-gptq");
}

}  // namespace
}  // namespace rotor
