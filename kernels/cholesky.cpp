#include "kernels/cholesky.h"

#include <algorithm>

#include "kernels/block_cholesky.h"
#include "kernels/cuda_status.h"
#include "kernels/equilibrate.h"
#include "kernels/scratch.h"
#include "kernels/split_f16.h"

namespace rotor::kernels {
namespace {

constexpr int64_t kPanel = kCholeskyBlock;

Result<Scratch> floats(int64_t count, cudaStream_t stream) {
  return Scratch::allocate(count * int64_t{sizeof(float)}, stream);
}

/// For split rows of a panel.
Result<Scratch> split_rows(int64_t rows, cudaStream_t stream) {
  return Scratch::allocate(rows * kSplitColumns * kPanel * int64_t{sizeof(uint16_t)}, stream);
}

class PanelCholesky {
 public:
  PanelCholesky(Gemm& gemm, float* a, int64_t n, const CholeskyGroup& group, cudaStream_t stream)
      : gemm_(gemm), a_(a), n_(n), group_(group), stream_(stream) {}

  Status run() {
    const Status ready = allocate();
    ROTOR_RETURN_IF_ERROR(group_.ranks > 1 ? group_.agree(ready) : ready);
    ROTOR_RETURN_IF_ERROR(equilibrate(a_, n_, scales_.as<float>(), stream_));
    for (int64_t begin = 0; begin < n_; begin += kPanel) {
      const Panel panel{begin, std::min(kPanel, n_ - begin)};
      if (is_mine(begin)) {
        ROTOR_RETURN_IF_ERROR(factorize(panel));
      }
      ROTOR_RETURN_IF_ERROR(share(panel));
      ROTOR_RETURN_IF_ERROR(update(panel));
    }
    return scale_lower_rows(a_, n_, scales_.as<float>(), stream_);
  }

 private:
  struct Panel {
    int64_t begin;
    int64_t width;
    int64_t end() const { return begin + width; }
  };

  int owner(int64_t column) const { return static_cast<int>(column / kPanel % group_.ranks); }
  bool is_mine(int64_t column) const { return owner(column) == group_.rank; }
  float* at(int64_t row, int64_t col) const { return a_ + row * n_ + col; }

  Status allocate() {
    const int64_t width = std::min(kPanel, n_);
    ROTOR_ASSIGN_OR_RETURN(scales_, floats(n_, stream_));
    ROTOR_ASSIGN_OR_RETURN(inverse_, floats(width * width, stream_));
    if (n_ > kPanel) {
      ROTOR_ASSIGN_OR_RETURN(inverse_parts_, split_rows(kPanel, stream_));
      ROTOR_ASSIGN_OR_RETURN(parts_, split_rows(n_ - kPanel, stream_));
    }
    if (group_.ranks > 1) {
      ROTOR_ASSIGN_OR_RETURN(packed_, floats(n_ * width, stream_));
    }
    return {};
  }

  /// The block on the diagonal; below it, what is there times the block's inverse, transposed.
  Status factorize(const Panel& panel) {
    ROTOR_RETURN_IF_ERROR(factorize_block(gemm_, at(panel.begin, panel.begin), panel.width, n_,
                                          inverse_.as<float>(), stream_));
    const int64_t below = n_ - panel.end();
    if (below == 0) {
      return {};
    }
    ROTOR_RETURN_IF_ERROR(split_f16(inverse_.as<float>(), kPanel, kPanel, kPanel,
                                    inverse_parts_.as<uint16_t>(), stream_));
    float* rows = at(panel.end(), panel.begin);
    ROTOR_RETURN_IF_ERROR(split_f16(rows, below, kPanel, n_, parts_.as<uint16_t>(), stream_));
    return gemm_.run(split_product(below, kPanel, parts_, inverse_parts_, rows), stream_);
  }

  /// The panel, from its first row on, to every rank.
  Status share(const Panel& panel) {
    if (group_.ranks == 1) {
      return {};
    }
    const size_t packed_line = static_cast<size_t>(panel.width) * sizeof(float);
    const size_t line = static_cast<size_t>(n_) * sizeof(float);
    const int64_t rows = n_ - panel.begin;
    const auto copy = [&](void* to, size_t to_line, const void* from, size_t from_line) {
      return ROTOR_CUDA(cudaMemcpy2DAsync(to, to_line, from, from_line, packed_line,
                                          static_cast<size_t>(rows), cudaMemcpyDeviceToDevice,
                                          stream_));
    };
    float* top = at(panel.begin, panel.begin);
    if (is_mine(panel.begin)) {
      ROTOR_RETURN_IF_ERROR(copy(packed_.data(), packed_line, top, line));
    }
    ROTOR_RETURN_IF_ERROR(
        group_.broadcast(packed_.as<float>(), rows * panel.width, owner(panel.begin)));
    return is_mine(panel.begin) ? Status() : copy(top, line, packed_.data(), packed_line);
  }

  /// Takes the product of the panel with itself from this rank's panels to the right, each from its
  /// own block on the diagonal down.
  Status update(const Panel& panel) {
    const int64_t below = n_ - panel.end();
    if (below == 0) {
      return {};
    }
    ROTOR_RETURN_IF_ERROR(
        split_f16(at(panel.end(), panel.begin), below, kPanel, n_, parts_.as<uint16_t>(), stream_));
    for (int64_t begin = panel.end(); begin < n_; begin += kPanel) {
      if (!is_mine(begin)) {
        continue;
      }
      GemmCall call =
          split_product(n_ - begin, std::min(kPanel, n_ - begin), parts_, parts_, at(begin, begin));
      const int64_t offset = (begin - panel.end()) * kSplitColumns * kPanel;
      call.a.data = static_cast<const uint16_t*>(call.a.data) + offset;
      call.b.data = static_cast<const uint16_t*>(call.b.data) + offset;
      call.alpha = -1.0F;
      call.beta = 1.0F;
      ROTOR_RETURN_IF_ERROR(gemm_.run(call, stream_));
    }
    return {};
  }

  /// out [m, n] = left right^T of rows of kPanel columns, both split.
  GemmCall split_product(int64_t m, int64_t n, const Scratch& left, const Scratch& right,
                         float* out) const {
    GemmCall call;
    call.m = m;
    call.n = n;
    call.k = kSplitParts * kPanel;
    call.a = {split_left(left.as<uint16_t>(), kPanel), kSplitColumns * kPanel, false};
    call.b = {split_right(right.as<uint16_t>()), kSplitColumns * kPanel, true};
    call.in_dtype = DType::kF16;
    call.out = out;
    call.out_ld = n_;
    call.out_dtype = DType::kF32;
    return call;
  }

  Gemm& gemm_;
  float* a_;
  int64_t n_;
  const CholeskyGroup& group_;
  cudaStream_t stream_;
  Scratch scales_;
  Scratch inverse_;
  Scratch inverse_parts_;
  Scratch parts_;   // of the rows below a panel
  Scratch packed_;  // a panel on its way to another rank
};

}  // namespace

Status factorize_cholesky(Gemm& gemm, float* a, int64_t n, const CholeskyGroup& group,
                          cudaStream_t stream) {
  return PanelCholesky(gemm, a, n, group, stream).run();
}

}  // namespace rotor::kernels
