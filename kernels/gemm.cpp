#include "kernels/gemm.h"

#include <algorithm>
#include <bit>
#include <string>

#include "kernels/cuda_status.h"

namespace rotor::kernels {
namespace {

constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;  // what cuBLAS advises for Hopper

Status check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) {
    return {};
  }
  return internal_error(std::string(what) + ": " + cublasLtGetStatusName(status) + " (" +
                        cublasLtGetStatusString(status) + ")")
      .with_reason("CUBLAS_ERROR")
      .with_detail("cublas_status", cublasLtGetStatusName(status));
}

/// cuBLASLt's descriptors, each freed by its own function.
template <typename Handle, cublasStatus_t (*kDestroy)(Handle)>
class Descriptor {
 public:
  Descriptor() = default;
  ~Descriptor() {
    if (handle_ != nullptr) {
      (void)kDestroy(handle_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Handle* address() { return &handle_; }
  Handle get() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};

using MatmulDesc = Descriptor<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Descriptor<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Descriptor<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cudaDataType_t cuda_type(DType dtype) {
  switch (dtype) {
    case DType::kBf16:
      return CUDA_R_16BF;
    case DType::kF16:
      return CUDA_R_16F;
    default:
      return CUDA_R_32F;
  }
}

template <typename T>
Status set(const MatmulDesc& desc, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  return check(cublasLtMatmulDescSetAttribute(desc.get(), attribute, &value, sizeof(value)),
               "cublasLtMatmulDescSetAttribute");
}

/// A row-major [rows, cols] operand with leading dimension ld is cuBLASLt's [cols, rows].
Status make_layout(Layout& layout, DType dtype, int64_t rows, int64_t cols, int64_t ld,
                   int64_t batch, int64_t stride) {
  ROTOR_RETURN_IF_ERROR(check(
      cublasLtMatrixLayoutCreate(layout.address(), cuda_type(dtype), static_cast<uint64_t>(cols),
                                 static_cast<uint64_t>(rows), ld),
      "cublasLtMatrixLayoutCreate"));
  if (batch == 1) {
    return {};
  }
  const auto count = static_cast<int32_t>(batch);
  ROTOR_RETURN_IF_ERROR(
      check(cublasLtMatrixLayoutSetAttribute(layout.get(), CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                             &count, sizeof(count)),
            "cublasLtMatrixLayoutSetAttribute"));
  return check(
      cublasLtMatrixLayoutSetAttribute(layout.get(), CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                       &stride, sizeof(stride)),
      "cublasLtMatrixLayoutSetAttribute");
}

/// The layouts of a call: b and a change places, since the transpose of the product is what a
/// column-major library sees.
struct Layouts {
  Layout first;   // of b
  Layout second;  // of a
  Layout out;

  Status make(const GemmCall& call) {
    const GemmOperand& a = call.a;
    const GemmOperand& b = call.b;
    ROTOR_RETURN_IF_ERROR(make_layout(first, call.in_dtype, b.transposed ? call.n : call.k,
                                      b.transposed ? call.k : call.n, b.ld, call.batch,
                                      b.batch_stride));
    ROTOR_RETURN_IF_ERROR(make_layout(second, call.in_dtype, a.transposed ? call.k : call.m,
                                      a.transposed ? call.m : call.k, a.ld, call.batch,
                                      a.batch_stride));
    return make_layout(out, call.out_dtype, call.m, call.n, call.out_ld, call.batch,
                       call.out_batch_stride);
  }
};

Status make_desc(MatmulDesc& desc, const GemmCall& call) {
  const bool tf32 = call.in_dtype == DType::kF32 && !call.full_f32;
  ROTOR_RETURN_IF_ERROR(check(
      cublasLtMatmulDescCreate(
          desc.address(), tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
      "cublasLtMatmulDescCreate"));
  const auto operation = [](const GemmOperand& operand) {
    return operand.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  ROTOR_RETURN_IF_ERROR(set(desc, CUBLASLT_MATMUL_DESC_TRANSA, operation(call.b)));
  ROTOR_RETURN_IF_ERROR(set(desc, CUBLASLT_MATMUL_DESC_TRANSB, operation(call.a)));
  if (call.bias == nullptr) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS));
  ROTOR_RETURN_IF_ERROR(
      set(desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, int32_t{cuda_type(call.out_dtype)}));
  return set(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, call.bias);
}

/// The call whose algorithm this one takes.
GemmCall canonical(const GemmCall& call) {
  GemmCall result = call;
  if (call.any_m) {
    result.m = kCanonicalSize;
    if (call.a.transposed) {
      result.a.ld = std::max(call.a.ld, kCanonicalSize);
    }
  }
  if (call.any_n) {
    result.n = kCanonicalSize;
    result.out_ld = kCanonicalSize;
    if (!call.b.transposed) {
      result.b.ld = kCanonicalSize;
    }
  }
  if (call.any_k) {
    result.k = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(call.k)));
  }
  return result;
}

Result<cublasLtMatmulAlgo_t> choose(cublasLtHandle_t handle, const MatmulDesc& desc,
                                    const GemmCall& call) {
  Layouts layouts;
  ROTOR_RETURN_IF_ERROR(layouts.make(call));
  Preference preference;
  ROTOR_RETURN_IF_ERROR(check(cublasLtMatmulPreferenceCreate(preference.address()),
                              "cublasLtMatmulPreferenceCreate"));
  const auto workspace = static_cast<uint64_t>(kWorkspaceBytes);
  ROTOR_RETURN_IF_ERROR(check(cublasLtMatmulPreferenceSetAttribute(
                                  preference.get(), CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                  &workspace, sizeof(workspace)),
                              "cublasLtMatmulPreferenceSetAttribute"));
  const uint32_t unsplit = CUBLASLT_REDUCTION_SCHEME_NONE;
  ROTOR_RETURN_IF_ERROR(check(
      cublasLtMatmulPreferenceSetAttribute(
          preference.get(), CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &unsplit, sizeof(unsplit)),
      "cublasLtMatmulPreferenceSetAttribute"));
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  ROTOR_RETURN_IF_ERROR(
      check(cublasLtMatmulAlgoGetHeuristic(handle, desc.get(), layouts.first.get(),
                                           layouts.second.get(), layouts.out.get(),
                                           layouts.out.get(), preference.get(), 1, &found, &count),
            "cublasLtMatmulAlgoGetHeuristic"));
  ROTOR_RETURN_IF_ERROR(check(count > 0 ? found.state : CUBLAS_STATUS_NOT_SUPPORTED,
                              "cublasLtMatmulAlgoGetHeuristic"));
  return found.algo;
}

std::string describe(const GemmCall& call) {
  return "product [" + std::to_string(call.m) + ", " + std::to_string(call.k) + "] x [" +
         std::to_string(call.k) + ", " + std::to_string(call.n) + "]";
}

}  // namespace

