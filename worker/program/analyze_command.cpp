#include "worker/program/analyze_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "model/calibration/read_windows.h"
#include "model/model_files.h"
#include "quant/io/file.h"
#include "worker/analyze/analysis_json.h"
#include "worker/analyze/analyze.h"
#include "worker/program/show_progress.h"

namespace rotor::worker {
namespace {

std::vector<int> ascending(std::vector<int> layers) {
  std::sort(layers.begin(), layers.end());
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  return layers;
}

}  // namespace

Status run_analyze(Backend& backend, const AnalyzeOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  ROTOR_ASSIGN_OR_RETURN(const ModelFiles model,
                         open_model(posix_file_system(), options.directory));
  TextSource source;
  source.files = {options.windows};
  source.sequences = options.sequences;
  source.seq_len = options.seq_len;
  AnalyzeTask task;
  ROTOR_ASSIGN_OR_RETURN(task.windows,
                         read_calibration_windows(source, nullptr, model.architecture.config));
  task.layers = ascending(options.layers);
  task.time_a_layer = !options.no_timing;
  const int cores = std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
  const auto parallel = make_thread_pool(options.threads > 0 ? options.threads : cores);
  ROTOR_ASSIGN_OR_RETURN(const Analysis analysis,
                         analyze(backend, model, task, *parallel, show_progress));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  nlohmann::ordered_json out = {{"model_layers", model.architecture.layers.size()},
                                {"device", backend.info().name},
                                {"sequences", task.windows.sequences()},
                                {"seq_len", options.seq_len},
                                {"tokens", std::ssize(task.windows.ids)},
                                {"seconds", seconds.count()}};
  out.update(analysis_json(analysis));
  std::printf("%s\n", out.dump().c_str());
  return {};
}

}  // namespace rotor::worker
