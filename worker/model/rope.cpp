#include "worker/model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace rotor::worker {
namespace {

double llama3_frequency(const RopeConfig& rope, double frequency) {
  const auto context = static_cast<double>(rope.original_max_position_embeddings);
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  if (wavelength > context / rope.low_freq_factor) {
    return frequency / rope.factor;
  }
  if (wavelength < context / rope.high_freq_factor ||
      rope.high_freq_factor == rope.low_freq_factor) {
    return frequency;
  }
  const double kept = (context / wavelength - rope.low_freq_factor) /
                      (rope.high_freq_factor - rope.low_freq_factor);
  return (1.0 - kept) * frequency / rope.factor + kept * frequency;
}

/// The place, counted in frequencies, of the one that turns `turns` times over the original length.
double place_of_turns(const RopeConfig& rope, double turns, double rotary) {
  const auto context = static_cast<double>(rope.original_max_position_embeddings);
  return rotary * std::log(context / (2.0 * std::numbers::pi * turns)) /
         (2.0 * std::log(rope.theta));
}

double yarn_frequency(const RopeConfig& rope, double frequency, size_t place, int64_t rotary) {
  const auto features = static_cast<double>(rotary);
  double first = place_of_turns(rope, rope.beta_fast, features);
  double last = place_of_turns(rope, rope.beta_slow, features);
  if (rope.truncate) {
    first = std::floor(first);
    last = std::ceil(last);
  }
  first = std::max(first, 0.0);
  last = std::min(last, features - 1.0);
  // The models' own code keeps the two apart by this much.
  const double width = first == last ? 0.001 : last - first;
  const double divided = std::clamp((static_cast<double>(place) - first) / width, 0.0, 1.0);
  return divided * frequency / rope.factor + (1.0 - divided) * frequency;
}

double scaled_frequency(const RopeConfig& rope, double frequency, size_t place, int64_t rotary,
                        bool beyond) {
  switch (rope.type) {
    case RopeType::kDefault:
      return frequency;
    case RopeType::kLinear:
      return frequency / rope.factor;
    case RopeType::kLlama3:
      return llama3_frequency(rope, frequency);
    case RopeType::kLongRope:
      return frequency / (beyond ? rope.long_factors : rope.short_factors)[place];
    case RopeType::kYarn:
      return yarn_frequency(rope, frequency, place, rotary);
  }
  return frequency;
}

Result<Tensor> to_backend(Backend& backend, const std::vector<float>& values, int64_t rows) {
  const auto cols = static_cast<int64_t>(values.size()) / rows;
  ROTOR_ASSIGN_OR_RETURN(Tensor tensor, backend.allocate(DType::kF32, rows, cols));
  ROTOR_RETURN_IF_ERROR(backend.upload(values.data(), tensor.bytes(), tensor));
  return tensor;
}

}  // namespace

std::vector<float> rope_frequencies(const RopeConfig& rope, int64_t head_dim, int64_t seq_len) {
  const int64_t rotary = rope.rotary_features(head_dim);
  const bool beyond = seq_len > rope.original_max_position_embeddings;
  std::vector<float> frequencies(static_cast<size_t>(rotary / 2));
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(rotary);
    const double frequency = std::pow(rope.theta, -exponent);
    frequencies[i] = static_cast<float>(scaled_frequency(rope, frequency, i, rotary, beyond));
  }
  return frequencies;
}

Result<RopeTables> make_rope_tables(Backend& backend, const RopeConfig& rope, int64_t head_dim,
                                    int64_t positions) {
  const std::vector<float> frequencies = rope_frequencies(rope, head_dim, positions);
  std::vector<float> cos;
  std::vector<float> sin;
  cos.reserve(static_cast<size_t>(positions) * frequencies.size());
  sin.reserve(cos.capacity());
  for (int64_t position = 0; position < positions; ++position) {
    for (const float frequency : frequencies) {
      const float angle = static_cast<float>(position) * frequency;
      cos.push_back(
          static_cast<float>(std::cos(static_cast<double>(angle)) * rope.attention_factor));
      sin.push_back(
          static_cast<float>(std::sin(static_cast<double>(angle)) * rope.attention_factor));
    }
  }
  RopeTables tables;
  ROTOR_ASSIGN_OR_RETURN(tables.cos, to_backend(backend, cos, positions));
  ROTOR_ASSIGN_OR_RETURN(tables.sin, to_backend(backend, sin, positions));
  return tables;
}

Result<RopeTables> make_growth_tables(Backend& backend, const QueryGrowth& growth, int64_t head_dim,
                                      int64_t positions) {
  std::vector<float> factors;
  factors.reserve(static_cast<size_t>(positions * head_dim / 2));
  for (int64_t position = 1; position <= positions; ++position) {
    const auto intervals = static_cast<double>(position / growth.interval);
    factors.insert(factors.end(), static_cast<size_t>(head_dim / 2),
                   static_cast<float>(1.0 + growth.factor * std::log1p(intervals)));
  }
  RopeTables tables;
  ROTOR_ASSIGN_OR_RETURN(tables.cos, to_backend(backend, factors, positions));
  std::fill(factors.begin(), factors.end(), 0.0F);
  ROTOR_ASSIGN_OR_RETURN(tables.sin, to_backend(backend, factors, positions));
  return tables;
}

Result<Rope> Rope::create(Backend& backend, const RopeConfig& rope, int64_t head_dim,
                          int64_t max_seq_len) {
  const bool two = rope.type == RopeType::kLongRope;
  Rope made;
  made.longest_short_ =
      two ? std::min(max_seq_len, rope.original_max_position_embeddings) : max_seq_len;
  ROTOR_ASSIGN_OR_RETURN(made.short_,
                         make_rope_tables(backend, rope, head_dim, made.longest_short_));
  if (max_seq_len > made.longest_short_) {
    ROTOR_ASSIGN_OR_RETURN(made.long_, make_rope_tables(backend, rope, head_dim, max_seq_len));
  }
  return made;
}

}  // namespace rotor::worker
