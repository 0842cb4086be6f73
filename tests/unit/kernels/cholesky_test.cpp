#include "kernels/cholesky.h"

#include <gtest/gtest.h>

#include <barrier>
#include <thread>

#include "kernels/block_cholesky.h"
#include "kernels/tile_cholesky.h"
#include "tests/unit/kernels/gemm_test.h"

namespace rotor::kernels {
namespace {

/// Ranks of a group that share one GPU, a thread each.
class ThreadGroup {
 public:
  explicit ThreadGroup(int ranks) : ranks_(ranks), barrier_(ranks) {}

  CholeskyGroup of(int rank, cudaStream_t stream) {
    CholeskyGroup group;
    group.rank = rank;
    group.ranks = ranks_;
    group.agree = [](const Status& mine) { return mine; };
    group.broadcast = [this, rank, stream](float* data, int64_t count, int root) -> Status {
      if (rank == root) {
        source_ = data;
      }
      ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaStreamSynchronize(stream)));
      barrier_.arrive_and_wait();
      Status status;
      if (rank != root) {
        status =
            ROTOR_CUDA(cudaMemcpyAsync(data, source_, static_cast<size_t>(count) * sizeof(float),
                                       cudaMemcpyDeviceToDevice, stream));
        status = status.ok() ? ROTOR_CUDA(cudaStreamSynchronize(stream)) : status;
      }
      barrier_.arrive_and_wait();
      return status;
    };
    return group;
  }

 private:
  int ranks_;
  std::barrier<> barrier_;
  const float* source_ = nullptr;
};

class CholeskyTest : public GemmTest {
 protected:
  /// X X^T / n + 0.1 I, its rows and columns scaled over eight decades; n lines of `ld` elements.
  std::vector<float> positive_definite(int64_t n, int64_t ld) {
    const int64_t inner = 24;
    const std::vector<float> x = random_values(n * inner);
    std::vector<float> a(static_cast<size_t>(n * ld), 0.0F);
    const auto scale = [n](int64_t i) {
      return std::pow(10.0, 2.0 - 4.0 * static_cast<double>(i) / static_cast<double>(n));
    };
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        double sum = i == j ? 0.1 : 0.0;
        for (int64_t k = 0; k < inner; ++k) {
          sum += double{x[static_cast<size_t>(i * inner + k)]} *
                 double{x[static_cast<size_t>(j * inner + k)]} / static_cast<double>(inner);
        }
        a[static_cast<size_t>(i * ld + j)] = static_cast<float>(sum * scale(i) * scale(j));
        a[static_cast<size_t>(j * ld + i)] = a[static_cast<size_t>(i * ld + j)];
      }
    }
    return a;
  }

  std::vector<float> downloaded(const DeviceBuffer& buffer) {
    std::vector<float> values(static_cast<size_t>(buffer.bytes()) / sizeof(float));
    EXPECT_OK(buffer.copy_to_host(values.data(), buffer.bytes(), stream()));
    synchronize();
    return values;
  }

  /// Elements of L L^T, `step` apart, are those of `a` within `bound` of their diagonals' root.
  static void expect_factor(const std::vector<float>& a, const std::vector<float>& lower, int64_t n,
                            int64_t ld, int64_t step, double bound) {
    const auto at = [ld](const std::vector<float>& m, int64_t row, int64_t col) {
      return double{m[static_cast<size_t>(row * ld + col)]};
    };
    for (int64_t i = n - 1; i >= 0; i -= step) {
      for (int64_t j = i; j >= 0; j -= step) {
        double sum = 0.0;
        for (int64_t k = 0; k <= j; ++k) {
          sum += at(lower, i, k) * at(lower, j, k);
        }
        ASSERT_NEAR(sum, at(a, i, j), bound * std::sqrt(at(a, i, i) * at(a, j, j)))
            << n << ": " << i << ", " << j;
      }
    }
  }

  /// L^-1 L is one, and L^-1 has zeros above its diagonal.
  static void expect_inverse(const std::vector<float>& lower, int64_t ld,
                             const std::vector<float>& inverse, int64_t n, int64_t step) {
    for (int64_t i = n - 1; i >= 0; i -= step) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0.0;
        double size = 0.0;
        for (int64_t k = j; k <= i; ++k) {
          const double part = double{inverse[static_cast<size_t>(i * n + k)]} *
                              double{lower[static_cast<size_t>(k * ld + j)]};
          sum += part;
          size += std::abs(part);
        }
        ASSERT_NEAR(sum, i == j ? 1.0 : 0.0, 1e-5 * size + 1e-6) << n << ": " << i << ", " << j;
        ASSERT_TRUE(j <= i || inverse[static_cast<size_t>(i * n + j)] == 0.0F);
      }
    }
  }

  DeviceBuffer factorized(const std::vector<float>& a, int64_t n, const CholeskyGroup& group,
                          Gemm& gemm, cudaStream_t on) {
    DeviceBuffer device = upload(a);
    EXPECT_OK(factorize_cholesky(gemm, device.as<float>(), n, group, on));
    EXPECT_OK(ROTOR_CUDA(cudaStreamSynchronize(on)));
    return device;
  }
};

