#include "kernels/solve.h"

#include <algorithm>

#include "kernels/cuda_status.h"
#include "kernels/scratch.h"
#include "kernels/supported.h"
#include "kernels/sweep.h"
#include "kernels/transpose.h"

namespace rotor::kernels {
namespace {

constexpr int64_t kPanel = 1024;        // columns whose sums are made at once
constexpr int64_t kRowAlignment = 128;  // what products run fastest with

class RowSolver {
 public:
  RowSolver(Gemm& gemm, const SolveRows& rows, cudaStream_t stream)
      : gemm_(gemm),
        rows_(rows),
        ld_((rows.rows + kRowAlignment - 1) / kRowAlignment * kRowAlignment),
        stream_(stream) {}

  /// Turns weights and scales; rows that fill up hold zeros with scale 1.
  Status load() {
    const int64_t cols = rows_.cols;
    const int64_t groups = cols / rows_.scheme.group_size;
    ROTOR_ASSIGN_OR_RETURN(weights_, floats(cols));
    ROTOR_ASSIGN_OR_RETURN(scales_, floats(groups));
    ROTOR_ASSIGN_OR_RETURN(errors_, floats(cols));
    ROTOR_ASSIGN_OR_RETURN(sums_, floats(kPanel));
    ROTOR_ASSIGN_OR_RETURN(codes_, Scratch::allocate(cols * ld_, stream_));
    ROTOR_RETURN_IF_ERROR(
        transpose(rows_.w, rows_.rows, cols, 0.0F, weights_.as<float>(), ld_, stream_));
    return transpose(rows_.effective, rows_.rows, groups, 1.0F, scales_.as<float>(), ld_, stream_);
  }

  Status solve(const SolveFactor& factor) {
    SweepBlock block = make_block(factor.lower);
    block.order = factor.order;
    const int64_t cols = rows_.cols;
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
    const int64_t cols = rows_.cols;
    ROTOR_ASSIGN_OR_RETURN(changes_, floats(kSweepBlock));
    ROTOR_RETURN_IF_ERROR(
        unpack_columns(rows_.codes, rows_.rows, cols, codes_.as<uint8_t>(), ld_, stream_));
    ROTOR_RETURN_IF_ERROR(sweep_errors(
        rows_.scheme.format, rows_.scheme.group_size, weights_.as<float>(), scales_.as<float>(),
        codes_.as<uint8_t>(), cols, ld_, errors_.as<float>(), stream_));
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
    return pack_columns(codes_.as<uint8_t>(), ld_, rows_.rows, rows_.cols, rows_.codes, stream_);
  }

 private:
  Result<Scratch> floats(int64_t lines) {
    return Scratch::allocate(lines * ld_ * int64_t{sizeof(float)}, stream_);
  }

  SweepBlock make_block(const float* matrix) const {
    SweepBlock block;
    block.format = rows_.scheme.format;
    block.group_size = rows_.scheme.group_size;
    block.n = rows_.cols;
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
    for (int64_t end = rows_.cols; end > 0; end -= kPanel) {
      ROTOR_RETURN_IF_ERROR(f(std::max<int64_t>(end - kPanel, 0), end));
    }
    return {};
  }

  /// sums [lines, ld] = matrix [lines, k] lines_of_errors [k, ld] (+ sums where beta is 1).
  Status product(const GemmOperand& matrix, const float* errors, int64_t lines, int64_t k,
                 float beta) {
    GemmCall call;
    call.m = lines;
    call.n = ld_;
    call.k = k;
    call.a = matrix;
    call.b = {errors, ld_, false};
    call.in_dtype = DType::kF32;
    call.out = sums_.data();
    call.out_ld = ld_;
    call.out_dtype = DType::kF32;
    call.beta = beta;
    call.any_n = true;
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
            product({block.matrix + block.begin * rows_.cols + begin, rows_.cols, true}, lines,
                    block.begin - begin, block.count, 1.0F));
      }
    }
    return {};
  }

  Gemm& gemm_;
  const SolveRows& rows_;
  const int64_t ld_;
  cudaStream_t stream_;
  Scratch weights_;  // [cols, ld]
  Scratch scales_;   // [groups, ld]
  Scratch errors_;   // [cols, ld] by place
  Scratch sums_;     // [kPanel, ld]
  Scratch changes_;  // [kSweepBlock, ld]
  Scratch codes_;    // [cols, ld], one a byte
};

Status check(const SolveRows& rows) {
  ROTOR_RETURN_IF_ERROR(check_groups(rows.scheme.format, rows.scheme.group_size, rows.cols));
  ROTOR_RETURN_IF_ERROR(element_count(rows.rows, rows.cols).status());
  ROTOR_RETURN_IF_ERROR(check_pointer("w", rows.w, alignof(float)));
  ROTOR_RETURN_IF_ERROR(check_pointer("effective", rows.effective, alignof(float)));
  return check_pointer("codes", rows.codes, 1);
}

}  // namespace

Status solve_rows(Gemm& gemm, const SolveRows& rows, const SolveFactor& factor,
                  cudaStream_t stream) {
  if (rows.rows == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check(rows));
  ROTOR_RETURN_IF_ERROR(check_pointer("lower", factor.lower));
  RowSolver solver(gemm, rows, stream);
  ROTOR_RETURN_IF_ERROR(solver.load());
  ROTOR_RETURN_IF_ERROR(solver.solve(factor));
  return solver.store();
}

Status refine_rows(Gemm& gemm, const SolveRows& rows, const float* hessian, float added, int passes,
                   cudaStream_t stream) {
  if (rows.rows == 0 || passes == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check(rows));
  ROTOR_RETURN_IF_ERROR(check_pointer("hessian", hessian));
  RowSolver solver(gemm, rows, stream);
  ROTOR_RETURN_IF_ERROR(solver.load());
  ROTOR_RETURN_IF_ERROR(solver.refine(hessian, added, passes));
  return solver.store();
}

}  // namespace rotor::kernels
