#include "worker/bench/random_activations.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "quant/format/bf16.h"
#include "worker/bench/random_model.h"
#include "worker/bench/random_values.h"

namespace rotor::worker::bench {
namespace {

// Places in the seed's family.
constexpr uint64_t kDirections = 1;
constexpr uint64_t kNoise = 2;
constexpr uint64_t kStrengths = 3;
constexpr uint64_t kTokens = 4;

constexpr float kDecay = 0.5F;  // strength of direction j: (1 + j)^-kDecay
constexpr float kNoiseLevel = 0.5F;
constexpr float kOutlierGain = 8.0F;
constexpr int64_t kOutlierEvery = 256;  // channels
constexpr int64_t kMostNoiseRows = 8192;

bool is_outlier(int64_t channel) {
  return channel % kOutlierEvery == kOutlierEvery / 8;
}

uint16_t scaled(uint16_t value, float factor) {
  return f32_to_bf16(bf16_to_f32(value) * factor);
}

}  // namespace

Result<RandomActivations> RandomActivations::create(Backend& backend, Parallel& parallel,
                                                    int64_t hidden, uint64_t seed) {
  RandomActivations made(backend, parallel, seed);
  const int64_t rank = std::max<int64_t>(1, hidden / 4);
  std::vector<uint16_t> directions(static_cast<size_t>(hidden * rank));
  fill_random(DType::kBf16, derive_seed(seed, kDirections), 0, hidden * rank, 1.0F,
              directions.data(), parallel);
  parallel.for_each(hidden, [&](int64_t channel) {
    const float gain = is_outlier(channel) ? kOutlierGain : 1.0F;
    for (int64_t j = 0; j < rank; ++j) {
      uint16_t& value = directions[static_cast<size_t>(channel * rank + j)];
      value = scaled(value, gain * std::pow(static_cast<float>(1 + j), -kDecay));
    }
  });
  ROTOR_ASSIGN_OR_RETURN(made.directions_, backend.allocate(DType::kBf16, hidden, rank));
  ROTOR_RETURN_IF_ERROR(
      backend.upload(directions.data(), directions.size() * sizeof(uint16_t), made.directions_));
  ROTOR_ASSIGN_OR_RETURN(
      made.noise_, random_tensor(backend, parallel, DType::kBf16, std::min(hidden, kMostNoiseRows),
                                 hidden, derive_seed(seed, kNoise), 0, kNoiseLevel));
  return made;
}

Result<std::vector<MicroBatch>> RandomActivations::make(const BatchCut& cut, const Range& mine,
                                                        bool spilled) {
  const DType dtype = backend_->activation_dtype();
  const int64_t hidden = directions_.rows();
  const int64_t rank = directions_.cols();
  const uint64_t strengths_seed = derive_seed(seed_, kStrengths);
  const uint64_t tokens_seed = derive_seed(seed_, kTokens);
  std::vector<MicroBatch> batches;
  for (int64_t index = mine.begin; index < mine.end; ++index) {
    MicroBatch batch = cut.batch(index);
    const int64_t first = batch.first_sequence * cut.seq_len;
    const int64_t tokens = batch.shape.tokens();
    std::vector<int32_t> ids(static_cast<size_t>(tokens));
    for (int64_t t = 0; t < tokens; ++t) {
      const uint32_t bits = random_bits(tokens_seed, static_cast<uint64_t>(first + t));
      ids[static_cast<size_t>(t)] =
          static_cast<int32_t>(bits % static_cast<uint32_t>(noise_.rows()));
    }
    ROTOR_ASSIGN_OR_RETURN(const Tensor strengths,
                           random_tensor(*backend_, *parallel_, dtype, tokens, rank, strengths_seed,
                                         first * rank, 1.0F));
    ROTOR_ASSIGN_OR_RETURN(const Tensor noise, backend_->allocate(dtype, tokens, hidden));
    ROTOR_ASSIGN_OR_RETURN(batch.x, backend_->allocate(dtype, tokens, hidden));
    ROTOR_RETURN_IF_ERROR(backend_->embed(noise_, ids, 1.0F, noise));
    ROTOR_RETURN_IF_ERROR(backend_->linear(strengths, directions_, Tensor(), batch.x));
    ROTOR_RETURN_IF_ERROR(backend_->add(batch.x, noise, 1.0F));
    if (spilled) {
      ROTOR_RETURN_IF_ERROR(spill(*backend_, batch));
    }
    batches.push_back(std::move(batch));
  }
  return batches;
}

}  // namespace rotor::worker::bench
