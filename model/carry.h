// What stages leave for those behind them, between two visits of the quantizer: a layer's stages
// are a chain through the residual stream and through these. Each slot is filled by one stage of a
// layer and used up by one behind it, not always the next: the values of latent attention wait
// while its queries are made.
//
// Thread-safety: plain data.
#pragma once

#include <cstdint>

namespace rotor {

enum class CarrySlot {
  kAttended,        // the attention's output
  kProduct,         // act(gate) * up; of experts a row for each of a token's experts
  kQueryLatent,     // normed; what all heads' queries are made of
  kKeyValueLatent,  // normed; what all heads' keys and values are made of
  kRotaryKey,       // rotated; the part of a key that all heads share
  kQuery,           // rotated
  kSharedProduct,   // act(gate) * up of a shared expert
  kSharedGate,      // a number a token: the sigmoid of it scales what a shared expert gives
  kShared,          // a shared expert's output, which is added with the others'
};

/// One slot with the features that a token has in it, of all its experts together.
struct CarryPart {
  CarrySlot slot = CarrySlot::kAttended;
  int64_t features = 0;
  bool operator==(const CarryPart&) const = default;
};

}  // namespace rotor
