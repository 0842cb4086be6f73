#include "quant/scheme.h"

namespace rotor {
namespace {

GlobalScale global_of(Format format, Layout layout) {
  if (format == Format::kNvfp4 && layout == Layout::kModelOpt) {
    return GlobalScale::kMultiplier;
  }
  if (format == Format::kMxfp4 && layout == Layout::kFpQuant) {
    return GlobalScale::kThree;
  }
  return GlobalScale::kDivisor;
}

}  // namespace

Result<QuantScheme> make_scheme(Format format, int64_t int4_group, DType model_dtype,
                                Layout layout) {
  QuantScheme scheme;
  switch (format) {
    case Format::kNvfp4:
      scheme = {format, 16, DType::kF8E4M3, global_of(format, layout)};
      break;
    case Format::kMxfp4:
      scheme = {format, 32, DType::kU8, global_of(format, layout)};
      break;
    case Format::kInt4:
      scheme = {format, int4_group == 0 ? 128 : int4_group, model_dtype, GlobalScale::kDivisor};
      if (scheme.group_size < 0 || scheme.group_size % 8 != 0) {
        return invalid_argument("group size " + std::to_string(int4_group) +
                                " for int4: choose a positive multiple of 8, such as 32 or 128")
            .with_reason("BAD_GROUP_SIZE");
      }
      if (model_dtype != DType::kBf16 && model_dtype != DType::kF16 && model_dtype != DType::kF32) {
        return invalid_argument("int4 scales are stored in the model's dtype, and " +
                                std::string(dtype_name(model_dtype)) +
                                " cannot hold them: convert the model to BF16, F16 or F32")
            .with_reason("BAD_SCALE_DTYPE");
      }
      return scheme;
  }
  if (int4_group != 0 && int4_group != scheme.group_size) {
    return invalid_argument("group size " + std::to_string(int4_group) + " for " +
                            std::string(to_string(format)) + ": its group is always " +
                            std::to_string(scheme.group_size) + "; leave --group-size out")
        .with_reason("BAD_GROUP_SIZE");
  }
  return scheme;
}

bool has_global_scale(const QuantScheme& scheme) {
  return scheme.format == Format::kNvfp4 || scheme.global == GlobalScale::kThree;
}

std::string_view to_string(Format value) {
  switch (value) {
    case Format::kNvfp4:
      return "nvfp4";
    case Format::kMxfp4:
      return "mxfp4";
    case Format::kInt4:
      return "int4";
  }
  return "?";
}

std::string_view to_string(Method value) {
  switch (value) {
    case Method::kRtn:
      return "rtn";
    case Method::kGptq:
      return "gptq";
    case Method::kMrGptq:
      return "mr-gptq";
  }
  return "?";
}

std::string_view to_string(ScaleSearch value) {
  return value == ScaleSearch::kAbsmax ? "absmax" : "mse";
}

std::string_view to_string(Activations value) {
  return value == Activations::kA16 ? "a16" : "a4";
}

std::string_view to_string(Layout value) {
  switch (value) {
    case Layout::kCompressedTensors:
      return "compressed-tensors";
    case Layout::kFpQuant:
      return "fp-quant";
    case Layout::kModelOpt:
      return "modelopt";
    case Layout::kGptOss:
      return "gpt-oss";
  }
  return "?";
}

}  // namespace rotor
