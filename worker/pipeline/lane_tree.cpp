#include "worker/pipeline/lane_tree.h"

#include <optional>

namespace rotor::worker {
namespace {

/// A node of the tree over lanes: [begin, begin + span), span a power of two.
struct Node {
  int64_t begin = 0;
  int64_t span = 1;
  Node left() const { return {begin, span / 2}; }
  Node right() const { return {begin + span / 2, span / 2}; }
};

class Summation {
 public:
  Summation(Backend& backend, Communicator& comm, int64_t lanes,
            const std::vector<HessianSum>& sums, const std::function<bool(int64_t)>& has_work,
            const AccumulateLane& accumulate)
      : backend_(backend),
        comm_(comm),
        lanes_(lanes),
        sums_(sums),
        has_work_(has_work),
        accumulate_(accumulate) {}

  Node top() const {
    Node node;
    while (node.span < lanes_) {
      node.span *= 2;
    }
    return node;
  }

  /// The rank that holds all of a node's lanes, if one does.
  std::optional<int> owner(const Node& node) const {
    const int64_t end = std::min(node.begin + node.span, lanes_);
    for (int rank = 0; rank < comm_.size(); ++rank) {
      const Range mine = share(lanes_, comm_.size(), rank);
      if (node.begin >= mine.begin && end <= mine.end) {
        return rank;
      }
    }
    return std::nullopt;
  }

  bool empty(const Node& node) const {
    for (int64_t lane = node.begin; lane < std::min(node.begin + node.span, lanes_); ++lane) {
      if (has_work_(lane)) {
        return false;
      }
    }
    return true;
  }

  /// Sums a node whose lanes are all this rank's.
  Result<std::vector<Tensor>> sum_local(const Node& node) {
    if (empty(node)) {
      return std::vector<Tensor>();
    }
    if (node.span == 1) {
      ROTOR_ASSIGN_OR_RETURN(std::vector<Tensor> hessians, make_zeroed());
      ROTOR_RETURN_IF_ERROR(accumulate_(node.begin, hessians));
      return hessians;
    }
    ROTOR_ASSIGN_OR_RETURN(std::vector<Tensor> left, sum_local(node.left()));
    ROTOR_ASSIGN_OR_RETURN(std::vector<Tensor> right, sum_local(node.right()));
    if (left.empty() || right.empty()) {
      return left.empty() ? right : left;
    }
    for (size_t i = 0; i < left.size(); ++i) {
      ROTOR_RETURN_IF_ERROR(sums_[i].is_row ? backend_.add(left[i], right[i], 1.0F)
                                            : backend_.hessian_add(left[i], right[i]));
    }
    return left;
  }

  /// The largest nodes that one rank can sum alone, in lane order, empty ones left out.
  void collect_owned(const Node& node, std::vector<std::pair<Node, int>>* out) const {
    if (node.begin >= lanes_ || empty(node)) {
      return;
    }
    if (const std::optional<int> rank = owner(node)) {
      out->emplace_back(node, *rank);
      return;
    }
    collect_owned(node.left(), out);
    collect_owned(node.right(), out);
  }

  /// The sum of a node over a slice of rows; `slices` are those of the owned nodes, in the order of
  /// collect_owned, which is the order of this walk. The first slice of a sum is written over.
  Result<Tensor> sum_slices(const Node& node, const std::vector<Tensor>& slices, size_t* next) {
    if (node.begin >= lanes_ || empty(node)) {
      return Tensor();
    }
    if (owner(node)) {
      return slices[(*next)++];
    }
    ROTOR_ASSIGN_OR_RETURN(Tensor left, sum_slices(node.left(), slices, next));
    ROTOR_ASSIGN_OR_RETURN(Tensor right, sum_slices(node.right(), slices, next));
    if (left.empty() || right.empty()) {
      return left.empty() ? right : left;
    }
    ROTOR_RETURN_IF_ERROR(backend_.add(left, right, 1.0F));
    return left;
  }

 private:
  Result<std::vector<Tensor>> make_zeroed() {
    std::vector<Tensor> hessians;
    for (const HessianSum& sum : sums_) {
      ROTOR_ASSIGN_OR_RETURN(Tensor hessian, backend_.allocate(DType::kF32, sum.rows(), sum.width));
      ROTOR_RETURN_IF_ERROR(backend_.hessian_zero(hessian));
      hessians.push_back(std::move(hessian));
    }
    return hessians;
  }