TEST_F(CholeskyTest, FactorizesATileAndInvertsIt) {
  for (const int64_t n : {1, 16, 31, 32, 33, 96, 127, 128}) {
    const int64_t ld = n + 5;
    const std::vector<float> a = positive_definite(n, ld);
    const DeviceBuffer device = upload(a);
    const DeviceBuffer inverse = poisoned(DType::kF32, n * n);
    ASSERT_OK(factorize_tile(device.as<float>(), n, ld, inverse.as<float>(), n, stream()));
    const std::vector<float> lower = downloaded(device);
    expect_factor(a, lower, n, ld, 1, 3e-6);
    expect_inverse(lower, ld, download(DType::kF32, n * n, inverse), n, 1);
    for (int64_t row = 0; row < n; ++row) {
      for (int64_t col = row + 1; col < ld; ++col) {
        const auto at = static_cast<size_t>(row * ld + col);
        ASSERT_EQ(lower[at], a[at]) << "above the diagonal: " << row << ", " << col;
      }
    }
  }
}

TEST_F(CholeskyTest, FactorizesABlockAndInvertsIt) {
  for (const int64_t n : {16, 128, 144, 384, 656, 1024}) {
    const int64_t ld = n + 16;
    const std::vector<float> a = positive_definite(n, ld);
    const DeviceBuffer device = upload(a);
    const DeviceBuffer inverse = poisoned(DType::kF32, n * n);
    ASSERT_OK(factorize_block(*gemm_, device.as<float>(), n, ld, inverse.as<float>(), stream()));
    const std::vector<float> lower = downloaded(device);
    expect_factor(a, lower, n, ld, n > 400 ? 13 : 1, 3e-6);
    expect_inverse(lower, ld, download(DType::kF32, n * n, inverse), n, n > 400 ? 37 : 5);
  }
}

TEST_F(CholeskyTest, FactorsMultiplyToTheMatrix) {
  for (const int64_t n : {16, 1024, 1040, 3472}) {
    const std::vector<float> a = positive_definite(n, n);
    const DeviceBuffer factor = factorized(a, n, {}, *gemm_, stream());
    expect_factor(a, downloaded(factor), n, n, n > 2000 ? 61 : 17, 3e-5);
  }
}

TEST_F(CholeskyTest, ANumberOfRanksGivesTheSameBits) {
  const int64_t n = 3 * kCholeskyBlock + 208;
  const std::vector<float> a = positive_definite(n, n);
  const std::vector<float> expected = downloaded(factorized(a, n, {}, *gemm_, stream()));
  for (const int ranks : {2, 3}) {
    ThreadGroup group(ranks);
    std::vector<DeviceBuffer> results(static_cast<size_t>(ranks));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        Result<Stream> own = Stream::create();
        ASSERT_OK(own);
        Result<Gemm> gemm = Gemm::create(own->get());
        ASSERT_OK(gemm);
        DeviceBuffer device = std::move(DeviceBuffer::allocate(n * n * 4)).value();
        ASSERT_OK(device.copy_from_host(a.data(), device.bytes(), own->get()));
        ASSERT_OK(factorize_cholesky(*gemm, device.as<float>(), n, group.of(rank, own->get()),
                                     own->get()));
        ASSERT_OK(own->synchronize());
        results[static_cast<size_t>(rank)] = std::move(device);
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    for (const DeviceBuffer& result : results) {
      const std::vector<float> lower = downloaded(result);
      for (int64_t row = 0; row < n; ++row) {
        const auto begin = lower.begin() + row * n;
        ASSERT_TRUE(std::equal(begin, begin + row + 1, expected.begin() + row * n))
            << ranks << " ranks, row " << row;
      }
    }
  }
}

TEST_F(CholeskyTest, TheDiagonalTellsAMatrixThatIsNotDefinite) {
  for (const int64_t n : {64, 2064}) {
    for (const float wrong : {-1.0F, 0.0F}) {
      std::vector<float> a(static_cast<size_t>(n * n), 0.0F);
      for (int64_t i = 0; i < n; ++i) {
        a[static_cast<size_t>(i * (n + 1))] = i == n - 20 ? wrong : 1.0F;
      }
      const std::vector<float> lower = downloaded(factorized(a, n, {}, *gemm_, stream()));
      EXPECT_FALSE(lower[static_cast<size_t>((n - 20) * (n + 1))] > 0.0F);
    }
  }
}

}  // namespace
}  // namespace rotor::kernels
