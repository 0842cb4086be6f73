// What OpenBLAS's kernels for this CPU promise. Thread-safety: plain function.
#pragma once

#include <cblas.h>

#include <string>

namespace rotor::testing {

/// Its kernels for AVX2 sum a row's products in one of two orders, by the row's place among those of
/// the call. So the bits of a row follow from how many there are, whatever is padded; with the
/// kernels for AVX-512 and the generic ones they do not.
inline bool rows_depend_on_their_place() {
  const std::string core = openblas_get_corename();
  return core == "Haswell" || core == "Zen";
}

}  // namespace rotor::testing
