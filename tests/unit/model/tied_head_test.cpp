#include "model/tied_head.h"

#include <gtest/gtest.h>

#include "quant/checkpoint/memory_source.h"
#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

/// Of a model of two words whose embedding is zero.
Status check(bool tied, const StoredTensor& head) {
  Architecture architecture;
  architecture.embedding = "model.embed_tokens.weight";
  architecture.head = "lm_head";
  architecture.head_weight = tied ? architecture.embedding : "lm_head.weight";
  MemorySource source;
  source.add({{architecture.embedding, DType::kBf16, {2, 2}}, std::vector<uint8_t>(8, 0)});
  source.add(head);
  return check_tied_head(architecture, source);
}

TEST(TiedHead, TakesAStoredHeadThatIsTheEmbeddingAndNoOther) {
  const TensorSpec spec{"lm_head.weight", DType::kBf16, {2, 2}};
  const StoredTensor other{spec, {0, 0, 0, 0, 0, 0, 0, 1}};
  EXPECT_OK(check(true, {spec, std::vector<uint8_t>(8, 0)}));
  EXPECT_FAILS(check(true, other), Code::kInvalidArgument, "UNTIED_HEAD",
               "set tie_word_embeddings to false");
  EXPECT_FAILS(check(true, {{spec.name, DType::kF32, {2, 2}}, std::vector<uint8_t>(16, 0)}),
               Code::kInvalidArgument, "UNTIED_HEAD", "lm_head.weight");
  EXPECT_OK(check(false, other));
}

}  // namespace
}  // namespace rotor
