#include "ops/cli/gang.h"

#include <gtest/gtest.h>

namespace rotor::cli {
namespace {

std::string joined(const std::vector<std::string>& argv) {
  std::string text;
  for (const std::string& argument : argv) {
    text += (text.empty() ? "" : " ") + argument;
  }
  return text;
}

GangSetup setup() {
  GangSetup setup;
  setup.mpirun = "/usr/bin/mpirun";
  setup.worker = "/opt/rotor-worker";
  setup.ranks = 4;
  setup.threads = 2;
  setup.device = "cpu";
  return setup;
}

TEST(GangArgv, StartsTheRanks) {
  EXPECT_EQ(joined(gang_argv(setup(), "127.0.0.1:7", false)),
            "/usr/bin/mpirun --oversubscribe --bind-to none -n 4 "
            "/opt/rotor-worker --coordinator 127.0.0.1:7 --device cpu --threads 2");
}

TEST(GangArgv, ConsentsToRootAndCutsGroups) {
  GangSetup groups = setup();
  groups.ranks_per_group = 2;
  const std::string line = joined(gang_argv(groups, "127.0.0.1:7", true));
  EXPECT_EQ(line.find("/usr/bin/mpirun --allow-run-as-root "), 0U);
  EXPECT_NE(line.find(" --group-size 2"), std::string::npos);
}

TEST(GangArgv, PassesTheMemoryOnWhereItIsGiven) {
  GangSetup limited = setup();
  limited.device_memory = 20'000'000'000;
  EXPECT_NE(joined(gang_argv(limited, "127.0.0.1:7", false)).find(" --device-memory 20000000000"),
            std::string::npos);
}

TEST(DefaultThreads, SharesTheCoresOut) {
  EXPECT_GE(default_threads(1), 1);
  EXPECT_EQ(default_threads(1000000), 1);
}

}  // namespace
}  // namespace rotor::cli
