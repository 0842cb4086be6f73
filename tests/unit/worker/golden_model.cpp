#include "tests/unit/worker/golden_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "quant/format/bf16.h"
#include "tests/support/status_matchers.h"
#include "worker/model/stored_weights.h"

namespace rotor::worker::testing {
namespace {

/// Sum of the next-token losses of one sequence, from its logits [tokens, vocabulary].
double loss_of(const Golden& golden) {
  const size_t vocabulary = golden.logits.size() / golden.input_ids.size();
  double sum = 0.0;
  for (size_t t = 0; t + 1 < golden.input_ids.size(); ++t) {
    const float* row = golden.logits.data() + t * vocabulary;
    const auto most = static_cast<double>(*std::max_element(row, row + vocabulary));
    double exponentials = 0.0;
    for (size_t v = 0; v < vocabulary; ++v) {
      exponentials += std::exp(static_cast<double>(row[v]) - most);
    }
    const auto next = static_cast<size_t>(golden.input_ids[t + 1]);
    sum += most + std::log(exponentials) - static_cast<double>(row[next]);
  }
  return sum;
}

}  // namespace

std::unique_ptr<Model> Model::open(const std::string& directory, std::unique_ptr<Backend> backend) {
  auto model = std::make_unique<Model>();
  model->backend = std::move(backend);
  auto files = open_model(posix_file_system(), directory);
  if (!files.ok()) {
    ADD_FAILURE() << files.status().to_string();
    return nullptr;
  }
  model->files = std::move(files).value();
  StoredWeights source(*model->files.weights);
  const Architecture& architecture = model->files.architecture;
  auto ends = load_ends(*model->backend, source, architecture);
  if (!ends.ok()) {
    ADD_FAILURE() << ends.status().to_string();
    return nullptr;
  }
  model->ends = std::move(ends).value();
  for (const Layer& layer : architecture.layers) {
    auto weights = load_layer(*model->backend, source, layer);
    if (!weights.ok()) {
      ADD_FAILURE() << weights.status().to_string();
      return nullptr;
    }
    model->layers.push_back(std::move(weights).value());
  }
  return model;
}

std::vector<float> values_of(Backend& backend, const Tensor& tensor) {
  std::vector<uint8_t> bytes(tensor.bytes());
  EXPECT_OK(backend.download(tensor, bytes.data(), bytes.size()));
  std::vector<float> values(static_cast<size_t>(tensor.size()));
  EXPECT_OK(widen_to_f32(bytes.data(), tensor.dtype(), tensor.size(), values.data()));
  return values;
}

void expect_golden(const Model& model, const Golden& golden, double tolerance) {
  const auto tokens = static_cast<int64_t>(golden.input_ids.size());
  const BatchShape shape{1, tokens};
  Decoder decoder = model.decoder(tokens);
  const Tensor x = model.rows(tokens, model.config().hidden_size);
  ASSERT_EQ(golden.hidden.size(), model.layers.size() + 1);

  ASSERT_OK(decoder.embed(model.ends, golden.input_ids, x));
  const double rounding = x.dtype() == DType::kF32 ? 0.0 : tolerance;
  EXPECT_LE(relative_distance(values_of(*model.backend, x), golden.hidden[0]), rounding);
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const Layer& layer = model.files.architecture.layers[i];
    ASSERT_OK(decoder.forward_layer(layer, model.layers[i], shape, x));
    if (i + 1 < model.layers.size()) {
      EXPECT_LT(relative_distance(values_of(*model.backend, x), golden.hidden[i + 1]), tolerance)
          << "behind layer " << i;
    }
  }
  const auto losses = decoder.losses(model.ends, shape, golden.input_ids, x);
  ASSERT_OK(losses);
  EXPECT_EQ(std::ssize(*losses), tokens - 1);
  EXPECT_NEAR(std::accumulate(losses->begin(), losses->end(), 0.0) / loss_of(golden), 1.0,
              tolerance);

  const Tensor normed = model.rows(tokens, model.config().hidden_size);
  ASSERT_OK(decoder.final_norm(model.ends, x, normed));
  EXPECT_LT(relative_distance(values_of(*model.backend, normed), golden.hidden.back()), tolerance);
  const Tensor head_output = model.rows(tokens, model.config().vocab_size);
  ASSERT_OK(model.backend->linear(normed, model.ends.head, Tensor(), head_output));
  std::vector<float> logits = values_of(*model.backend, head_output);
  const double divisor = model.config().logit_divisor;
  std::transform(logits.begin(), logits.end(), logits.begin(), [&](float logit) {
    return static_cast<float>(static_cast<double>(logit) / divisor);
  });
  if (const auto cap = static_cast<float>(model.config().logit_cap); cap > 0.0F) {
    std::transform(logits.begin(), logits.end(), logits.begin(),
                   [&](float logit) { return cap * std::tanh(logit / cap); });
  }
  const double distance = relative_distance(logits, golden.logits);
  EXPECT_LT(distance, tolerance);
  ::testing::Test::RecordProperty("logits_relative_distance", std::to_string(distance));
}

}  // namespace rotor::worker::testing
