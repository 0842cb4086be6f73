#include "quant/rotation/walsh_hadamard.h"

namespace rotor {
namespace {

/// (a, b) becomes (a + b, a - b), element by element.
template <typename T>
void butterfly(T* a, T* b, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const T sum = a[i] + b[i];
    const T difference = a[i] - b[i];
    a[i] = sum;
    b[i] = difference;
  }
}

template <typename T>
void transform_rows(T* x, int64_t n, int64_t width) {
  for (int64_t stride = 1; stride < n; stride *= 2) {
    for (int64_t row = 0; row < n; row += 2 * stride) {
      // The rows of one half lie next to each other, so each half is one run.
      butterfly(x + row * width, x + (row + stride) * width, stride * width);
    }
  }
}

}  // namespace

void walsh_hadamard(float* x, int64_t n) {
  walsh_hadamard_rows(x, n, 1);
}

void walsh_hadamard_rows(float* x, int64_t n, int64_t width) {
  transform_rows(x, n, width);
}

void walsh_hadamard_rows(double* x, int64_t n, int64_t width) {
  transform_rows(x, n, width);
}

}  // namespace rotor
