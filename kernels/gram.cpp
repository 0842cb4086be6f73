#include "kernels/gram.h"

#include "kernels/supported.h"
#include "kernels/triangle.h"

namespace rotor::kernels {

Status accumulate_gram(Gemm& gemm, const void* x, int64_t tokens, int64_t n, float* hessian,
                       cudaStream_t stream) {
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(tokens, n));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("hessian", hessian));
  const TriangleFactor factor{x, n, /*by_row=*/false};
  const TriangleUpdate update{.n = n,
                              .k = tokens,
                              .a = factor,
                              .b = factor,
                              .in_dtype = DType::kBf16,
                              .out = hessian,
                              .out_ld = n};
  return add_lower_product(gemm, update, stream);
}

}  // namespace rotor::kernels
