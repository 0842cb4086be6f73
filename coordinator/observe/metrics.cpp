#include "coordinator/observe/metrics.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace rotor::coordinator {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildHistogram;
using prometheus::Histogram;

constexpr int kThreads = 2;
constexpr size_t kLongestKind = 40;

const Histogram::BucketBoundaries kCallSeconds{0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600};
const Histogram::BucketBoundaries kLayerSeconds{0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800};
const Histogram::BucketBoundaries kErrors{1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1};

/// Kinds come from workers; one that is made up must not make a time series.
std::string kind_label(const std::string& kind) {
  const bool plain = !kind.empty() && kind.size() <= kLongestKind &&
                     std::all_of(kind.begin(), kind.end(),
                                 [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; });
  return plain ? kind : "OTHER";
}

}  // namespace

Metrics::Metrics() : registry_(std::make_shared<prometheus::Registry>()) {
  const auto counter = [this](const char* name, const char* help) {
    return &BuildCounter().Name(name).Help(help).Register(*registry_).Add({});
  };
  layers_ = counter("rotor_layers_committed_total", "Layers committed");
  tokens_ = counter("rotor_calibration_tokens_total",
                    "Calibration tokens that went through committed layers");
  uploaded_bytes_ = counter("rotor_uploaded_bytes_total", "Bytes of tensors that workers uploaded");
  layer_seconds_ = &BuildHistogram()
                        .Name("rotor_layer_seconds")
                        .Help("Time that a worker group took for a layer")
                        .Register(*registry_)
                        .Add({}, kLayerSeconds);
  module_errors_ = &BuildHistogram()
                        .Name("rotor_module_relative_error")
                        .Help("Relative error of each quantized module")
                        .Register(*registry_)
                        .Add({}, kErrors);
  fallbacks_ = &BuildCounter()
                    .Name("rotor_fallbacks_total")
                    .Help("Modules that could not be made as asked for")
                    .Register(*registry_);
  calls_ = &BuildCounter()
                .Name("rotor_calls_total")
                .Help("Calls that ended, by method and code")
                .Register(*registry_);
  call_seconds_ = &BuildHistogram()
                       .Name("rotor_call_seconds")
                       .Help("How long calls took, streams included")
                       .Register(*registry_);
}

void Metrics::layer_committed(const v1::LayerReport& report, int64_t tokens) {
  layers_->Increment();
  tokens_->Increment(static_cast<double>(tokens));
  layer_seconds_->Observe(report.seconds());
  for (const v1::ModuleReport& module : report.modules()) {
    module_errors_->Observe(module.relative_error());
    for (const v1::Fallback& fallback : module.fallbacks()) {
      fallbacks_->Add({{"kind", kind_label(fallback.kind())}}).Increment();
    }
  }
}

void Metrics::called(const std::string& method, const std::string& code, double seconds) {
  calls_->Add({{"method", method}, {"code", code}}).Increment();
  call_seconds_->Add({{"method", method}}, kCallSeconds).Observe(seconds);
}

Result<int> Metrics::listen(const std::string& address,
                            std::shared_ptr<prometheus::Collectable> look) {
  look_ = std::move(look);
  try {
    exposer_ = std::make_unique<prometheus::Exposer>(address, kThreads);
  } catch (const std::exception& error) {
    return listen_failed("metrics-listen", address, error.what());
  }
  exposer_->RegisterCollectable(registry_);
  exposer_->RegisterCollectable(look_);
  const std::vector<int> ports = exposer_->GetListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

}  // namespace rotor::coordinator
