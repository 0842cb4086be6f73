// What the device reaches at best, measured in the same run as what is compared with it: a large
// product, and a copy.
//
// Thread-safety: as the backend. Cost: some seconds at most, and up to 2 GiB of device memory that
// is let go again.
#pragma once

#include "quant/base/parallel.h"
#include "worker/backend/backend.h"

namespace rotor::worker::bench {

struct Ceilings {
  int64_t gemm_size = 0;          // n of the n x n x n product
  double flops_per_second = 0.0;  // of Backend::linear with BF16 weights
  double bytes_per_second = 0.0;  // of Backend::copy, read and written together
};

Result<Ceilings> measure_ceilings(Backend& backend, Parallel& parallel);

}  // namespace rotor::worker::bench
