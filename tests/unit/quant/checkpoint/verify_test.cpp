#include "quant/checkpoint/verify.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "quant/base/sha256.h"
#include "quant/engines/serving.h"
#include "quant/format/codes.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/quant/checkpoint/small_checkpoint.h"
#include "tests/unit/quant/checkpoint/verified.h"

namespace rotor {
namespace {

using testing::SmallCheckpointOptions;
using testing::TemporaryDirectory;
using testing::text_of;
using testing::verified;

std::vector<SmallCheckpointOptions> all_kinds() {
  std::vector<SmallCheckpointOptions> kinds;
  for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
    for (const Activations activations : {Activations::kA16, Activations::kA4}) {
      for (const int rotation : {0, 64}) {
        if (format != Format::kInt4 || activations == Activations::kA16) {
          kinds.push_back({format, activations, rotation, rotation / 2, 100'000});
        }
      }
    }
  }
  for (const Format format : {Format::kNvfp4, Format::kMxfp4}) {
    kinds.push_back(testing::small_fp_quant(format));
  }
  for (const Activations activations : {Activations::kA16, Activations::kA4}) {
    kinds.push_back(testing::small_modelopt(activations));
  }
  return kinds;
}

TEST(Verify, FindsNothingWrongWithWhatIsWritten) {
  for (const SmallCheckpointOptions& options : all_kinds()) {
    const TemporaryDirectory dir;
    ASSERT_OK(testing::write_small_checkpoint(dir.path(), options));
    const VerifyReport report = verified(dir.path());
    EXPECT_TRUE(report.ok()) << to_string(options.format) << "\n" << text_of(report);
    EXPECT_TRUE(report.quantized);
    EXPECT_EQ(report.scheme.format, options.format);
    EXPECT_EQ(report.activations, options.activations);
    EXPECT_EQ(report.modules.size(), 7U);
    EXPECT_EQ(report.layout, options.layout);
    EXPECT_FALSE(serving_lines(report.served).empty());
    const size_t matrices = options.layout == Layout::kFpQuant ? 7 : options.rotation == 0 ? 0 : 2;
    EXPECT_EQ(report.tensors.size(), 4 + matrices);
  }
}

TEST(Verify, DigestsAreThoseOfTheDequantizedModules) {
  const TemporaryDirectory dir;
  const SmallCheckpointOptions options;
  ASSERT_OK(testing::write_small_checkpoint(dir.path(), options));
  const VerifyReport report = verified(dir.path());
  const QuantizationInfo info = testing::small_info(options);
  for (const QuantizedModule& module : info.modules) {
    std::vector<float> values(static_cast<size_t>(module.rows * module.cols));
    ASSERT_OK(dequantize_rows(testing::small_matrix(module, info), 0, module.rows, values.data()));
    const std::string_view bytes(reinterpret_cast<const char*>(values.data()), values.size() * 4);
    const auto at = report.modules.find(module.name);
    ASSERT_NE(at, report.modules.end()) << module.name;
    EXPECT_EQ(at->second.digest, sha256_hex(bytes)) << module.name;
    EXPECT_EQ(at->second.rotation, module.rotation);
  }
}

TEST(Verify, DoesNotDependOnShardsOrThreads) {
  const TemporaryDirectory one;
  const TemporaryDirectory many;
  ASSERT_OK(testing::write_small_checkpoint(one.path(), {}));
  ASSERT_OK(testing::write_small_checkpoint(many.path(), {.max_shard_bytes = 30'000}));
  const VerifyReport first = verified(one.path());
  const auto pool = make_thread_pool(3);
  const auto second = verify_checkpoint(posix_file_system(), many.path(), *pool);
  ASSERT_OK(second);
  EXPECT_TRUE(second->ok()) << text_of(*second);
  EXPECT_EQ(first.tensors, second->tensors);
  for (const auto& [name, module] : first.modules) {
    EXPECT_EQ(second->modules.at(name).digest, module.digest);
  }
}

TEST(Verify, ReportsAnUnquantizedModelAsSuch) {
  const VerifyReport report = verified(std::string(ROTOR_SOURCE_DIR) + "/demo/model");
  EXPECT_TRUE(report.ok()) << text_of(report);
  EXPECT_FALSE(report.quantized);
  EXPECT_FALSE(report.tensors.empty());
}

using Counts = std::set<int64_t>;

/// The heads that verify finds in a checkpoint whose config.json has these keys, too.
Heads heads_with(const nlohmann::json& keys) {
  const TemporaryDirectory dir;
  EXPECT_OK(testing::write_small_checkpoint(dir.path(), {}));
  auto config = nlohmann::json::parse(testing::file_bytes(dir / "config.json"));
  for (const char* key : {"num_attention_heads", "num_key_value_heads"}) {
    config.erase(key);
  }
  config.update(keys);
  dir.put("config.json", config.dump());
  return verified(dir.path()).served.heads;
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
