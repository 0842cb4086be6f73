// On whose behalf a job is submitted, and within what bounds. Plain values.
#pragma once

#include <string>
#include <vector>

namespace rotor::coordinator {

struct Submitter {
  std::string owner;       // name of the token; empty: there are no tokens
  int most_open_jobs = 0;  // 0: no bound
  // Each replaces the coordinator's own, below which it lies; empty: the coordinator's.
  std::string model_root;
  std::vector<std::string> data_roots;
  std::string output_root;
};

}  // namespace rotor::coordinator
