#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "quant/checkpoint/verify.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/quant/checkpoint/small_checkpoint.h"

namespace rotor {
namespace {

using Counts = std::set<int64_t>;

/// The heads that verify finds in a checkpoint whose config.json has these keys, too.
Heads heads_with(const nlohmann::json& keys) {
  const testing::TemporaryDirectory dir;
  EXPECT_OK(testing::write_small_checkpoint(dir.path(), {}));
  auto config = nlohmann::json::parse(testing::file_bytes(dir / "config.json"));
  for (const char* key : {"num_attention_heads", "num_key_value_heads"}) {
    config.erase(key);
  }
  config.update(keys);
  dir.put("config.json", config.dump());
  SerialParallel parallel;
  const auto report = verify_checkpoint(posix_file_system(), dir.path(), parallel);
  EXPECT_OK(report);
  return report->served.heads;
}

TEST(VerifyServed, ReadsTheHeadsThatGpusShareOut) {
  const Heads dense = heads_with({{"num_attention_heads", 28}, {"num_key_value_heads", 4}});
  EXPECT_EQ(dense.cut, Counts{28});
  EXPECT_EQ(dense.shared, Counts{4});
  const Heads wrapped = heads_with({{"num_attention_heads", 7},
                                    {"text_config",
                                     {{"num_attention_heads", 16},
                                      {"num_key_value_heads", 2},
                                      {"linear_num_key_heads", 8},
                                      {"linear_num_value_heads", 32}}}});
  EXPECT_EQ(wrapped.cut, (Counts{8, 16, 32}));
  EXPECT_EQ(wrapped.shared, Counts{2});
  const Heads latent =
      heads_with({{"num_attention_heads", 64}, {"num_key_value_heads", 64}, {"kv_lora_rank", 512}});
  EXPECT_EQ(latent.cut, Counts{64});
  EXPECT_TRUE(latent.shared.empty());
}

TEST(VerifyServed, TakesNoHeadsFromWhatIsNoNumber) {
  const Heads odd = heads_with({{"num_attention_heads", "28"}, {"num_key_value_heads", 0}});
  EXPECT_TRUE(odd.cut.empty());
  EXPECT_TRUE(odd.shared.empty());
}

}  // namespace
}  // namespace rotor
