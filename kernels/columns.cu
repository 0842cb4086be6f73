#include <string>

#include "kernels/columns.h"
#include "kernels/device/launch.cuh"
#include "kernels/device/vector_io.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

/// One thread copies kWidth neighbours of a run; kWidth divides widths, places and columns.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kBlockThreads)
    copy_columns_kernel(const T* in, RunPlace from, T* out, RunPlace to, int64_t count,
                        int64_t heads, int64_t pieces) {
  const int64_t piece = static_cast<int64_t>(blockIdx.x) * kBlockThreads + threadIdx.x;
  if (piece >= count) {
    return;
  }
  const int64_t run = piece / pieces;
  const int64_t at = (piece - run * pieces) * kWidth;
  const int64_t row = run / heads;
  const int64_t head = run - row * heads;
  float values[kWidth];
  load_values(in + row * from.cols + from.first + head * from.step + at, values);
  store_values(out + row * to.cols + to.first + head * to.step + at, values);
}

Status check_runs(const char* what, const RunPlace& place, int64_t heads, int64_t width) {
  if (place.first >= 0 && place.step >= 0 &&
      place.first + (heads - 1) * place.step + width <= place.cols) {
    return {};
  }
  return invalid_argument(std::string(what) + ": " + std::to_string(heads) + " runs of " +
                          std::to_string(width) + " from column " + std::to_string(place.first) +
                          " on, every " + std::to_string(place.step) + ", leave the " +
                          std::to_string(place.cols) + " there are")
      .with_reason("BAD_SHAPE");
}

}  // namespace

Status copy_columns(const void* in, const RunPlace& from, void* out, const RunPlace& to,
                    DType dtype, int64_t rows, int64_t heads, int64_t width, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("in", dtype));
  ROTOR_RETURN_IF_ERROR(element_count(rows, from.cols).status());
  ROTOR_RETURN_IF_ERROR(element_count(rows, to.cols).status());
  ROTOR_ASSIGN_OR_RETURN(const int64_t columns, element_count(heads, width));
  if (columns == 0 || rows == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_runs("in", from, heads, width));
  ROTOR_RETURN_IF_ERROR(check_runs("out", to, heads, width));
  ROTOR_RETURN_IF_ERROR(check_pointer("in", in));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  return with_typed(out, dtype, [&]<typename T>(T* typed) {
    constexpr int kWidth = kTileWidth<T, T>;
    const bool wide =
        (width | from.cols | from.first | from.step | to.cols | to.first | to.step) % kWidth == 0;
    const int64_t pieces = width / (wide ? kWidth : 1);
    const int64_t count = rows * heads * pieces;
    return launch(
        "copy_columns", wide ? &copy_columns_kernel<kWidth, T> : &copy_columns_kernel<1, T>, count,
        kBlockThreads, stream, static_cast<const T*>(in), from, typed, to, count, heads, pieces);
  });
}

}  // namespace rotor::kernels
