// The fast Walsh-Hadamard transform on which both rotations are built.
//
// Thread-safety: pure functions. Cost: n log2(n) additions, in place.
#pragma once

#include <cstdint>

namespace rotor {

/// x [n] becomes x times the Sylvester matrix of entries +1 and -1 (not normalized); n is a power
/// of two.
void walsh_hadamard(float* x, int64_t n);

/// The same along the first axis of x [n, width].
void walsh_hadamard_rows(float* x, int64_t n, int64_t width);
void walsh_hadamard_rows(double* x, int64_t n, int64_t width);

}  // namespace rotor
