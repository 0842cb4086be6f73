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
  Summation(Backend& backend, Communicator& comm, int64_t lanes, const std::vector<int64_t>& widths,
            const std::function<bool(int64_t)>& has_work, const AccumulateLane& accumulate)
      : backend_(backend),
        comm_(comm),
        lanes_(lanes),
        widths_(widths),
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
      ROTOR_RETURN_IF_ERROR(backend_.hessian_add(left[i], right[i]));
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

  /// On the root of Hessian `index`: the sum of a node; owned nodes are local or arrive from their
  /// ranks in the order of collect_owned, which is the order of this walk.
  Result<Tensor> sum_at_root(const Node& node, size_t index,
                             const std::vector<std::pair<Node, std::vector<Tensor>>>& local) {
    if (node.begin >= lanes_ || empty(node)) {
      return Tensor();
    }
    if (const std::optional<int> rank = owner(node)) {
      if (*rank == comm_.rank()) {
        for (const auto& [mine, hessians] : local) {
          if (mine.begin == node.begin && mine.span == node.span) {
            return hessians[index];
          }
        }
        return internal_error("a node of the lane tree was not summed");
      }
      ROTOR_ASSIGN_OR_RETURN(Tensor received,
                             backend_.allocate(DType::kF32, widths_[index], widths_[index]));
      ROTOR_RETURN_IF_ERROR(comm_.receive(received, *rank));
      return received;
    }
    ROTOR_ASSIGN_OR_RETURN(Tensor left, sum_at_root(node.left(), index, local));
    ROTOR_ASSIGN_OR_RETURN(Tensor right, sum_at_root(node.right(), index, local));
    if (left.empty() || right.empty()) {
      return left.empty() ? right : left;
    }
    ROTOR_RETURN_IF_ERROR(backend_.hessian_add(left, right));
    return left;
  }

 private:
  Result<std::vector<Tensor>> make_zeroed() {
    std::vector<Tensor> hessians;
    for (const int64_t width : widths_) {
      ROTOR_ASSIGN_OR_RETURN(Tensor hessian, backend_.allocate(DType::kF32, width, width));
      ROTOR_RETURN_IF_ERROR(backend_.hessian_zero(hessian));
      hessians.push_back(std::move(hessian));
    }
    return hessians;
  }

  Backend& backend_;
  Communicator& comm_;
  int64_t lanes_;
  const std::vector<int64_t>& widths_;
  const std::function<bool(int64_t)>& has_work_;
  const AccumulateLane& accumulate_;
};

}  // namespace

Range share(int64_t total, int64_t parts, int64_t index) {
  return {total * index / parts, total * (index + 1) / parts};
}

Result<std::vector<Tensor>> sum_lanes(Backend& backend, Communicator& comm, int64_t lanes,
                                      const std::vector<int64_t>& widths,
                                      const std::vector<int>& roots,
                                      const std::function<bool(int64_t)>& has_work,
                                      const AccumulateLane& accumulate) {
  Summation sum(backend, comm, lanes, widths, has_work, accumulate);
  std::vector<std::pair<Node, int>> owned;
  sum.collect_owned(sum.top(), &owned);

  std::vector<std::pair<Node, std::vector<Tensor>>> local;
  Status mine;
  for (const auto& [node, rank] : owned) {
    if (rank != comm.rank() || !mine.ok()) {
      continue;
    }
    Result<std::vector<Tensor>> summed = sum.sum_local(node);
    mine = summed.status();
    if (summed.ok()) {
      local.emplace_back(node, std::move(summed).value());
    }
  }
  ROTOR_RETURN_IF_ERROR(comm.agree(mine));

  std::vector<Tensor> result(widths.size());
  for (size_t i = 0; i < widths.size(); ++i) {
    if (roots[i] == comm.rank()) {
      ROTOR_ASSIGN_OR_RETURN(result[i], sum.sum_at_root(sum.top(), i, local));
      continue;
    }
    for (const auto& [node, hessians] : local) {
      ROTOR_RETURN_IF_ERROR(comm.send(hessians[i], roots[i]));
    }
  }
  return result;
}

}  // namespace rotor::worker
