#include "ops/cli/progress.h"

#include <algorithm>

#include "proto/convert.h"
#include "quant/base/units.h"

namespace rotor::cli {
namespace {

constexpr int kBarCells = 20;

double seconds(const google::protobuf::Timestamp& time) {
  return static_cast<double>(time.seconds()) + 1e-9 * static_cast<double>(time.nanos());
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string error_text(double error) {
  return format_number("%.4g", error);
}

/// "model.layers.3.mlp.down_proj" -> "mlp.down_proj": the layer stands beside it already.
std::string short_name(const std::string& name) {
  const size_t dot = name.find_last_of('.');
  const size_t before = dot == std::string::npos ? dot : name.find_last_of('.', dot - 1);
  return before == std::string::npos ? name : name.substr(before + 1);
}

std::string left_text(const ProgressState& state, double now) {
  const std::optional<double> left = state.seconds_left(now);
  return left ? ", " + format_duration(*left) + " left" : "";
}

std::string forward_text(const v1::RunForward& forward) {
  return "running forward to layer " + std::to_string(forward.until_layer()) + ", at layer " +
         std::to_string(forward.layer());
}

std::string layer_range(int first, int end) {
  return end - first == 1 ? "layer " + std::to_string(first)
                          : "layers " + std::to_string(first) + "-" + std::to_string(end - 1);
}

}  // namespace

void ProgressState::apply(const v1::JobEvent& event) {
  if (event.has_stage() || event.has_committed()) {
    last_progress_ = seconds(event.time());
  }
  if (event.has_state()) {
    state_ = event.state().state();
  } else if (event.has_leased()) {
    // A watch that begins in the middle has not seen the job start.
    state_ = v1::JOB_STATE_RUNNING;
    committed_ = std::max(committed_, event.leased().committed_layers());
    layers_ = std::max(layers_, event.leased().end_layer());
    if (!pace_start_) {
      pace_start_ = seconds(event.time());
      done_at_pace_start_ = layers_done();
    }
  } else if (event.has_forward()) {
    forward_ = event.forward();
  } else if (event.has_stage()) {
    forward_.reset();
    layer_ = event.stage().layer();
    stage_ = event.stage().stage();
    stages_ = event.stage().stages();
    module_.Clear();
    for (const v1::ModuleReport& module : event.stage().modules()) {
      if (module_.name().empty() || module.relative_error() > module_.relative_error()) {
        module_ = module;
      }
      v1::ModuleReport& worst = worst_[layer_];
      if (worst.name().empty() || module.relative_error() > worst.relative_error()) {
        worst = module;
      }
    }
    under_way_[layer_] = stages_ > 0 ? static_cast<double>(stage_ + 1) / stages_ : 0;
  } else if (event.has_committed()) {
    committed_ = event.committed().committed_layers();
    layers_ = event.committed().layers();
    under_way_.erase(event.committed().layer());
    std::erase_if(worst_, [&](const auto& entry) {
      return entry.first != event.committed().layer() && !under_way_.contains(entry.first);
    });
  } else if (event.has_lost()) {
    // What was under way is done again, at a pace that says nothing about the time that was lost.
    under_way_.clear();
    forward_.reset();
    pace_start_.reset();
  }
}

double ProgressState::layers_done() const {
  double done = committed_;
  for (const auto& [layer, share] : under_way_) {
    done += share;
  }
  return done;
}

double ProgressState::fraction() const {
  return layers_ > 0 ? std::min(1.0, layers_done() / layers_) : 0;
}

std::optional<double> ProgressState::seconds_left(double now) const {
  const double done = layers_done() - done_at_pace_start_;
  if (state_ != v1::JOB_STATE_RUNNING || !pace_start_ || done <= 0) {
    return std::nullopt;
  }
  const double pace = (last_progress_ - *pace_start_) / done;
  return std::max(0.0, pace * (layers_ - layers_done()) - (now - last_progress_));
}

v1::ModuleReport ProgressState::worst_of(int layer) const {
  const auto found = worst_.find(layer);
  return found != worst_.end() ? found->second : v1::ModuleReport();
}

std::string progress_bar(const ProgressState& state, double now) {
  const int filled = static_cast<int>(state.fraction() * kBarCells + 1e-9);
  std::string bar = "[" + std::string(static_cast<size_t>(filled), '#') +
                    std::string(static_cast<size_t>(kBarCells - filled), '-') + "] " +
                    std::to_string(state.committed_layers()) + "/" +
                    std::to_string(state.layers()) + " layers";
  if (state.state() != v1::JOB_STATE_RUNNING) {
    return bar + "  " + state_name(state.state());
  }
  if (state.forward()) {
    return bar + "  " + forward_text(*state.forward());
  }
  if (state.layer() >= 0) {
    bar += "  layer " + std::to_string(state.layer()) + " stage " +
           std::to_string(state.stage() + 1) + "/" + std::to_string(state.stages());
  }
  if (!state.module().name().empty()) {
    bar += "  " + short_name(state.module().name()) + " error " +
           error_text(state.module().relative_error());
  }
  if (const std::optional<double> left = state.seconds_left(now)) {
    bar += "  " + format_duration(*left) + " left";
  }
  return bar;
}

std::string progress_line(const ProgressState& state, const v1::JobEvent& event, double now) {
  if (event.has_state()) {
    const v1::StateChanged& change = event.state();
    std::string line = "job is " + state_name(change.state());
    if (change.has_cause() && !change.cause().message().empty()) {
      line += ": " + change.cause().message();
    }
    return line;
  }
  if (event.has_leased()) {
    return layer_range(event.leased().first_layer(), event.leased().end_layer()) + " leased to " +
           event.leased().worker();
  }
  if (event.has_forward()) {
    return forward_text(event.forward());
  }
  if (event.has_committed()) {
    const v1::LayerCommitted& done = event.committed();
    std::string line = "layer " + std::to_string(done.layer()) + " committed (" +
                       std::to_string(done.committed_layers()) + "/" +
                       std::to_string(done.layers()) + ") in " + format_duration(done.seconds());
    if (const v1::ModuleReport worst = state.worst_of(done.layer()); !worst.name().empty()) {
      line += ", worst error " + error_text(worst.relative_error()) + " (" +
              short_name(worst.name()) + ")";
    }
    return line + left_text(state, now);
  }
  if (event.has_lost()) {
    return "the lease of layer " + std::to_string(event.lost().first_layer()) +
           " and on was lost: " + event.lost().reason();
  }
  if (event.has_assembled()) {
    return "checkpoint written: " + std::to_string(event.assembled().files()) + " files, " +
           format_bytes(event.assembled().bytes());
  }
  return "";
}

void ProgressView::event(const v1::JobEvent& event) {
  state_.apply(event);
  const bool bar = console_.terminal().progress_bar;
  // The bar tells of stages and commits; losing a lease and changes of state stay on the screen.
  if (!bar || event.has_lost() || (event.has_state() && event.state().has_cause())) {
    if (const std::string line = progress_line(state_, event, now_seconds()); !line.empty()) {
      console_.note(line);
    }
  }
  tick();
}

void ProgressView::tick() {
  console_.draw_bar(progress_bar(state_, now_seconds()));
}

}  // namespace rotor::cli
