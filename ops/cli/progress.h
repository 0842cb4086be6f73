// What is known of a running job from its events, and how that is shown: as one bar that is drawn
// again on a terminal, as lines elsewhere. Thread-safety: one thread. Never fails.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "ops/cli/console.h"
#include "rotor/v1/jobs.pb.h"

namespace rotor::cli {

class ProgressState {
 public:
  /// Before the first event: 0 layers where their number is not known yet.
  ProgressState(int layers, int committed) : layers_(layers), committed_(committed) {}

  void apply(const v1::JobEvent& event);

  v1::JobState state() const { return state_; }
  int layers() const { return layers_; }
  int committed_layers() const { return committed_; }
  /// 0..1, counting the stages of layers that are under way.
  double fraction() const;
  /// From the pace since the job was last leased; nothing before the first stage is done.
  std::optional<double> seconds_left(double now) const;

  /// Set while a group brings the activations to its first open layer.
  const std::optional<v1::RunForward>& forward() const { return forward_; }
  int layer() const { return layer_; }
  int stage() const { return stage_; }
  int stages() const { return stages_; }
  /// The worst module of the stage that ended last.
  const v1::ModuleReport& module() const { return module_; }
  /// The worst module of a layer so far; empty name where none was reported.
  v1::ModuleReport worst_of(int layer) const;

 private:
  double layers_done() const;

  v1::JobState state_ = v1::JOB_STATE_PENDING;
  int layers_;
  int committed_;
  int layer_ = -1;
  int stage_ = 0;
  int stages_ = 0;
  std::optional<v1::RunForward> forward_;
  v1::ModuleReport module_;
  std::map<int, double> under_way_;        // layer -> share of its stages that is done
  std::map<int, v1::ModuleReport> worst_;  // of layers under way and of the last committed one
  std::optional<double> pace_start_;       // seconds since the epoch
  double done_at_pace_start_ = 0;          // layers
  double last_progress_ = 0;               // seconds since the epoch
};

/// "[######--------------]  3/8 layers  layer 3 stage 2/4  mlp.down_proj error 0.0123  1m20s left"
std::string progress_bar(const ProgressState& state, double now);
/// The line that an event is worth where there is no bar, after it was applied; empty: none.
std::string progress_line(const ProgressState& state, const v1::JobEvent& event, double now);

/// Shows events as they come.
class ProgressView {
 public:
  ProgressView(Console& console, int layers, int committed)
      : console_(console), state_(layers, committed) {}
  ~ProgressView() { console_.draw_bar(""); }
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;

  void event(const v1::JobEvent& event);
  /// Draws the bar again, so that the time left counts down.
  void tick();
  const ProgressState& state() const { return state_; }

 private:
  Console& console_;
  ProgressState state_;
};

}  // namespace rotor::cli
