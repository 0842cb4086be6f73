#include "kernels/device/launch.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/embedding.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

/// One block a token; kWidth divides `cols`.
template <int kWidth, typename Table, typename Out>
__global__ void __launch_bounds__(kBlockThreads)
    embed_rows_kernel(const Table* table, int64_t vocabulary, int64_t cols, const int32_t* ids,
                      float scale, Out* out) {
  const int64_t token = blockIdx.x;
  const int64_t id = ids[token];
  const bool known = id >= 0 && id < vocabulary;
  const Table* source = table + (known ? id : 0) * cols;
  Out* destination = out + token * cols;
  for (int64_t at = threadIdx.x * kWidth; at < cols; at += kBlockThreads * kWidth) {
    float values[kWidth];
    if (known) {
      load_values(source + at, values);
#pragma unroll
      for (float& value : values) {
        value = __fmul_rn(value, scale);
      }
    } else {
#pragma unroll
      for (float& value : values) {
        value = __int_as_float(0x7FC00000);
      }
    }
    store_values(destination + at, values);
  }
}

}  // namespace

Status embed_rows(const void* table, DType table_dtype, int64_t vocabulary, int64_t cols,
                  const int32_t* ids, int64_t tokens, float scale, void* out, DType out_dtype,
                  cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_weight_dtype("table", table_dtype));
  ROTOR_RETURN_IF_ERROR(check_value_dtype("out", out_dtype));
  ROTOR_RETURN_IF_ERROR(element_count(vocabulary, cols).status());
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(tokens, cols));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("table", table));
  ROTOR_RETURN_IF_ERROR(check_pointer("ids", ids, alignof(int32_t)));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  return with_typed_weight(table, table_dtype, [&]<typename Table>(const Table* source) {
    return with_typed(out, out_dtype, [&]<typename Out>(Out* destination) {
      constexpr int kWidth = kTileWidth<Table, Out>;
      auto* kernel = cols % kWidth == 0 ? &embed_rows_kernel<kWidth, Table, Out>
                                        : &embed_rows_kernel<1, Table, Out>;
      return launch_grid("embed_rows", kernel, {.blocks = tokens}, stream, source, vocabulary, cols,
                         ids, scale, destination);
    });
  });
}

}  // namespace rotor::kernels
