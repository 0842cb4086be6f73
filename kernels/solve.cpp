#include "kernels/solve.h"

#include <algorithm>

#include "kernels/cuda_status.h"
#include "kernels/line_product.h"
#include "kernels/scratch.h"
#include "kernels/supported.h"
#include "kernels/sweep.h"
#include "kernels/transpose.h"

namespace rotor::kernels {
namespace {

constexpr int64_t kPanel = 1024;  // columns whose sums are made at once

int64_t padded_rows(const SolveProblem& problem) {
  int64_t rows = 0;
  for (const SolveRows& weight : problem.weights) {
    rows += line_length(weight.rows);
  }
  return rows;
}

class RowSolver {
 public:
  RowSolver(Gemm& gemm, const SolveProblem& problem, cudaStream_t stream)
      : gemm_(gemm), problem_(problem), ld_(padded_rows(problem)), stream_(stream) {}

  /// Turns weights and scales, side by side; rows that fill up hold zeros with scale 1.
  Status load() {
    const int64_t cols = problem_.cols;
    const int64_t groups = cols / problem_.scheme.group_size;
    ROTOR_ASSIGN_OR_RETURN(weights_, floats(cols));
    ROTOR_ASSIGN_OR_RETURN(scales_, floats(groups));
    ROTOR_ASSIGN_OR_RETURN(errors_, floats(cols));
    ROTOR_ASSIGN_OR_RETURN(sums_, floats(kPanel));
    ROTOR_ASSIGN_OR_RETURN(codes_, Scratch::allocate(cols * ld_, stream_));
    return for_each_weight([&](const SolveRows& weight, int64_t first, int64_t places) -> Status {
      ROTOR_RETURN_IF_ERROR(transpose(weight.w, weight.rows, cols, 0.0F, places,
                                      weights_.as<float>() + first, ld_, stream_));
      return transpose(weight.effective, weight.rows, groups, 1.0F, places,
                       scales_.as<float>() + first, ld_, stream_);
    });
  }

  Status solve(const SolveFactor& factor) {
    SweepBlock block = make_block(factor.lower);
    block.order = factor.order;
    const int64_t cols = problem_.cols;
    return for_each_panel([&](int64_t begin, int64_t end) -> Status {
      if (end == cols) {
        ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaMemsetAsync(
            sums_.data(), 0, static_cast<size_t>((end - begin) * ld_) * sizeof(float), stream_)));
      } else {
        // What the finished places [end, cols) ask of the panel.
        ROTOR_RETURN_IF_ERROR(product({factor.lower + end * cols + begin, cols, true},
                                      errors_.as<float>() + end * ld_, end - begin, cols - end,
                                      0.0F));
      }
      return sweep_panel(block, begin, end, errors_.as<float>(), /*changes_by_block=*/false);
    });
  }

  Status refine(const float* hessian, float added, int passes) {
    const int64_t cols = problem_.cols;
    ROTOR_ASSIGN_OR_RETURN(changes_, floats(kSweepBlock));
    ROTOR_RETURN_IF_ERROR(
        for_each_weight([&](const SolveRows& weight, int64_t first, int64_t places) {
          return unpack_columns(weight.codes, weight.rows, cols, places,
                                codes_.as<uint8_t>() + first, ld_, stream_);
        }));
    ROTOR_RETURN_IF_ERROR(sweep_errors(
        problem_.scheme.format, problem_.scheme.group_size, weights_.as<float>(),
        scales_.as<float>(), codes_.as<uint8_t>(), cols, ld_, errors_.as<float>(), stream_));
    SweepBlock block = make_block(hessian);
    block.added = added;
    block.first = false;
    block.changes = changes_.as<float>();
    const auto improve = [&](int64_t begin, int64_t end) -> Status {
      ROTOR_RETURN_IF_ERROR(product({hessian + begin * cols, cols, false}, errors_.as<float>(),
                                    end - begin, cols, 0.0F));
      return sweep_panel(block, begin, end, changes_.as<float>(), /*changes_by_block=*/true);
    };
    for (int pass = 0; pass < passes; ++pass) {
      ROTOR_RETURN_IF_ERROR(for_each_panel(improve));
    }
    return {};
  }

  Status store() {
    return for_each_weight([&](const SolveRows& weight, int64_t first, int64_t /*places*/) {
      return pack_columns(codes_.as<uint8_t>() + first, ld_, weight.rows, problem_.cols,
                          weight.codes, stream_);
    });
  }

 private:
  /// f(weight, first, places): where its rows lie in a line, and how many they are with padding.
  template <typename F>
  Status for_each_weight(F&& f) const {
    int64_t first = 0;
    for (const SolveRows& weight : problem_.weights) {
      const int64_t places = line_length(weight.rows);
      ROTOR_RETURN_IF_ERROR(f(weight, first, places));
      first += places;
    }
    return {};
  }

