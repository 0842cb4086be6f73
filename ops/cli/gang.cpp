#include "ops/cli/gang.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

namespace rotor::cli {

int default_threads(int ranks) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const int cores = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
  return std::max(1, cores / ranks);
}

std::vector<std::string> gang_argv(const GangSetup& setup, const std::string& coordinator,
                                   bool as_root) {
  std::vector<std::string> argv = {setup.mpirun};
  if (as_root) {
    argv.emplace_back("--allow-run-as-root");
  }
  argv.insert(argv.end(), {"--oversubscribe", "--bind-to", "none", "-n",
                           std::to_string(setup.ranks), setup.worker, "--coordinator", coordinator,
                           "--device", setup.device, "--threads", std::to_string(setup.threads)});
  if (setup.ranks_per_group > 0) {
    argv.insert(argv.end(), {"--group-size", std::to_string(setup.ranks_per_group)});
  }
  if (setup.device_memory > 0) {
    argv.insert(argv.end(), {"--device-memory", std::to_string(setup.device_memory)});
  }
  if (!setup.token_file.empty()) {
    argv.insert(argv.end(), {"--token-file", setup.token_file});
  }
  return argv;
}

Status Gang::start(const std::string& coordinator) {
  // SIGTERM, not SIGKILL, when this program dies: a killed mpirun leaves its ranks running.
  ROTOR_ASSIGN_OR_RETURN(
      process_,
      ChildProcess::start({gang_argv(setup_, coordinator, geteuid() == 0), setup_.log, SIGTERM}));
  return {};
}

void Gang::drain() {
  // mpirun passes SIGUSR1 on and waits; on SIGTERM it kills its ranks after one second.
  if (process_) {
    process_->signal(SIGUSR1);
  }
}

void Gang::kill() {
  if (process_) {
    process_->kill_group();
    kill_orphans();
    process_.reset();
  }
}

}  // namespace rotor::cli
