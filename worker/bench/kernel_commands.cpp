#include "worker/bench/kernel_commands.h"

#ifdef ROTOR_HAVE_CUDA
#include "worker/bench/gemm_bench.h"
#include "worker/bench/quantize_bench.h"
#endif

namespace rotor::worker::bench {

KernelCommands::KernelCommands(CLI::App& app)
    : quantize_(app.add_subcommand("quantize-activations",
                                   "Time the fused rotation and FP4 quantization on this GPU, "
                                   "beside the unfused pair and a copy, as JSON")),
      gemm_(app.add_subcommand("gemm",
                               "Time products with packed 4-bit weights on this GPU, beside BF16 "
                               "through cuBLASLt and a copy, as JSON")) {
  for (CLI::App* command : {quantize_, gemm_}) {
    command->add_option("--format", formats_, "nvfp4, mxfp4 and, for gemm, int4; default nvfp4")
        ->delimiter(',')
        ->check(CLI::IsMember({"nvfp4", "mxfp4", "int4"}));
    command->add_option("--m", counts_, "Numbers of activations, as 1,16,8192")
        ->delimiter(',')
        ->check(CLI::PositiveNumber);
  }
  quantize_->add_option("--k", cols_, "Their widths; default 8192")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  quantize_->add_option("--rotation", rotations_, "Hadamard blocks; 1: none; default 128")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  quantize_->add_option("--scales", scales_, "Their order: tiles (default) or rows")
      ->check(CLI::IsMember({"tiles", "rows"}));
  quantize_->add_option("--scale-search", search_, "absmax (default) or mse")
      ->check(CLI::IsMember({"absmax", "mse"}));
  gemm_
      ->add_option("--shape", shape_,
                   "Outputs and inputs of one linear, as 8192,28672; default: those of Llama-70B "
                   "and Qwen3-32B")
      ->delimiter(',')
      ->expected(2)
      ->check(CLI::PositiveNumber);
}

Result<std::string> KernelCommands::run() const {
  return quantize_->parsed() ? run_quantize() : run_gemm();
}

#ifdef ROTOR_HAVE_CUDA

namespace {

std::vector<Format> formats_of(const std::vector<std::string>& names) {
  std::vector<Format> formats;
  for (const std::string& name : names) {
    for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
      if (name == to_string(format)) {
        formats.push_back(format);
      }
    }
  }
  return formats;
}

void replace(std::vector<int64_t>& values, const std::vector<int64_t>& given) {
  if (!given.empty()) {
    values = given;
  }
}

}  // namespace

Result<std::string> KernelCommands::run_quantize() const {
  QuantizeBenchOptions options;
  options.formats = formats_of(formats_);
  replace(options.rows, counts_);
  replace(options.cols, cols_);
  replace(options.blocks, rotations_);
  options.order = scales_ == "tiles" ? kernels::ScaleOrder::kTiles : kernels::ScaleOrder::kRows;
  options.search = search_ == "mse" ? ScaleSearch::kMse : ScaleSearch::kAbsmax;
  ROTOR_ASSIGN_OR_RETURN(const QuantizeBenchResult result, run_quantize_bench(options));
  return quantize_bench_json(options, result);
}

Result<std::string> KernelCommands::run_gemm() const {
  GemmBenchOptions options;
  options.formats = formats_of(formats_);
  replace(options.counts, counts_);
  if (!shape_.empty()) {
    options.shapes = {
        {std::to_string(shape_[0]) + " x " + std::to_string(shape_[1]), shape_[0], shape_[1]}};
  }
  ROTOR_ASSIGN_OR_RETURN(const GemmBenchResult result, run_gemm_bench(options));
  return gemm_bench_json(result);
}

#else

namespace {

Status no_cuda() {
  return unimplemented("this build has no CUDA: configure it with -DROTOR_CUDA=ON")
      .with_reason("NO_CUDA");
}

}  // namespace

Result<std::string> KernelCommands::run_quantize() const {
  return no_cuda();
}

Result<std::string> KernelCommands::run_gemm() const {
  return no_cuda();
}

#endif

}  // namespace rotor::worker::bench
