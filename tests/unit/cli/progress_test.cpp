#include "ops/cli/progress.h"

#include <gtest/gtest.h>

#include <sstream>

namespace rotor::cli {
namespace {

v1::JobEvent at(int64_t seconds) {
  v1::JobEvent event;
  event.mutable_time()->set_seconds(seconds);
  return event;
}

v1::JobEvent running(int64_t seconds) {
  v1::JobEvent event = at(seconds);
  event.mutable_state()->set_state(v1::JOB_STATE_RUNNING);
  return event;
}

v1::JobEvent leased(int64_t seconds) {
  v1::JobEvent event = at(seconds);
  event.mutable_leased()->set_end_layer(4);
  event.mutable_leased()->set_worker("host-1");
  return event;
}

v1::JobEvent stage(int64_t seconds, int layer, int index, const std::string& module, double error) {
  v1::JobEvent event = at(seconds);
  event.mutable_stage()->set_layer(layer);
  event.mutable_stage()->set_stage(index);
  event.mutable_stage()->set_stages(4);
  v1::ModuleReport& report = *event.mutable_stage()->add_modules();
  report.set_name(module);
  report.set_relative_error(error);
  return event;
}

v1::JobEvent committed(int64_t seconds, int layer, int count) {
  v1::JobEvent event = at(seconds);
  event.mutable_committed()->set_layer(layer);
  event.mutable_committed()->set_committed_layers(count);
  event.mutable_committed()->set_layers(4);
  event.mutable_committed()->set_seconds(20);
  return event;
}

TEST(ProgressState, EstimatesFromThePaceSinceTheLease) {
  ProgressState state(4, 0);
  state.apply(running(100));
  state.apply(leased(100));
  EXPECT_FALSE(state.seconds_left(100).has_value());
  state.apply(stage(110, 0, 1, "model.layers.0.self_attn.o_proj", 0.01));
  // Half a layer in 10 s: 3.5 layers are left, 70 s; and it counts down.
  EXPECT_DOUBLE_EQ(*state.seconds_left(110), 70);
  EXPECT_DOUBLE_EQ(*state.seconds_left(115), 65);
  EXPECT_DOUBLE_EQ(*state.seconds_left(500), 0);
  state.apply(committed(120, 0, 1));
  EXPECT_DOUBLE_EQ(*state.seconds_left(120), 60);
  EXPECT_DOUBLE_EQ(state.fraction(), 0.25);
}

TEST(ProgressState, LayersResumedDoNotCountAsPace) {
  ProgressState state(4, 2);
  state.apply(running(100));
  state.apply(leased(100));
  state.apply(committed(130, 2, 3));
  EXPECT_DOUBLE_EQ(*state.seconds_left(130), 30);
}

TEST(ProgressState, ALostLeaseDropsWhatWasUnderWay) {
  ProgressState state(4, 0);
  state.apply(running(100));
  state.apply(leased(100));
  state.apply(stage(110, 0, 3, "a.b.c", 0.01));
  v1::JobEvent lost = at(120);
  lost.mutable_lost()->set_reason("EXPIRED");
  state.apply(lost);
  EXPECT_DOUBLE_EQ(state.fraction(), 0);
  EXPECT_FALSE(state.seconds_left(120).has_value());
}

TEST(ProgressBar, ShowsLayerModuleErrorAndTimeLeft) {
  ProgressState state(4, 0);
  state.apply(running(100));
  state.apply(leased(100));
  state.apply(committed(120, 0, 1));
  state.apply(stage(130, 1, 1, "model.layers.1.mlp.down_proj", 0.01234));
  EXPECT_EQ(progress_bar(state, 130),
            "[#######-------------] 1/4 layers  layer 1 stage 2/4  mlp.down_proj error 0.01234  "
            "50 s left");
}

TEST(ProgressBar, ShowsTheStateThatIsNotRunning) {
  EXPECT_EQ(progress_bar(ProgressState(4, 0), 0), "[--------------------] 0/4 layers  PENDING");
}

TEST(ProgressLine, SaysWhatEachEventIsWorth) {
  ProgressState state(4, 0);
  const auto line = [&](const v1::JobEvent& event) {
    state.apply(event);
    return progress_line(state, event, static_cast<double>(event.time().seconds()));
  };
  EXPECT_EQ(line(running(100)), "job is RUNNING");
  EXPECT_EQ(line(leased(100)), "layers 0-3 leased to host-1");
  EXPECT_EQ(line(stage(105, 0, 0, "model.layers.0.mlp.up_proj", 0.5)), "");
  EXPECT_EQ(line(stage(110, 0, 1, "model.layers.0.mlp.down_proj", 0.25)), "");
  EXPECT_EQ(line(committed(120, 0, 1)),
            "layer 0 committed (1/4) in 20 s, worst error 0.5 (mlp.up_proj), 1m00s left");
  v1::JobEvent paused = at(121);
  paused.mutable_state()->set_state(v1::JOB_STATE_PAUSED);
  paused.mutable_state()->mutable_cause()->set_message("the disk is full");
  EXPECT_EQ(line(paused), "job is PAUSED: the disk is full");
}

TEST(ProgressView, WritesLinesWithoutATerminalAndABarOnOne) {
  std::ostringstream out;
  std::ostringstream err;
  Console plain(out, err, OutputFormat::kHuman, Terminal{});
  ProgressView lines(plain, 4, 0);
  lines.event(leased(100));
  lines.tick();
  EXPECT_EQ(err.str(), "layers 0-3 leased to host-1\n");

  err.str("");
  Console terminal(out, err, OutputFormat::kHuman, Terminal{true, false, 30});
  {
    ProgressView bar(terminal, 4, 0);
    bar.event(leased(100));
    // Cut to the terminal's width, less one column for the cursor.
    EXPECT_EQ(err.str(), "\r\x1b[K[--------------------] 0/4 la");
  }
  EXPECT_EQ(err.str().substr(err.str().size() - 4), "\r\x1b[K");
  EXPECT_EQ(out.str(), "");
}

}  // namespace
}  // namespace rotor::cli
