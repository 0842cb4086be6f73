#include "worker/pipeline/starved_experts.h"

#include <string>
#include <vector>

namespace rotor::worker {
namespace {

/// Tokens of each expert if they were spread evenly.
double fair_share(int64_t routed, int64_t experts) {
  return static_cast<double>(routed) / static_cast<double>(experts);
}

}  // namespace

bool is_starved(int64_t tokens, int64_t routed, int64_t experts, double least_share) {
  return tokens == 0 || static_cast<double>(tokens) < least_share * fair_share(routed, experts);
}

void round_starved(int64_t tokens, int64_t routed, int64_t experts, StagePlan* plan) {
  std::string why = "the expert saw " + std::to_string(tokens) +
                    " tokens of the calibration set, where a fair share is " +
                    std::to_string(fair_share(routed, experts)) +
                    ": rounded to nearest, with mse scales";
  if (tokens == 0) {
    why += "; its errors are those of the weights alone";
  }
  for (ModulePlan& module : plan->modules) {
    if (module.method != Method::kRtn) {
      module.method = Method::kRtn;
      module.scale_search = ScaleSearch::kMse;
      module.notes.push_back({"ROUND_TO_NEAREST", why});
    }
  }
}

Status fill_identity(Backend& backend, const Tensor& hessian) {
  const auto width = static_cast<size_t>(hessian.cols());
  std::vector<float> identity(width * width, 0.0F);
  for (size_t c = 0; c < width; ++c) {
    identity[c * (width + 1)] = 1.0F;
  }
  return backend.upload(identity.data(), hessian.bytes(), hessian);
}

}  // namespace rotor::worker
