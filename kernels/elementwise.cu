#include <cmath>
#include <string>

#include "kernels/device/fast_math.cuh"
#include "kernels/device/launch.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/elementwise.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr int kBlockRun = kBlockThreads / kWarpSize * kWarpRun;

struct Add {
  float scale;

  __device__ float operator()(float a, float b) const { return __fadd_rn(a, __fmul_rn(b, scale)); }
};

struct SiluProduct {
  __device__ float operator()(float gate, float up) const {
    return __fdividef(gate, 1.0F + __expf(-gate)) * up;
  }
};

struct GeluTanhProduct {
  __device__ float operator()(float gate, float up) const {
    // (1 + tanh(y)) / 2 = 1 / (1 + e^-2y), y = sqrt(2/pi) (g + 0.044715 g^3).
    const float twice = 1.59576912F * (gate + 0.044715F * gate * gate * gate);
    return __fdividef(gate, 1.0F + __expf(-twice)) * up;
  }
};

struct ClampedSwiglu {
  float alpha;
  float limit;

  // Comparisons, unlike fminf, let a NaN through.
  __device__ float operator()(float gate, float up) const {
    gate = gate > limit ? limit : gate;
    up = up > limit ? limit : up;
    up = up < -limit ? -limit : up;
    return __fdividef(gate, 1.0F + __expf(-alpha * gate)) * (up + 1.0F);
  }
};

/// The elements that fill no vector, `first` to `count`: one for each of the first threads.
template <typename F>
__device__ __forceinline__ void for_my_leftover(int64_t first, int64_t count, F&& f) {
  const int64_t at = first + threadIdx.x;
  if (blockIdx.x == 0 && at < count) {
    f(at);
  }
}

/// out = operation(a, b). Each thread reads what it writes before it writes, so out may be either.
template <typename Operation, typename T>
__global__ void __launch_bounds__(kBlockThreads)
    map_kernel(const Operation operation, const T* a, const T* b, int64_t count, T* out) {
  constexpr int kWidth = kTileWidth<T, T>;
  const int64_t whole = count - count % kWidth;
  WarpTile<kWidth> left;
  WarpTile<kWidth> right;
  left.load(a, whole);
  right.load(b, whole);
#pragma unroll
  for (int j = 0; j < WarpTile<kWidth>::kVectors; ++j) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      left.values[j][i] = operation(left.values[j][i], right.values[j][i]);
    }
  }
  left.store(out, whole);
  for_my_leftover(whole, count, [&](int64_t at) {
    float x[1];
    float y[1];
    load_values(a + at, x);
    load_values(b + at, y);
    x[0] = operation(x[0], y[0]);
    store_values(out + at, x);
  });
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    soft_cap_kernel(T* x, int64_t count, float cap, float inverse) {
  constexpr int kWidth = kTileWidth<T, T>;
  const int64_t whole = count - count % kWidth;
  WarpTile<kWidth> tile;
  tile.load(x, whole);
#pragma unroll
  for (int j = 0; j < WarpTile<kWidth>::kVectors; ++j) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      tile.values[j][i] = cap * tanh_fast(tile.values[j][i] * inverse);
    }
  }
  tile.store(x, whole);
  for_my_leftover(whole, count, [&](int64_t at) {
    float value[1];
    load_values(x + at, value);
    value[0] = cap * tanh_fast(value[0] * inverse);
    store_values(x + at, value);
  });
}

template <typename In, typename Out>
__global__ void __launch_bounds__(kBlockThreads)
    convert_kernel(const In* x, int64_t count, Out* out) {
  constexpr int kWidth = kTileWidth<In, Out>;
  const int64_t whole = count - count % kWidth;
  WarpTile<kWidth> tile;
  tile.load(x, whole);
  tile.store(out, whole);
  for_my_leftover(whole, count, [&](int64_t at) {
    float value[1];
    load_values(x + at, value);
    store_values(out + at, value);
  });
}

}  // namespace

Status add(void* x, const void* y, float scale, DType dtype, int64_t count, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("x", dtype));
  ROTOR_RETURN_IF_ERROR(element_count(1, count).status());
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("y", y));
  return with_typed(x, dtype, [&]<typename T>(T* sum) {
    return launch("add", &map_kernel<Add, T>, count, kBlockRun, stream, Add{scale}, sum,
                  static_cast<const T*>(y), count, sum);
  });
}

namespace {

template <typename Operation>
Status gated_product(const char* name, Operation operation, const void* gate, const void* up,
                     DType dtype, int64_t count, void* out, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("gate", dtype));
  ROTOR_RETURN_IF_ERROR(element_count(1, count).status());
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("gate", gate));
  ROTOR_RETURN_IF_ERROR(check_pointer("up", up));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  return with_typed(out, dtype, [&]<typename T>(T* product) {
    return launch(name, &map_kernel<Operation, T>, count, kBlockRun, stream, operation,
                  static_cast<const T*>(gate), static_cast<const T*>(up), count, product);
  });
}

}  // namespace

Status silu_product(const void* gate, const void* up, DType dtype, int64_t count, void* out,
                    cudaStream_t stream) {
  return gated_product("silu_product", SiluProduct{}, gate, up, dtype, count, out, stream);
}

Status gelu_tanh_product(const void* gate, const void* up, DType dtype, int64_t count, void* out,
                         cudaStream_t stream) {
  return gated_product("gelu_tanh_product", GeluTanhProduct{}, gate, up, dtype, count, out, stream);
}

Status clamped_swiglu(const void* gate, const void* up, DType dtype, int64_t count, float alpha,
                      float limit, void* out, cudaStream_t stream) {
  for (const float value : {alpha, limit}) {
    if (!std::isnormal(value) || value < 0.0F) {
      return invalid_argument("clamped SwiGLU: alpha " + std::to_string(alpha) + " and limit " +
                              std::to_string(limit) + " are not both positive")
          .with_reason("BAD_SHAPE");
    }
  }
  return gated_product("clamped_swiglu", ClampedSwiglu{alpha, limit}, gate, up, dtype, count, out,
                       stream);
}

Status soft_cap(void* x, DType dtype, int64_t count, float cap, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("x", dtype));
  ROTOR_RETURN_IF_ERROR(element_count(1, count).status());
  if (!std::isnormal(cap) || cap < 0.0F) {
    return invalid_argument("soft cap " + std::to_string(cap) + " is not positive")
        .with_reason("BAD_SHAPE");
  }
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  return with_typed(x, dtype, [&]<typename T>(T* values) {
    return launch("soft_cap", &soft_cap_kernel<T>, count, kBlockRun, stream, values, count, cap,
                  1.0F / cap);
  });
}

Status convert(const void* x, DType x_dtype, int64_t count, void* out, DType out_dtype,
               cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_weight_dtype("x", x_dtype));
  ROTOR_RETURN_IF_ERROR(check_value_dtype("out", out_dtype));
  ROTOR_RETURN_IF_ERROR(element_count(1, count).status());
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  return with_typed_weight(x, x_dtype, [&]<typename In>(const In* source) {
    return with_typed(out, out_dtype, [&]<typename Out>(Out* destination) {
      return launch("convert", &convert_kernel<In, Out>, count, kBlockRun, stream, source, count,
                    destination);
    });
  });
}

}  // namespace rotor::kernels
