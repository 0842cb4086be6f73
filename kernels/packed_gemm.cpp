#include "kernels/packed_gemm.h"

#include <algorithm>
#include <string>

#include "kernels/packed_gemv.h"
#include "kernels/packed_wgmma.h"
#include "kernels/supported.h"

namespace rotor::kernels {

namespace {

/// On Hopper the tensor cores' asynchronous products are faster from one more on.
constexpr int64_t kMostGemvRowsOnHopper = 16;

}  // namespace

Result<PackedGemmPath> packed_gemm_path(int64_t m) {
  ROTOR_ASSIGN_OR_RETURN(const bool hopper, has_packed_wgmma());
  if (m <= (hopper ? kMostGemvRowsOnHopper : kMostGemvRows)) {
    return PackedGemmPath::kGemv;
  }
  return hopper ? PackedGemmPath::kWgmma : PackedGemmPath::kDecodeThenGemm;
}

Result<int64_t> packed_gemm_workspace(int64_t m, int64_t rows, int64_t cols) {
  ROTOR_ASSIGN_OR_RETURN(const PackedGemmPath path, packed_gemm_path(m));
  // The counters of packed_gemv lie in front, so that a decoded weight leaves them zeros.
  const int64_t gemv = packed_gemv_workspace(rows);
  return path == PackedGemmPath::kDecodeThenGemm ? gemv + rows * cols * 2 : gemv;
}

Status packed_gemm(Gemm& gemm, const void* x, int64_t m, const PackedWeight& weight, void* out,
                   void* workspace, int64_t workspace_bytes, cudaStream_t stream) {
  ROTOR_ASSIGN_OR_RETURN(const PackedGemmPath path, packed_gemm_path(m));
  ROTOR_ASSIGN_OR_RETURN(const int64_t needed, packed_gemm_workspace(m, weight.rows, weight.cols));
  if (workspace_bytes < needed) {
    return resource_exhausted("a workspace of " + std::to_string(workspace_bytes) +
                              " bytes: this product needs " + std::to_string(needed))
        .with_reason("WORKSPACE_TOO_SMALL");
  }
  if (path == PackedGemmPath::kGemv) {
    return packed_gemv(x, m, weight, out, workspace, stream);
  }
  if (path == PackedGemmPath::kWgmma) {
    return packed_wgmma(x, m, weight, out, stream);
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  ROTOR_RETURN_IF_ERROR(check_pointer("workspace", workspace));
  void* const decoded = static_cast<char*>(workspace) + packed_gemv_workspace(weight.rows);
  ROTOR_RETURN_IF_ERROR(unpack_weight(weight, decoded, stream));
  GemmCall call;
  call.m = m;
  call.n = weight.rows;
  call.k = weight.cols;
  call.a = {.data = x, .ld = weight.cols};
  call.b = {.data = decoded, .ld = weight.cols, .transposed = true};
  call.out = out;
  call.out_ld = weight.rows;
  return gemm.run(call, stream);
}

}  // namespace rotor::kernels
