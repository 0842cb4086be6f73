#include "kernels/library/rotor_kernels.h"

#include <optional>
#include <string>
#include <utility>

#include "kernels/gemm.h"
#include "kernels/packed_gemm.h"
#include "kernels/rotate_quantize.h"

namespace {

using rotor::Code;
using rotor::Result;
using rotor::Status;

std::string& last_error() {
  thread_local std::string text;
  return text;
}

rotor_status told(const Status& status) {
  if (status.ok()) {
    return ROTOR_OK;
  }
  last_error() = status.to_string();
  switch (status.code()) {
    case Code::kInvalidArgument:
      return ROTOR_INVALID_ARGUMENT;
    case Code::kUnimplemented:
    case Code::kFailedPrecondition:
      return ROTOR_UNSUPPORTED;
    case Code::kResourceExhausted:
      return ROTOR_OUT_OF_MEMORY;
    default:
      return ROTOR_CUDA_ERROR;
  }
}

Status null_argument(const char* name) {
  return rotor::invalid_argument(std::string(name) + " is null").with_reason("BAD_POINTER");
}

/// A value of a C enumeration, which may hold anything: those below `count`.
template <typename T, typename From>
Result<T> checked(const char* name, From value, int count) {
  const auto number = static_cast<int>(value);
  if (number < 0 || number >= count) {
    return rotor::invalid_argument(std::string(name) + " " + std::to_string(number) +
                                   ": rotor_kernels.h has no such value")
        .with_reason("BAD_VALUE");
  }
  return static_cast<T>(number);
}

Result<rotor::DType> dtype_of(rotor_scale_dtype dtype) {
  switch (dtype) {
    case ROTOR_SCALE_E4M3:
      return rotor::DType::kF8E4M3;
    case ROTOR_SCALE_E8M0:
      return rotor::DType::kU8;
    case ROTOR_SCALE_BF16:
      return rotor::DType::kBf16;
    case ROTOR_SCALE_F16:
      return rotor::DType::kF16;
    case ROTOR_SCALE_F32:
      return rotor::DType::kF32;
  }
  return rotor::invalid_argument("scale_dtype " + std::to_string(static_cast<int>(dtype)) +
                                 ": rotor_kernels.h has no such value")
      .with_reason("BAD_VALUE");
}

static_assert(static_cast<int>(rotor::Format::kInt4) == ROTOR_INT4);
static_assert(static_cast<int>(rotor::GlobalScale::kThree) == ROTOR_GLOBAL_THREE);
static_assert(static_cast<int>(rotor::ScaleSearch::kMse) == ROTOR_MSE);
static_assert(static_cast<int>(rotor::kernels::ScaleOrder::kTiles) == ROTOR_SCALES_IN_TILES);

/// A global scale belongs to one of the formats each.
Status check_global(const rotor::QuantScheme& scheme) {
  using rotor::Format;
  using rotor::GlobalScale;
  const bool fits =
      scheme.global == GlobalScale::kDivisor ||
      scheme.format == (scheme.global == GlobalScale::kThree ? Format::kMxfp4 : Format::kNvfp4);
  if (!fits) {
    return rotor::invalid_argument("a global scale of kind " +
                                   std::to_string(static_cast<int>(scheme.global)) + " for " +
                                   std::string(to_string(scheme.format)) +
                                   ": multipliers are for nvfp4, thirds for mxfp4")
        .with_reason("BAD_VALUE");
  }
  return {};
}

Result<rotor::QuantScheme> scheme_of(const rotor_weight_scheme* scheme) {
  if (scheme == nullptr) {
    return null_argument("scheme");
  }
  rotor::QuantScheme made;
  ROTOR_ASSIGN_OR_RETURN(made.format, checked<rotor::Format>("format", scheme->format, 3));
  ROTOR_ASSIGN_OR_RETURN(made.scale_dtype, dtype_of(scheme->scale_dtype));
  ROTOR_ASSIGN_OR_RETURN(made.global, checked<rotor::GlobalScale>("global", scheme->global, 3));
  made.group_size = scheme->group_size;
  ROTOR_RETURN_IF_ERROR(check_global(made));
  const bool int4 = made.format == rotor::Format::kInt4;
  const rotor::DType own =
      made.format == rotor::Format::kNvfp4 ? rotor::DType::kF8E4M3 : rotor::DType::kU8;
  const bool byte_sized = dtype_size(made.scale_dtype) == 1;
  if (int4 ? byte_sized : made.scale_dtype != own) {
    return rotor::invalid_argument("scale_dtype " + std::string(dtype_name(made.scale_dtype)) +
                                   " for " + std::string(to_string(made.format)) +
                                   ": nvfp4 has E4M3, mxfp4 E8M0, int4 BF16, F16 or F32")
        .with_reason("BAD_SCALE_DTYPE");
  }
  return made;
}

Result<rotor::kernels::PackedWeight> weight_of(const rotor_weight* weight) {
  if (weight == nullptr) {
    return null_argument("weight");
  }
  ROTOR_ASSIGN_OR_RETURN(const rotor::QuantScheme scheme, scheme_of(&weight->scheme));
  return rotor::kernels::PackedWeight{scheme, weight->rows, weight->cols, weight->global_scale,
                                      weight->packed};
}

Result<rotor::kernels::RotateQuantize> quantize_of(const rotor_quantize_args* args) {
  if (args == nullptr) {
    return null_argument("args");
  }
  rotor::kernels::RotateQuantize what;
  what.rows = args->rows;
  what.cols = args->cols;
  what.block = args->block;
  ROTOR_ASSIGN_OR_RETURN(const auto format, checked<rotor::Format>("format", args->format, 3));
  ROTOR_ASSIGN_OR_RETURN(what.scheme, make_scheme(format, 0, rotor::DType::kBf16));
  ROTOR_ASSIGN_OR_RETURN(what.scheme.global,
                         checked<rotor::GlobalScale>("global", args->global, 3));
  ROTOR_RETURN_IF_ERROR(check_global(what.scheme));
  ROTOR_ASSIGN_OR_RETURN(what.search, checked<rotor::ScaleSearch>("search", args->search, 2));
  ROTOR_ASSIGN_OR_RETURN(what.order, checked<rotor::kernels::ScaleOrder>("order", args->order, 2));
  what.global_scale = args->global_scale;
  what.amax = args->amax;
  return what;
}

}  // namespace

