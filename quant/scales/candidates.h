// The storable scales that a search over one group chooses from (algorithm.md section 2).
//
// Thread-safety: immutable once made. Cost: one table lookup or division a candidate.
#pragma once

#include <array>
#include <cstdint>

#include "quant/scheme.h"

namespace rotor {

/// A scale as it is stored (its bits in the low bytes) and what it stands for.
struct ScaleCandidate {
  uint32_t stored = 0;
  float effective = 0.0F;  // what it is worth with the global scale (QuantScheme::global)
};

/// `absmax` below: the largest magnitude of the group, a finite normal F32 number.
class ScaleCandidates {
 public:
  static constexpr int kMaxCount = 24;
  static constexpr int kInt4First = 32;  // the largest of INT4's, in 32nds of absmax / 7.5
  static constexpr int kInt4Last = 12;

  /// Of the first candidate above absmax's byte (NVFP4, MXFP4).
  static int steps_up(Format format);

  ScaleCandidates(const QuantScheme& scheme, float global_scale);

  /// NVFP4 and INT4: nearest to absmax/6, absmax/7.5. MXFP4: what engines choose for activations
  /// (quant/format/e8m0.h), which clips by a seventh at most, or in FP-Quant not at all.
  ScaleCandidate absmax_candidate(float absmax) const;

  /// The number of candidates that all() writes.
  int count() const { return count_; }
  /// In descending order of scale; repeats where the range of what can be stored ends.
  /// NVFP4: every byte from absmax's to 16 (a quarter) below it. MXFP4: from one exponent
  /// above absmax's to two below. INT4: absmax/7.5 times 32/32, 31/32, ..., 12/32, each rounded to
  /// scale_dtype.
  void all(float absmax, ScaleCandidate* out) const;

  /// absmax / 6 in units of the stored scale is absmax * unit_up() / unit_down(), in F64.
  double unit_up() const { return unit_up_; }
  double unit_down() const { return unit_down_; }

  /// What each stored byte stands for (NVFP4, MXFP4); zeros for INT4.
  const std::array<float, 256>& by_byte() const { return by_byte_; }

  /// The smallest positive scale that is stored: byte 1 of E4M3, 0 of E8M0, 2^-24 in F16 and 2^-126
  /// in BF16 and F32 (their subnormals are zero on hardware that flushes them).
  ScaleCandidate smallest() const;

 private:
  ScaleCandidate byte_candidate(int32_t byte) const;
  ScaleCandidate rounded_candidate(float scale) const;
  int32_t absmax_byte(float absmax) const;

  QuantScheme scheme_;
  float global_scale_;
  double unit_up_;
  double unit_down_;
  int count_;
  std::array<float, 256> by_byte_{};  // effective scales of NVFP4 and MXFP4
};

}  // namespace rotor
