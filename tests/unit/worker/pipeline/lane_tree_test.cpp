#include "worker/pipeline/lane_tree.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/support/thread_group.h"

namespace rotor::worker {
namespace {

constexpr int64_t kWidth = 24;
constexpr int64_t kRows = 17;

std::vector<float> lane_input(int64_t lane) {
  std::mt19937 random(static_cast<unsigned>(lane) + 1);
  std::normal_distribution<float> normal;
  std::vector<float> values(kRows * kWidth);
  for (float& value : values) {
    value = normal(random);
  }
  return values;
}

/// The summed Hessian as `ranks` ranks make it, for all or for `owner`, and rank `reader` has it.
std::vector<float> sum(int ranks, int64_t lanes, int reader, const std::vector<bool>& has_work,
                       int owner = HessianSum::kEveryRank) {
  std::vector<float> result;
  rotor::testing::run_ranks(ranks, [&](Communicator& comm) {
    const std::unique_ptr<Backend> backend = make_cpu_backend(1);
    const auto accumulate = [&](int64_t lane, const std::vector<Tensor>& hessians) -> Status {
      const std::vector<float> values = lane_input(lane);
      ROTOR_ASSIGN_OR_RETURN(Tensor x, backend->allocate(DType::kF32, kRows, kWidth));
      ROTOR_RETURN_IF_ERROR(backend->upload(values.data(), values.size() * sizeof(float), x));
      return backend->hessian_accumulate(x, hessians[0]);
    };
    const auto work = [&](int64_t lane) { return has_work[static_cast<size_t>(lane)]; };
    PhaseTimes times;
    Result<std::vector<Tensor>> sums =
        sum_lanes(*backend, comm, lanes, {{kWidth, owner}}, work, accumulate, times);
    ASSERT_OK(sums);
    if (owner != HessianSum::kEveryRank && owner != comm.rank()) {
      EXPECT_TRUE((*sums)[0].empty());
      return;
    }
    ASSERT_OK(backend->hessian_finish((*sums)[0], 1));
    if (comm.rank() == reader) {
      result.resize(kWidth * kWidth);
      ASSERT_OK(backend->download((*sums)[0], result.data(), result.size() * sizeof(float)));
    }
  });
  return result;
}

TEST(Share, CoversEverythingOnce) {
  for (const int64_t total : {0, 1, 7, 8, 100}) {
    for (const int64_t parts : {1, 2, 3, 8}) {
      int64_t next = 0;
      for (int64_t i = 0; i < parts; ++i) {
        const Range range = share(total, parts, i);
        EXPECT_EQ(range.begin, next);
        EXPECT_LE(range.size(), total / parts + 1);
        next = range.end;
      }
      EXPECT_EQ(next, total);
    }
  }
}

TEST(SumLanes, AnyNumberOfRanksGivesTheSameBits) {
  for (const int64_t lanes : {1, 3, 8, 11}) {
    const std::vector<bool> all(static_cast<size_t>(lanes), true);
    const std::vector<float> one = sum(1, lanes, 0, all);
    for (int ranks = 2; ranks <= 5; ++ranks) {
      const std::vector<float> many = sum(ranks, lanes, ranks - 1, all);
      EXPECT_EQ(std::memcmp(one.data(), many.data(), one.size() * sizeof(float)), 0)
          << lanes << " lanes, " << ranks << " ranks";
    }
  }
}

TEST(SumLanes, LanesWithoutWorkAreLeftOut) {
  std::vector<bool> some(8, false);
  some[2] = some[3] = some[6] = true;
  const std::vector<float> one = sum(1, 8, 0, some);
  for (int ranks = 2; ranks <= 4; ++ranks) {
    EXPECT_EQ(sum(ranks, 8, 0, some), one) << ranks << " ranks";
  }
}

TEST(SumLanes, AnOwnerAloneGetsTheBitsThatEveryRankWouldGet) {
  for (const int64_t lanes : {1, 5, 8}) {
    std::vector<bool> work(static_cast<size_t>(lanes), true);
    work[0] = lanes == 1;
    const std::vector<float> one = sum(1, lanes, 0, work);
    for (int ranks = 1; ranks <= 4; ++ranks) {
      for (int owner = 0; owner < ranks; ++owner) {
        EXPECT_EQ(sum(ranks, lanes, owner, work, owner), one)
            << lanes << " lanes, " << ranks << " ranks, owner " << owner;
      }
    }
  }
}

TEST(SumLanes, ARowBesideAHessianIsSummedAsItIs) {
  constexpr int64_t kLanes = 7;
  std::vector<float> one;
  for (int ranks = 1; ranks <= 4; ++ranks) {
    for (const int owner : {HessianSum::kEveryRank, ranks - 1}) {
      rotor::testing::run_ranks(ranks, [&](Communicator& comm) {
        const std::unique_ptr<Backend> backend = make_cpu_backend(1);
        const auto accumulate = [&](int64_t lane, const std::vector<Tensor>& sums) -> Status {
          const std::vector<float> values = lane_input(lane);
          EXPECT_EQ(sums[1].rows(), 1);
          for (int64_t c = 0; c < kWidth; ++c) {
            sums[1].as<float>()[c] += values[static_cast<size_t>(c)];
          }
          return {};
        };
        PhaseTimes times;
        const Result<std::vector<Tensor>> sums = sum_lanes(
            *backend, comm, kLanes, {{kWidth, owner}, {kWidth, owner, /*is_row=*/true}},
            [](int64_t) { return true; }, accumulate, times);
        ASSERT_OK(sums);
        if (comm.rank() != ranks - 1) {
          return;
        }
        ASSERT_EQ((*sums)[1].rows(), 1);
        const float* row = (*sums)[1].as<float>();
        const std::vector<float> got(row, row + kWidth);
        one = one.empty() ? got : one;
        EXPECT_EQ(got, one) << ranks << " ranks, owner " << owner;
      });
    }
  }
  double first = 0.0;
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    first += static_cast<double>(lane_input(lane)[0]);
  }
  EXPECT_NEAR(one[0], first, 1e-5);
}

TEST(SumLanes, IsTheSumOverAllRows) {
  const std::vector<float> got = sum(3, 5, 1, std::vector<bool>(5, true));
  std::vector<double> expected(kWidth * kWidth, 0.0);
  for (int64_t lane = 0; lane < 5; ++lane) {
    const std::vector<float> x = lane_input(lane);
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t i = 0; i < kWidth; ++i) {
        for (int64_t j = 0; j < kWidth; ++j) {
          expected[static_cast<size_t>(i * kWidth + j)] +=
              static_cast<double>(x[static_cast<size_t>(row * kWidth + i)]) *
              static_cast<double>(x[static_cast<size_t>(row * kWidth + j)]);
        }
      }
    }
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(got[i], expected[i], 1e-3) << i;
  }
}

TEST(SumLanes, AnErrorOnOneRankReachesAll) {
  rotor::testing::run_ranks(3, [](Communicator& comm) {
    const std::unique_ptr<Backend> backend = make_cpu_backend(1);
    const auto accumulate = [](int64_t lane, const std::vector<Tensor>&) -> Status {
      return lane == 4 ? invalid_argument("lane 4").with_reason("NOT_FINITE") : Status();
    };
    PhaseTimes times;
    const Result<std::vector<Tensor>> sums = sum_lanes(
        *backend, comm, 6, {{.width = kWidth}}, [](int64_t) { return true; }, accumulate, times);
    EXPECT_EQ(sums.status().reason(), "NOT_FINITE") << comm.rank();
  });
}

}  // namespace
}  // namespace rotor::worker