void Gemm::Destroy::operator()(cublasLtHandle_t handle) const {
  (void)cublasLtDestroy(handle);
}

Result<Gemm> Gemm::create(cudaStream_t stream) {
  Gemm gemm;
  cublasLtHandle_t handle = nullptr;
  ROTOR_RETURN_IF_ERROR(check(cublasLtCreate(&handle), "cublasLtCreate"));
  gemm.handle_.reset(handle);
  ROTOR_ASSIGN_OR_RETURN(gemm.workspace_, Scratch::allocate(kWorkspaceBytes, stream));
  return gemm;
}

Status Gemm::run(const GemmCall& call, cudaStream_t stream) {
  if (call.m == 0 || call.n == 0 || call.batch == 0) {
    return {};
  }
  const GemmCall model = canonical(call);
  const Key key{model.m,
                model.n,
                model.k,
                model.a.ld,
                model.b.ld,
                model.out_ld,
                model.batch,
                model.a.batch_stride,
                model.b.batch_stride,
                model.out_batch_stride,
                model.a.transposed,
                model.b.transposed,
                model.full_f32,
                model.bias != nullptr,
                model.beta != 0.0F,
                model.in_dtype,
                model.out_dtype};
  MatmulDesc desc;
  ROTOR_RETURN_IF_ERROR(make_desc(desc, call).with_context(describe(call)));
  auto found = algorithms_.find(key);
  if (found == algorithms_.end()) {
    Result<cublasLtMatmulAlgo_t> chosen = choose(handle_.get(), desc, model);
    ROTOR_RETURN_IF_ERROR(chosen.status().with_context(describe(call)));
    found = algorithms_.emplace(key, *chosen).first;
  }
  Layouts layouts;
  ROTOR_RETURN_IF_ERROR(layouts.make(call));
  return check(cublasLtMatmul(handle_.get(), desc.get(), &call.alpha, call.b.data,
                              layouts.first.get(), call.a.data, layouts.second.get(), &call.beta,
                              call.out, layouts.out.get(), call.out, layouts.out.get(),
                              &found->second, workspace_.data(),
                              static_cast<size_t>(kWorkspaceBytes), stream),
               "cublasLtMatmul")
      .with_context(describe(call));
}

}  // namespace rotor::kernels