struct rotor_kernels {
  rotor::kernels::Gemm gemm;
};

extern "C" {

const char* rotor_kernels_version(void) {
  return ROTOR_VERSION;
}

const char* rotor_last_error(void) {
  return last_error().c_str();
}

int64_t rotor_scale_bytes(rotor_scale_order order, int64_t rows, int64_t groups) {
  return rotor::kernels::scale_bytes(static_cast<rotor::kernels::ScaleOrder>(order), rows, groups);
}

rotor_status rotor_quantize(const void* x, const rotor_quantize_args* args, uint8_t* codes,
                            uint8_t* scales, rotor_stream stream) {
  const Result<rotor::kernels::RotateQuantize> what = quantize_of(args);
  return told(what.ok() ? rotor::kernels::rotate_quantize(x, *what, codes, scales, stream)
                        : what.status());
}

rotor_status rotor_rotated_max_abs(const void* x, int64_t rows, int64_t cols, int64_t block,
                                   float* amax, rotor_stream stream) {
  return told(rotor::kernels::rotated_max_abs(x, rows, cols, block, amax, stream));
}

rotor_status rotor_packed_weight_bytes(const rotor_weight_scheme* scheme, int64_t rows,
                                       int64_t cols, int64_t* bytes) {
  if (bytes == nullptr) {
    return told(null_argument("bytes"));
  }
  const Result<rotor::QuantScheme> made = scheme_of(scheme);
  if (!made.ok()) {
    return told(made.status());
  }
  const Result<int64_t> size = rotor::kernels::packed_weight_bytes(*made, rows, cols);
  if (size.ok()) {
    *bytes = *size;
  }
  return told(size.status());
}

rotor_status rotor_pack_weight(const rotor_weight_scheme* scheme, int64_t rows, int64_t cols,
                               const uint8_t* codes, const uint8_t* scales, float global_scale,
                               void* packed, rotor_weight* weight, rotor_stream stream) {
  const Result<rotor::QuantScheme> made = scheme_of(scheme);
  if (!made.ok() || weight == nullptr) {
    return told(made.ok() ? null_argument("weight") : made.status());
  }
  const Result<rotor::kernels::PackedWeight> filled =
      rotor::kernels::pack_weight(*made, rows, cols, codes, scales, global_scale, packed, stream);
  if (filled.ok()) {
    *weight = {*scheme, rows, cols, global_scale, packed};
  }
  return told(filled.status());
}

rotor_status rotor_unpack_weight(const rotor_weight* weight, void* out, rotor_stream stream) {
  const Result<rotor::kernels::PackedWeight> from = weight_of(weight);
  return told(from.ok() ? rotor::kernels::unpack_weight(*from, out, stream) : from.status());
}

rotor_status rotor_kernels_create(rotor_stream stream, rotor_kernels** handle) {
  if (handle == nullptr) {
    return told(null_argument("handle"));
  }
  Result<rotor::kernels::Gemm> gemm = rotor::kernels::Gemm::create(stream);
  *handle = gemm.ok() ? new rotor_kernels{std::move(gemm).value()} : nullptr;
  return told(gemm.status());
}

void rotor_kernels_destroy(rotor_kernels* handle) {
  delete handle;
}

rotor_status rotor_gemm_workspace_bytes(const rotor_weight* weight, int64_t m, int64_t* bytes) {
  if (weight == nullptr || bytes == nullptr) {
    return told(null_argument(weight == nullptr ? "weight" : "bytes"));
  }
  const Result<int64_t> size = rotor::kernels::packed_gemm_workspace(m, weight->rows, weight->cols);
  if (size.ok()) {
    *bytes = *size;
  }
  return told(size.status());
}

rotor_status rotor_gemm(rotor_kernels* handle, const void* x, int64_t m, const rotor_weight* weight,
                        void* out, void* workspace, int64_t workspace_bytes, rotor_stream stream) {
  const Result<rotor::kernels::PackedWeight> from = weight_of(weight);
  if (handle == nullptr || !from.ok()) {
    return told(handle == nullptr ? null_argument("handle") : from.status());
  }
  return told(rotor::kernels::packed_gemm(handle->gemm, x, m, *from, out, workspace,
                                          workspace_bytes, stream));
}

}  // extern "C"
