#include "model/calibration/token_windows.h"

#include <bit>
#include <numeric>
#include <utility>

#include "quant/base/sha256.h"

namespace rotor {
namespace {

// Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (2014).
uint64_t splitmix64(uint64_t& state) {
  state += 0x9E3779B97F4A7C15U;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

}  // namespace

std::string TokenWindows::digest() const {
  static_assert(std::endian::native == std::endian::little,
                "the digest is over little-endian bytes");
  Sha256 sha;
  sha.update(&seq_len, sizeof(seq_len));
  sha.update(ids.data(), ids.size() * sizeof(int32_t));
  return sha.hex();
}

std::vector<int64_t> choose_windows(int64_t available, int64_t wanted, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(available));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (seed != 0) {
    uint64_t state = seed;
    for (int64_t i = 0; i < wanted; ++i) {
      const uint64_t left = static_cast<uint64_t>(available - i);
      const uint64_t step = splitmix64(state) % left;
      std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(i) + step]);
    }
  }
  order.resize(static_cast<size_t>(wanted));
  return order;
}

}  // namespace rotor
