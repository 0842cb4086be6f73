#include "worker/model/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::worker {
namespace {

TEST(RopeTest, DefaultFrequenciesFallGeometrically) {
  RopeConfig rope;
  rope.theta = 10000.0;
  const std::vector<float> frequencies = rope_frequencies(rope, 8, 2000);
  ASSERT_EQ(frequencies.size(), 4U);
  EXPECT_FLOAT_EQ(frequencies[0], 1.0F);
  EXPECT_FLOAT_EQ(frequencies[1], 0.1F);
  EXPECT_FLOAT_EQ(frequencies[2], 0.01F);
  EXPECT_FLOAT_EQ(frequencies[3], 0.001F);
}

TEST(RopeTest, LinearScalingDividesAllFrequencies) {
  RopeConfig rope;
  const std::vector<float> plain = rope_frequencies(rope, 64, 2000);
  rope.type = RopeType::kLinear;
  rope.factor = 4.0;
  const std::vector<float> scaled = rope_frequencies(rope, 64, 2000);
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_FLOAT_EQ(scaled[i], plain[i] / 4.0F);
  }
}

TEST(RopeTest, Llama3KeepsHighFrequenciesAndBlendsBelow) {
  RopeConfig rope;
  rope.theta = 500000.0;
  const std::vector<float> plain = rope_frequencies(rope, 128, 2000);
  rope.type = RopeType::kLlama3;
  rope.factor = 8.0;
  rope.low_freq_factor = 1.0;
  rope.high_freq_factor = 4.0;
  rope.original_max_position_embeddings = 8192;
  const std::vector<float> scaled = rope_frequencies(rope, 128, 2000);
  int blended = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    const double wavelength = 2.0 * M_PI / static_cast<double>(plain[i]);
    if (wavelength < 2048.0) {
      EXPECT_EQ(scaled[i], plain[i]);
    } else if (wavelength > 8192.0) {
      EXPECT_FLOAT_EQ(scaled[i], plain[i] / 8.0F);
    } else {
      ++blended;
      EXPECT_LT(scaled[i], plain[i]);
      EXPECT_GT(scaled[i], plain[i] / 8.0F);
    }
  }
  EXPECT_GT(blended, 2);
  // By hand, i = 30: frequency 500000^(-60/128) = 2.131120e-3, wavelength 2948.30, kept
  // (8192 / 2948.30 - 1) / 3 = 0.592849, frequency * (0.592849 + 0.407151 / 8).
  EXPECT_NEAR(scaled[30], 1.371894e-3, 1e-9);
}

RopeConfig longrope() {
  RopeConfig rope;
  rope.type = RopeType::kLongRope;
  rope.rotary_share = 0.75;
  rope.original_max_position_embeddings = 32;
  rope.short_factors = {1.0, 2.0, 4.0};
  rope.long_factors = {2.0, 8.0, 32.0};
  rope.attention_factor = 1.5;
  return rope;
}

TEST(RopeTest, LongropeDividesByTheFactorsOfTheLength) {
  const RopeConfig rope = longrope();
  for (const auto& [seq_len, factors] :
       {std::pair{int64_t{32}, rope.short_factors}, {int64_t{33}, rope.long_factors}}) {
    const std::vector<float> frequencies = rope_frequencies(rope, 8, seq_len);
    ASSERT_EQ(frequencies.size(), 3U) << "6 of 8 columns are rotated";
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_FLOAT_EQ(
          frequencies[i],
          static_cast<float>(std::pow(10000.0, -static_cast<double>(i) / 3.0) / factors[i]));
    }
  }
}

/// Every case of tests/data/rope/make_yarn.py, from the keys of a config.json on.
TEST(RopeTest, YarnIsThatOfTransformers) {
  const auto cases = nlohmann::json::parse(
      rotor::testing::file_bytes(ROTOR_SOURCE_DIR "/tests/data/rope/yarn.json"));
  ASSERT_GE(cases.size(), 10U);
  for (const auto& [name, golden] : cases.items()) {
    SCOPED_TRACE(name);
    nlohmann::json keys = golden["config"];
    keys.update({{"model_type", "llama"},
                 {"hidden_size", 64},
                 {"intermediate_size", 64},
                 {"num_hidden_layers", 1},
                 {"num_attention_heads", 2},
                 {"vocab_size", 16}});
    const auto config = parse_model_config(keys.dump(), "config.json");
    ASSERT_OK(config);
    EXPECT_NEAR(config->rope.attention_factor, golden["attention_factor"].get<double>(), 1e-12);
    const auto wanted = golden["frequencies"].get<std::vector<double>>();
    const auto found = rope_frequencies(config->rope, config->head_dim, 8);
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_NEAR(static_cast<double>(found[i]) / wanted[i], 1.0, 1e-6) << i;
    }
  }
}

TEST(RopeTest, TablesAreThoseOfTheSequencesLength) {
  const auto backend = make_cpu_backend(1);
  const auto rope = Rope::create(*backend, longrope(), 8, 40);
  ASSERT_OK(rope);
  EXPECT_EQ(rope->of(32).cos.rows(), 32);
  EXPECT_EQ(rope->of(33).cos.rows(), 40);
  EXPECT_FLOAT_EQ(rope->of(5).cos.as<float>()[3], 1.5F * std::cos(1.0F));
  EXPECT_FLOAT_EQ(rope->of(40).sin.as<float>()[3], 1.5F * std::sin(0.5F));
  const auto plain = Rope::create(*backend, RopeConfig(), 8, 9000);
  ASSERT_OK(plain);
  EXPECT_EQ(plain->of(1).cos.data(), plain->of(9000).cos.data());
}

TEST(RopeTest, TablesHoldEveryPosition) {
  const auto backend = make_cpu_backend(1);
  RopeConfig rope;
  const auto tables = make_rope_tables(*backend, rope, 16, 2000);
  ASSERT_OK(tables);
  EXPECT_EQ(tables->cos.rows(), 2000);
  EXPECT_EQ(tables->cos.cols(), 8);
  const std::vector<float> frequencies = rope_frequencies(rope, 16, 2000);
  for (const int64_t position : {0, 1, 777, 1999}) {
    for (int64_t i = 0; i < 8; ++i) {
      const float angle = static_cast<float>(position) * frequencies[static_cast<size_t>(i)];
      EXPECT_NEAR(tables->cos.as<float>()[position * 8 + i], std::cos(angle), 1e-7);
      EXPECT_NEAR(tables->sin.as<float>()[position * 8 + i], std::sin(angle), 1e-7);
    }
  }
}

}  // namespace
}  // namespace rotor::worker
