#include "worker/pipeline/manifest.h"

#include <gtest/gtest.h>

namespace rotor::worker {
namespace {

TEST(Manifest, ComesBackAsItWas) {
  const std::vector<UploadedTensor> sent = {
      {{"model.layers.0.mlp.down_proj.weight_packed", DType::kU8, {256, 384}}, "aa11"},
      {{"model.layers.0.mlp.down_proj.weight_global_scale", DType::kF32, {1}}, "bb22"},
      {{"scalar", DType::kI64, {}}, "cc33"},
  };
  const std::vector<UploadedTensor> got = parse_manifest(serialize_manifest(sent));
  ASSERT_EQ(got.size(), sent.size());
  for (size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(got[i].spec, sent[i].spec);
    EXPECT_EQ(got[i].sha256, sent[i].sha256);
  }
}

TEST(Manifest, OfNothingIsEmpty) {
  EXPECT_TRUE(parse_manifest(serialize_manifest({})).empty());
}

}  // namespace
}  // namespace rotor::worker
