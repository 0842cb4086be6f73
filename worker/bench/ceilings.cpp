#include "worker/bench/ceilings.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include "worker/bench/random_model.h"

namespace rotor::worker::bench {
namespace {

constexpr int kRounds = 3;
constexpr int kCallsARound = 3;

/// Seconds of one call, in the best of some rounds.
Result<double> best_time(Backend& backend, const std::function<Status()>& call) {
  using Clock = std::chrono::steady_clock;
  ROTOR_RETURN_IF_ERROR(call());
  double best = 0.0;
  for (int round = 0; round < kRounds; ++round) {
    ROTOR_RETURN_IF_ERROR(backend.synchronize());
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < kCallsARound; ++i) {
      ROTOR_RETURN_IF_ERROR(call());
    }
    ROTOR_RETURN_IF_ERROR(backend.synchronize());
    const std::chrono::duration<double> time = Clock::now() - start;
    const double seconds = time.count() / kCallsARound;
    best = round == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

}  // namespace

Result<Ceilings> measure_ceilings(Backend& backend, Parallel& parallel) {
  const DType dtype = backend.activation_dtype();
  const bool gpu = dtype == DType::kBf16;
  Ceilings ceilings;
  const int64_t n = gpu ? 8192 : 1024;
  ceilings.gemm_size = n;
  {
    ROTOR_ASSIGN_OR_RETURN(const Tensor x,
                           random_tensor(backend, parallel, dtype, n, n, 1, 0, 1.0F));
    ROTOR_ASSIGN_OR_RETURN(const Tensor weight,
                           random_tensor(backend, parallel, DType::kBf16, n, n, 2, 0, 1.0F));
    ROTOR_ASSIGN_OR_RETURN(const Tensor out, backend.allocate(dtype, n, n));
    ROTOR_ASSIGN_OR_RETURN(const double seconds, best_time(backend, [&] {
                             return backend.linear(x, weight, Tensor(), out);
                           }));
    ceilings.flops_per_second = 2.0 * static_cast<double>(n * n * n) / seconds;
  }
  const int64_t rows = gpu ? 1 << 18 : 1 << 14;
  ROTOR_ASSIGN_OR_RETURN(const Tensor from, backend.allocate(DType::kF32, rows, 1024));
  ROTOR_ASSIGN_OR_RETURN(const Tensor to, backend.allocate(DType::kF32, rows, 1024));
  ROTOR_ASSIGN_OR_RETURN(const double seconds,
                         best_time(backend, [&] { return backend.copy(from, to); }));
  ceilings.bytes_per_second = 2.0 * static_cast<double>(from.bytes()) / seconds;
  return ceilings;
}

}  // namespace rotor::worker::bench
