#include "worker/eval/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <memory>

#include "tests/support/status_matchers.h"
#include "tests/unit/worker/golden.h"

namespace rotor::worker {
namespace {

const char* const kDemoModel = ROTOR_SOURCE_DIR "/demo/model";

std::vector<int32_t> demo_ids() {
  return testing::read_golden(ROTOR_SOURCE_DIR "/tests/data/demo_forward.safetensors").input_ids;
}

/// exp of the mean next-token loss, from logits [ids, vocabulary] in F64.
double perplexity_of(const std::vector<float>& logits, const std::vector<int32_t>& ids) {
  const size_t vocabulary = logits.size() / ids.size();
  double loss = 0.0;
  for (size_t t = 0; t + 1 < ids.size(); ++t) {
    const float* row = logits.data() + t * vocabulary;
    double sum = 0.0;
    for (size_t v = 0; v < vocabulary; ++v) {
      sum += std::exp(static_cast<double>(row[v]));
    }
    loss += std::log(sum) - static_cast<double>(row[ids[t + 1]]);
  }
  return std::exp(loss / static_cast<double>(ids.size() - 1));
}

/// Token ids of an .npy file of int32, cut into `count` windows.
TokenWindows windows_of_npy(const std::string& path, int64_t seq_len, int64_t count) {
  std::ifstream file(path, std::ios::binary);
  std::string head(10, '\0');
  file.read(head.data(), 10);
  const auto header_length = static_cast<std::streamoff>(static_cast<uint8_t>(head[8]) +
                                                         256 * static_cast<uint8_t>(head[9]));
  file.seekg(10 + header_length);
  TokenWindows windows{seq_len, std::vector<int32_t>(static_cast<size_t>(seq_len * count))};
  file.read(reinterpret_cast<char*>(windows.ids.data()),
            static_cast<std::streamsize>(windows.ids.size() * sizeof(int32_t)));
  EXPECT_TRUE(file.good()) << path;
  return windows;
}

TEST(EvaluateTest, GivesThePerplexityOfTransformersLogits) {
  const auto golden = testing::read_golden(ROTOR_SOURCE_DIR "/tests/data/demo_forward.safetensors");
  const auto backend = make_cpu_backend(2);
  std::vector<std::pair<int64_t, int64_t>> steps;
  const auto result = evaluate(
      *backend, kDemoModel, {static_cast<int64_t>(golden.input_ids.size()), golden.input_ids},
      [&](int64_t done, int64_t total) { steps.emplace_back(done, total); });
  ASSERT_OK(result);
  const double expected = perplexity_of(golden.logits, golden.input_ids);
  EXPECT_NEAR(result->perplexity / expected, 1.0, 1e-5);
  EXPECT_EQ(result->tokens, 63);
  EXPECT_EQ(result->sequences, 1);
  const std::vector<std::pair<int64_t, int64_t>> expected_steps{
      {1, 5}, {2, 5}, {3, 5}, {4, 5}, {5, 5}};
  EXPECT_EQ(steps, expected_steps);
}

TEST(EvaluateTest, MeansOverAllWindows) {
  const std::vector<int32_t> ids = demo_ids();
  const auto backend = make_cpu_backend(2);
  const auto no_progress = [](int64_t, int64_t) {};
  double log_sum = 0.0;
  const TokenWindows windows{16, {ids.begin(), ids.begin() + 64}};
  for (int64_t w = 0; w < 4; ++w) {
    const auto window = windows.window(w);
    const auto alone =
        evaluate(*backend, kDemoModel, {16, {window.begin(), window.end()}}, no_progress);
    ASSERT_OK(alone);
    log_sum += std::log(alone->perplexity);
  }
  const auto together = evaluate(*backend, kDemoModel, windows, no_progress);
  ASSERT_OK(together);
  EXPECT_NEAR(together->perplexity / std::exp(log_sum / 4.0), 1.0, 1e-5);
  EXPECT_EQ(together->tokens, 60);
  EXPECT_EQ(together->sequences, 4);
}

TEST(CompareTest, TellsWhatBothModelsSayApart) {
  const std::vector<int32_t> ids = demo_ids();
  const auto backend = make_cpu_backend(2);
  const auto no_progress = [](int64_t, int64_t) {};
  const TokenWindows windows{16, {ids.begin(), ids.begin() + 64}};
  const auto alone = evaluate(*backend, kDemoModel, windows, no_progress);
  const auto same = compare(*backend, kDemoModel, kDemoModel, windows, no_progress);
  ASSERT_OK(alone);
  ASSERT_OK(same);
  EXPECT_EQ(same->result.perplexity, alone->perplexity);
  EXPECT_EQ(same->source.losses, alone->losses);
  EXPECT_EQ(same->kl, 0.0);
  EXPECT_EQ(same->same_top, 1.0);
  EXPECT_EQ(same->kl_by_token.size(), 60U);
}

TEST(EvaluateTest, FillsBatchesWithShortWindows) {
  EXPECT_EQ(eval_batch_sequences(100, 1024), 1);
  EXPECT_EQ(eval_batch_sequences(100, 4096), 1);
  EXPECT_EQ(eval_batch_sequences(100, 128), 8);
  EXPECT_EQ(eval_batch_sequences(3, 128), 3);
}

TEST(EvaluateTest, RefusesWindowsThatItCannotRun) {
  const auto backend = make_cpu_backend(1);
  const auto no_progress = [](int64_t, int64_t) {};
  const auto refused = [&](const std::string& model, const TokenWindows& windows) {
    return evaluate(*backend, model, windows, no_progress).status();
  };
  EXPECT_EQ(refused(kDemoModel, {16, {}}).reason(), "TEXT_TOO_SHORT");
  EXPECT_EQ(refused(kDemoModel, {}).reason(), "BAD_SEQUENCE_LENGTH");
  EXPECT_EQ(refused(kDemoModel, {1, {1}}).reason(), "BAD_SEQUENCE_LENGTH");
  EXPECT_EQ(refused(kDemoModel, {2, {1, 2048}}).reason(), "BAD_TOKEN_ID");
  EXPECT_EQ(refused(ROTOR_SOURCE_DIR "/demo/nothing", {2, {1, 2}}).code(), Code::kNotFound);
}

TEST(EvaluateTest, ReachesTheReferencePerplexities) {
  const auto data = testing::data_dir();
  if (!data) {
    GTEST_SKIP() << "set ROTOR_DATA_DIR to the reference data";
  }
  const auto backend = make_cpu_backend(0);
  struct Row {
    const char* model;
    double perplexity;
  };
  for (const Row& row :
       {Row{"demo-4m", 11.662376}, Row{"llama-22m", 16.800089}, Row{"qwen3moe-20m", 15.506545}}) {
    const auto windows =
        windows_of_npy(*data + "/golden/" + row.model + "/eval_ids.npy", 1024, 100);
    const auto result =
        evaluate(*backend, *data + "/models/" + row.model, windows, [](int64_t, int64_t) {});
    ASSERT_OK(result);
    EXPECT_NEAR(result->perplexity / row.perplexity, 1.0, 5e-4) << row.model;
    RecordProperty(row.model, std::to_string(result->perplexity));
  }
}

}  // namespace
}  // namespace rotor::worker
