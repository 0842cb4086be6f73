#include <algorithm>
#include <functional>

#include "quant/engines/serving.h"

namespace rotor {
namespace {

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    text += (text.empty() ? "" : ", ") + part;
  }
  return text;
}

/// What happens on some GPUs of some versions with some tensor parallelism.
struct Clause {
  Verdict verdict;
  std::string what;
  std::string parallel;
  std::vector<std::string> gpus;
  std::vector<std::string> versions;
};

/// The clauses of one version.
std::vector<Clause> clauses_of(const ServedCheckpoint& checkpoint, Engine engine, int version) {
  const int most = largest_parallel(checkpoint);
  std::vector<Clause> clauses;
  const auto add = [&](Gpu gpu, const EngineRule* rule, const std::string& parallel) {
    const std::string what = describe(rule);
    auto at = std::find_if(clauses.begin(), clauses.end(), [&](const Clause& clause) {
      return clause.what == what && clause.parallel == parallel;
    });
    if (at == clauses.end()) {
      at = clauses.insert(at, {verdict_of(rule), what, parallel, {}, {}});
    }
    at->gpus.emplace_back(title(gpu));
  };
  for (const Gpu gpu : kGpus) {
    const EngineRule* one = find_rule(checkpoint, {engine, version, gpu, 1});
    const EngineRule* more = find_rule(checkpoint, {engine, version, gpu, most});
    const bool same = describe(one) == describe(more);
    if (most > 1 && same) {
      add(gpu, one, "up to " + std::to_string(most));
    } else {
      add(gpu, one, "1");
    }
    if (!same) {
      add(gpu, more, "over 1");
    }
  }
  return clauses;
}

std::vector<std::string> lines_where(const ServedCheckpoint& checkpoint,
                                     const std::function<bool(const Clause&)>& wanted) {
  std::vector<std::string> lines;
  for (const Engine engine : kEngines) {
    std::vector<Clause> clauses;
    const std::span<const std::string_view> versions = engine_versions(engine);
    for (int version = 0; version < std::ssize(versions); ++version) {
      for (Clause& clause : clauses_of(checkpoint, engine, version)) {
        auto at = std::find_if(clauses.begin(), clauses.end(), [&](const Clause& other) {
          return other.what == clause.what && other.parallel == clause.parallel &&
                 other.gpus == clause.gpus;
        });
        if (at == clauses.end()) {
          at = clauses.insert(at, std::move(clause));
        }
        at->versions.emplace_back(versions[static_cast<size_t>(version)]);
      }
    }
    for (const Clause& clause : clauses) {
      if (!wanted(clause)) {
        continue;
      }
      lines.push_back(std::string(title(engine)) + " " + joined(clause.versions) + ": " +
                      clause.what + " (" +
                      (clause.gpus.size() == std::size(kGpus) ? "any GPU" : joined(clause.gpus)) +
                      ", tensor parallelism " + clause.parallel + ")");
    }
  }
  return lines;
}

}  // namespace

std::vector<std::string> serving_lines(const ServedCheckpoint& checkpoint) {
  return lines_where(checkpoint, [](const Clause&) { return true; });
}

std::vector<std::string> rotation_warnings(const ServedCheckpoint& checkpoint) {
  if (*checkpoint.blocks.rbegin() == 0) {
    return {};
  }
  return lines_where(checkpoint,
                     [](const Clause& clause) { return clause.verdict > Verdict::kUnknown; });
}

}  // namespace rotor
