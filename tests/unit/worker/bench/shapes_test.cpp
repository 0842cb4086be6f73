#include "worker/bench/shapes.h"

#include <gtest/gtest.h>

#include "model/architecture.h"
#include "tests/support/status_matchers.h"

namespace rotor::worker::bench {
namespace {

/// Parameters of a model, in billions.
double billions(std::string_view name) {
  const ModelShape shape = find_shape(name).value();
  const ModelConfig config = model_config(shape, shape.layers).value();
  const Architecture architecture = describe(config).value();
  int64_t count = config.vocab_size * config.hidden_size * (shape.tied ? 1 : 2);
  for (const Layer& layer : architecture.layers) {
    for (const Stage& stage : layer.stages) {
      for (const Linear& linear : stage.linears) {
        count += linear.in_features * linear.out_features;
      }
    }
  }
  return static_cast<double>(count) * 1e-9;
}

TEST(Shapes, HaveTheParametersThatTheirNamesSay) {
  EXPECT_NEAR(billions("llama-1b"), 1.24, 0.01);
  EXPECT_NEAR(billions("llama-3b"), 3.21, 0.01);
  EXPECT_NEAR(billions("llama-8b"), 8.03, 0.01);
  EXPECT_NEAR(billions("llama-70b"), 70.55, 0.01);
  EXPECT_NEAR(billions("mistral-7b"), 7.25, 0.01);
  EXPECT_NEAR(billions("qwen3-8b"), 8.19, 0.01);
  EXPECT_NEAR(billions("qwen3-32b"), 32.76, 0.01);
  EXPECT_NEAR(billions("mixtral-8x7b"), 46.70, 0.01);
  EXPECT_NEAR(billions("qwen3-30b-a3b"), 30.52, 0.01);
  EXPECT_NEAR(billions("qwen3-235b-a22b"), 235.09, 0.05);
  EXPECT_NEAR(billions("qwen3.5-9b"), 8.95, 0.01);
  EXPECT_NEAR(billions("qwen3-next-80b"), 79.62, 0.05);
}

TEST(Shapes, AreAllUnderstood) {
  for (const ModelShape& shape : model_shapes()) {
    const auto config = model_config(shape, 3);
    ASSERT_OK(config);
    EXPECT_EQ(config->num_layers, 3);
    EXPECT_TRUE(config->windows.empty()) << shape.name;
    EXPECT_OK(describe(*config));
  }
}

TEST(Shapes, AnUnknownNameListsTheKnown) {
  const Status status = find_shape("llama-9b").status();
  EXPECT_EQ(status.reason(), "UNKNOWN_SHAPE");
  EXPECT_NE(status.message().find("llama-8b"), std::string::npos);
}

}  // namespace
}  // namespace rotor::worker::bench
