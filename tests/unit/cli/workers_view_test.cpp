#include "ops/cli/workers_view.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace rotor::cli {
namespace {

v1::ListWorkersResponse two_ranks_of_which_one_was_heard() {
  v1::ListWorkersResponse workers;
  v1::WorkerGroup& group = *workers.add_groups();
  group.set_id(3);
  group.set_host("node-1");
  group.set_ranks(2);
  v1::RankState& heard = *group.add_rank_states();
  heard.set_memory_bytes(2'500'000'000);
  heard.set_cpu_cores(1.26);
  heard.set_wait_share(0.125);
  group.add_rank_states()->set_rank(1);
  return workers;
}

TEST(WorkersView, GivesFiguresOfARankOnceItWasHeard) {
  const std::string text = workers_text(two_ranks_of_which_one_was_heard());
  EXPECT_NE(text.find("2.5 GB    1.3    13%"), std::string::npos) << text;
  EXPECT_NE(text.find("     -      -      -"), std::string::npos) << text;
  const nlohmann::ordered_json ranks =
      workers_json(two_ranks_of_which_one_was_heard())["workers"][0]["rank_states"];
  EXPECT_EQ(ranks[0]["memory_bytes"], 2'500'000'000);
  EXPECT_FALSE(ranks[1].contains("memory_bytes")) << ranks;
}

}  // namespace
}  // namespace rotor::cli
