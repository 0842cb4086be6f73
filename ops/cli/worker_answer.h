// rotor-worker asked for what it computes by itself: an evaluation, an analysis.
//
// Thread-safety: one thread. It runs in the foreground and writes its progress to this stderr.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "quant/base/status.h"

namespace rotor::cli {

struct WorkerAnswer {
  nlohmann::ordered_json result;  // its object, where the status is OK
  Status status;                  // what it said that went wrong, or how it ended
  std::optional<int> exit_code;   // that it ended with, where it failed by itself
};

/// Runs it with `arguments`. `what` is done, as "the evaluation", and gives `key` at least.
WorkerAnswer ask_worker(const std::vector<std::string>& arguments, const std::string& what,
                        const std::string& key);

}  // namespace rotor::cli