  Backend& backend_;
  Communicator& comm_;
  int64_t lanes_;
  const std::vector<HessianSum>& sums_;
  const std::function<bool(int64_t)>& has_work_;
  const AccumulateLane& accumulate_;
};

using OwnedNodes = std::vector<std::pair<Node, int>>;

/// What the ranks pass to each other to sum one Hessian by slices of rows.
struct SliceExchange {
  std::vector<Transfer> sends;
  std::vector<Transfer> receives;
  std::vector<Tensor> slices;  // of this rank's rows, one an owned node
};

Result<SliceExchange> plan_exchange(Backend& backend, const Communicator& comm,
                                    const OwnedNodes& owned, int64_t width,
                                    const std::vector<int64_t>& row_begin,
                                    const std::vector<Tensor>& parts) {
  SliceExchange plan;
  const auto rows_of = [&](int rank) {
    const auto r = static_cast<size_t>(rank);
    return Range{row_begin[r], row_begin[r + 1]};
  };
  const Range mine = rows_of(comm.rank());
  size_t next = 0;
  for (const auto& [node, rank] : owned) {
    if (rank != comm.rank()) {
      if (mine.size() == 0) {
        continue;
      }
      ROTOR_ASSIGN_OR_RETURN(Tensor slice, backend.allocate(DType::kF32, mine.size(), width));
      plan.receives.push_back({slice, rank});
      plan.slices.push_back(std::move(slice));
      continue;
    }
    const Tensor& part = parts[next++];
    for (int peer = 0; peer < comm.size(); ++peer) {
      const Range theirs = rows_of(peer);
      if (peer != rank && theirs.size() > 0) {
        plan.sends.push_back({part.row_range(theirs.begin, theirs.size()), peer});
      }
    }
    if (mine.size() > 0) {
      plan.slices.push_back(part.row_range(mine.begin, mine.size()));
    }
  }
  return plan;
}

/// Rows [result[r], result[r + 1]) are added up by rank r.
std::vector<int64_t> adders(const HessianSum& sum, int ranks) {
  std::vector<int64_t> row_begin;
  for (int rank = 0; rank <= ranks; ++rank) {
    if (sum.owner == HessianSum::kEveryRank) {
      row_begin.push_back(sum.rows() * rank / ranks);
    } else {
      row_begin.push_back(rank <= sum.owner ? 0 : sum.rows());
    }
  }
  return row_begin;
}

/// `parts`: this rank's sums of its owned nodes.
Result<Tensor> sum_over_ranks(Backend& backend, Communicator& comm, Summation& summation,
                              const OwnedNodes& owned, const HessianSum& sum,
                              std::vector<Tensor>& parts) {
  const std::vector<int64_t> row_begin = adders(sum, comm.size());
  Result<SliceExchange> plan = plan_exchange(backend, comm, owned, sum.width, row_begin, parts);
  const bool for_all = sum.owner == HessianSum::kEveryRank;
  // Where no lane had work, nothing is passed, and an owner has to make the zeros.
  const bool needs_room = for_all || (owned.empty() && sum.owner == comm.rank());
  Result<Tensor> whole =
      needs_room ? backend.allocate(DType::kF32, sum.rows(), sum.width) : Tensor();
  ROTOR_RETURN_IF_ERROR(comm.agree(plan.ok() ? whole.status() : plan.status()));
  ROTOR_RETURN_IF_ERROR(comm.exchange(plan->sends, plan->receives));
  if (!for_all && sum.owner != comm.rank()) {
    return Tensor();
  }
  const auto rank = static_cast<size_t>(comm.rank());
  const int64_t rows = row_begin[rank + 1] - row_begin[rank];
  if (rows > 0) {  // a row has one adder; the other ranks have slices of nothing
    size_t next = 0;
    ROTOR_ASSIGN_OR_RETURN(Tensor slice,
                           summation.sum_slices(summation.top(), plan->slices, &next));
    if (!needs_room) {
      return slice;  // an owner's slice is the whole
    }
    const Tensor mine = whole->row_range(row_begin[rank], rows);
    ROTOR_RETURN_IF_ERROR(slice.empty() ? backend.hessian_zero(mine) : backend.copy(slice, mine));
  }
  if (for_all) {
    ROTOR_RETURN_IF_ERROR(comm.all_gather_rows(*whole, row_begin));
  }
  return whole;
}

}  // namespace

Range share(int64_t total, int64_t parts, int64_t index) {
  return {total * index / parts, total * (index + 1) / parts};
}

Result<std::vector<Tensor>> sum_lanes(Backend& backend, Communicator& comm, int64_t lanes,
                                      const std::vector<HessianSum>& sums,
                                      const std::function<bool(int64_t)>& has_work,
                                      const AccumulateLane& accumulate, PhaseTimes& times) {
  Summation summation(backend, comm, lanes, sums, has_work, accumulate);
  OwnedNodes owned;
  summation.collect_owned(summation.top(), &owned);

  std::vector<std::vector<Tensor>> local;  // of this rank's owned nodes
  Status mine;
  for (const auto& [node, rank] : owned) {
    if (rank != comm.rank() || !mine.ok()) {
      continue;
    }
    Result<std::vector<Tensor>> summed = summation.sum_local(node);
    mine = summed.status();
    if (summed.ok()) {
      local.push_back(std::move(summed).value());
    }
  }
  const PhaseScope phase(times, "exchange");
  ROTOR_RETURN_IF_ERROR(comm.agree(mine));
  std::vector<Tensor> result;
  for (size_t i = 0; i < sums.size(); ++i) {
    std::vector<Tensor> parts;  // of this Hessian
    for (std::vector<Tensor>& hessians : local) {
      parts.push_back(std::move(hessians[i]));
    }
    if (owned.size() == 1 && comm.size() == 1) {
      result.push_back(std::move(parts[0]));
      continue;
    }
    ROTOR_ASSIGN_OR_RETURN(Tensor whole,
                           sum_over_ranks(backend, comm, summation, owned, sums[i], parts));
    result.push_back(std::move(whole));
  }
  return result;
}

}  // namespace rotor::worker
