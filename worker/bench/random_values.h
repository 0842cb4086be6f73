// Random numbers for benchmarks: near normal, made faster than a disk takes them, and each a
// function of a seed and its place alone, so that no number of ranks or threads changes any.
//
// Thread-safety: pure functions. Cost: about a nanosecond a number and core.
#pragma once

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/parallel.h"

namespace rotor::worker::bench {

/// A seed for a part of what `seed` is for.
uint64_t derive_seed(uint64_t seed, uint64_t part);

/// Number `place` of the sequence `seed`, uniform over all 32-bit values.
uint32_t random_bits(uint64_t seed, uint64_t place);

/// Numbers [first, first + count) of the sequence `seed`: mean 0, standard deviation `deviation`,
/// no further out than 3.5 of them (the sum of four uniform bytes). `dtype` is BF16 or F32.
void fill_random(DType dtype, uint64_t seed, int64_t first, int64_t count, float deviation,
                 void* out, Parallel& parallel);

}  // namespace rotor::worker::bench
