#include "coordinator/observe/status_html.h"

#include <gtest/gtest.h>

#include <regex>

namespace rotor::coordinator {
namespace {

constexpr char kHostile[] = "x\"'><script>alert(1)</script>&\x1b[2J";

StatusView hostile_view() {
  StatusView view;
  view.now_seconds = 4000;
  v1::Job job;
  job.set_name(kHostile);
  job.set_state(v1::JOB_STATE_RUNNING);
  job.set_layers(3);
  job.set_committed_layers(2);
  job.set_owner(kHostile);
  job.set_output_path(kHostile);
  job.set_seconds_left(61);
  job.mutable_create_time()->set_seconds(400);
  job.mutable_cause()->set_reason(kHostile);
  job.mutable_cause()->set_message(kHostile);
  view.jobs.push_back({job, {{0, 1e-5}, {1, 0.5}}});
  v1::WorkerGroup* group = view.workers.add_groups();
  group->set_host(kHostile);
  group->set_device(kHostile);
  group->set_job(kHostile);
  group->set_doing(kHostile);
  v1::RankState* rank = group->add_rank_states();
  rank->set_host(kHostile);
  rank->set_straggler(true);
  return view;
}

TEST(StatusHtml, EscapesWhateverCameFromElsewhere) {
  const std::string page = status_html(hostile_view());
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find('\x1b'), std::string::npos);
  size_t escaped = 0;
  for (size_t at = page.find("&lt;script"); at != std::string::npos;
       at = page.find("&lt;script", at + 1)) {
    ++escaped;
  }
  EXPECT_EQ(escaped, 10U);  // every field of the view, and none is dropped
}

TEST(StatusHtml, NeedsNothingFromElsewhere) {
  const std::string page = status_html(hostile_view());
  EXPECT_FALSE(std::regex_search(page, std::regex("<(script|link|img|iframe|object|embed)|src=|"
                                                  "href=|@import|url\\(")));
}

TEST(StatusHtml, ShowsLayersColouredByTheirErrors) {
  const std::string page = status_html(hostile_view());
  EXPECT_NE(page.find("title=\"layer 0, error 1.00e-05\" style=\"background:hsl(130,"),
            std::string::npos);
  EXPECT_NE(page.find("title=\"layer 1, error 5.00e-01\" style=\"background:hsl(0,"),
            std::string::npos);
  EXPECT_NE(page.find("<i title=\"layer 2\"></i>"), std::string::npos);
  EXPECT_NE(page.find("max=\"3\" value=\"2\""), std::string::npos);
  EXPECT_NE(page.find("1m01s"), std::string::npos);
  EXPECT_NE(page.find("1h00m"), std::string::npos);
}

}  // namespace
}  // namespace rotor::coordinator
