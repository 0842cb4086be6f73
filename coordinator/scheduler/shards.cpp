#include "coordinator/scheduler/shards.h"

#include <algorithm>

namespace rotor::coordinator {
namespace {

/// Layers that are neither committed nor leased.
std::vector<bool> free_layers(const ShardState& state) {
  std::vector<bool> open(state.committed.size());
  for (size_t i = 0; i < open.size(); ++i) {
    const auto layer = static_cast<int32_t>(i);
    const bool held = std::any_of(
        state.held.begin(), state.held.end(),
        [layer](const HeldShard& shard) { return shard.first <= layer && layer < shard.end; });
    open[i] = !state.committed[i] && !held;
  }
  return open;
}

/// The first run of true values, at most `most` long; end == first where there is none.
ShardCut first_run(const std::vector<bool>& open, int64_t most) {
  const auto begin = std::find(open.begin(), open.end(), true);
  auto end = begin;
  while (end != open.end() && *end && end - begin < most) {
    ++end;
  }
  ShardCut cut;
  cut.first = static_cast<int32_t>(begin - open.begin());
  cut.end = static_cast<int32_t>(end - open.begin());
  return cut;
}

std::optional<ShardCut> cut_quantized(const ShardState& state) {
  if (!state.held.empty()) {
    return std::nullopt;
  }
  const auto layers = static_cast<int32_t>(state.committed.size());
  ShardCut cut = first_run(free_layers(state), layers);
  cut.evaluate = state.evaluation_open && cut.end == layers;
  if (cut.first == cut.end && !cut.evaluate) {
    return std::nullopt;
  }
  return cut;
}

std::optional<ShardCut> split_longest(const ShardState& state) {
  std::optional<ShardCut> best;
  int32_t most_open = 1;
  for (const HeldShard& shard : state.held) {
    int32_t first_open = shard.first;
    while (first_open < shard.end && state.committed[static_cast<size_t>(first_open)]) {
      ++first_open;
    }
    const int32_t open = shard.end - first_open;
    if (open > most_open) {
      most_open = open;
      best = ShardCut{first_open + (open + 1) / 2, shard.end, false, shard.fence};
    }
  }
  return best;
}

}  // namespace

std::optional<ShardCut> next_cut(const ShardState& state, int idle_groups) {
  if (state.propagate == Propagate::kQuantized) {
    return cut_quantized(state);
  }
  const std::vector<bool> open = free_layers(state);
  const int64_t count = std::count(open.begin(), open.end(), true);
  if (count == 0) {
    return split_longest(state);
  }
  return first_run(open, (count + idle_groups - 1) / idle_groups);
}

}  // namespace rotor::coordinator
