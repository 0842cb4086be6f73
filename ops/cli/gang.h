// The local gang of one `rotor quantize`: mpirun and its ranks. Thread-safety: one thread. The gang
// dies with this object and with this program.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ops/cli/options.h"
#include "ops/cli/process.h"

namespace rotor::cli {

struct GangSetup {
  std::string mpirun;  // path
  std::string worker;  // path of rotor-worker
  int ranks = 1;
  int ranks_per_group = 0;  // 0: one group
  int threads = 1;          // of a rank
  std::string device = "auto";
  int64_t device_memory = 0;  // bytes; 0: all
  std::string token_file;     // empty: none
  std::filesystem::path log;
};

/// Threads of a rank where the user named none: the cores shared out, at least one.
int default_threads(int ranks);
/// The command line of mpirun. `as_root` adds the consent that Open MPI wants from root.
std::vector<std::string> gang_argv(const GangSetup& setup, const std::string& coordinator,
                                   bool as_root);

class Gang {
 public:
  explicit Gang(GangSetup setup) : setup_(std::move(setup)) {}
  ~Gang() { kill(); }
  Gang(const Gang&) = delete;
  Gang& operator=(const Gang&) = delete;

  Status start(const std::string& coordinator);
  /// The end of mpirun, once it has ended, until the next start.
  std::optional<ExitStatus> poll() { return process_ ? process_->poll() : std::nullopt; }
  /// Asks every rank to commit what it can within 20 s and to end.
  void drain();
  /// mpirun, and ranks that outlived it.
  void kill();
  const GangSetup& setup() const { return setup_; }

 private:
  GangSetup setup_;
  std::optional<ChildProcess> process_;
};

}  // namespace rotor::cli