  Result<Scratch> floats(int64_t lines) {
    return Scratch::allocate(lines * ld_ * int64_t{sizeof(float)}, stream_);
  }

  SweepBlock make_block(const float* matrix) const {
    SweepBlock block;
    block.format = problem_.scheme.format;
    block.group_size = problem_.scheme.group_size;
    block.n = problem_.cols;
    block.ld = ld_;
    block.matrix = matrix;
    block.weights = weights_.as<float>();
    block.scales = scales_.as<float>();
    block.errors = errors_.as<float>();
    block.codes = codes_.as<uint8_t>();
    return block;
  }

  /// f(begin, end) for panels of places, the last first.
  template <typename F>
  Status for_each_panel(F&& f) {
    for (int64_t end = problem_.cols; end > 0; end -= kPanel) {
      ROTOR_RETURN_IF_ERROR(f(std::max<int64_t>(end - kPanel, 0), end));
    }
    return {};
  }

  /// sums [lines, ld] = matrix [lines, k] lines_of_errors [k, ld] (+ sums where beta is 1).
  Status product(const GemmOperand& matrix, const float* errors, int64_t lines, int64_t k,
                 float beta) {
    GemmCall call = line_product(matrix, errors, lines, k, sums_.as<float>(), ld_);
    call.beta = beta;
    return gemm_.run(call, stream_);
  }

  /// Sweeps the blocks of a panel whose sums are made. `changes`: what each block did to the
  /// errors, of the whole weight by place or of the block alone.
  Status sweep_panel(SweepBlock block, int64_t begin, int64_t end, const float* changes,
                     bool changes_by_block) {
    for (int64_t top = end; top > begin; top -= kSweepBlock) {
      block.begin = std::max(top - kSweepBlock, begin);
      block.count = top - block.begin;
      block.sums = sums_.as<float>() + (block.begin - begin) * ld_;
      ROTOR_RETURN_IF_ERROR(sweep_block(block, stream_));
      if (block.begin > begin) {
        const float* lines = changes_by_block ? changes : changes + block.begin * ld_;
        ROTOR_RETURN_IF_ERROR(
            product({block.matrix + block.begin * problem_.cols + begin, problem_.cols, true},
                    lines, block.begin - begin, block.count, 1.0F));
      }
    }
    return {};
  }

  Gemm& gemm_;
  const SolveProblem& problem_;
  const int64_t ld_;
  cudaStream_t stream_;
  Scratch weights_;  // [cols, ld]
  Scratch scales_;   // [groups, ld]
  Scratch errors_;   // [cols, ld] by place
  Scratch sums_;     // [kPanel, ld]
  Scratch changes_;  // [kSweepBlock, ld]
  Scratch codes_;    // [cols, ld], one a byte
};

Status check(const SolveProblem& problem) {
  ROTOR_RETURN_IF_ERROR(
      check_groups(problem.scheme.format, problem.scheme.group_size, problem.cols));
  ROTOR_RETURN_IF_ERROR(element_count(padded_rows(problem), problem.cols).status());
  for (const SolveRows& weight : problem.weights) {
    ROTOR_RETURN_IF_ERROR(check_pointer("w", weight.w, alignof(float)));
    ROTOR_RETURN_IF_ERROR(check_pointer("effective", weight.effective, alignof(float)));
    ROTOR_RETURN_IF_ERROR(check_pointer("codes", weight.codes, 1));
  }
  return {};
}

}  // namespace

Status solve_rows(Gemm& gemm, const SolveProblem& problem, const SolveFactor& factor,
                  cudaStream_t stream) {
  if (padded_rows(problem) == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check(problem));
  ROTOR_RETURN_IF_ERROR(check_pointer("lower", factor.lower));
  RowSolver solver(gemm, problem, stream);
  ROTOR_RETURN_IF_ERROR(solver.load());
  ROTOR_RETURN_IF_ERROR(solver.solve(factor));
  return solver.store();
}

Status refine_rows(Gemm& gemm, const SolveProblem& problem, const float* hessian, float added,
                   int passes, cudaStream_t stream) {
  if (padded_rows(problem) == 0 || passes == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check(problem));
  ROTOR_RETURN_IF_ERROR(check_pointer("hessian", hessian));
  RowSolver solver(gemm, problem, stream);
  ROTOR_RETURN_IF_ERROR(solver.load());
  ROTOR_RETURN_IF_ERROR(solver.refine(hessian, added, passes));
  return solver.store();
}

}  // namespace rotor::kernels
