#include "worker/bench/random_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "quant/format/bf16.h"

namespace rotor::worker::bench {
namespace {

TEST(RandomValues, HaveTheMomentsThatWereAskedFor) {
  SerialParallel serial;
  std::vector<float> values(1 << 20);
  fill_random(DType::kF32, 7, 0, std::ssize(values), 0.25F, values.data(), serial);
  double sum = 0.0;
  double squares = 0.0;
  for (const float value : values) {
    sum += value;
    squares += static_cast<double>(value) * value;
    ASSERT_LE(std::abs(value), 0.25F * 3.5F);
  }
  const auto count = static_cast<double>(values.size());
  EXPECT_NEAR(sum / count, 0.0, 0.001);
  EXPECT_NEAR(std::sqrt(squares / count), 0.25, 0.001);
}

TEST(RandomValues, DependOnSeedAndPlaceAlone) {
  SerialParallel serial;
  const auto pool = make_thread_pool(3);
  constexpr int64_t kFirst = (int64_t{1} << 32) - 300000;  // runs over where the key changes
  constexpr int64_t kCount = 600000;
  std::vector<float> whole(kCount);
  fill_random(DType::kF32, 1, kFirst, kCount, 1.0F, whole.data(), *pool);
  for (const int64_t cut : {int64_t{1}, int64_t{262144}, int64_t{300000}, int64_t{599999}}) {
    std::vector<float> parts(kCount);
    fill_random(DType::kF32, 1, kFirst, cut, 1.0F, parts.data(), serial);
    fill_random(DType::kF32, 1, kFirst + cut, kCount - cut, 1.0F, parts.data() + cut, serial);
    EXPECT_EQ(parts, whole) << cut;
  }
  std::vector<uint16_t> rounded(kCount);
  fill_random(DType::kBf16, 1, kFirst, kCount, 1.0F, rounded.data(), *pool);
  for (size_t i = 0; i < whole.size(); ++i) {
    ASSERT_EQ(rounded[i], f32_to_bf16(whole[i])) << i;
  }
}

TEST(RandomValues, OfTwoSeedsAreNotCorrelated) {
  SerialParallel serial;
  std::vector<float> a(1 << 18);
  std::vector<float> b(a.size());
  for (uint64_t part = 0; part < 8; ++part) {
    fill_random(DType::kF32, derive_seed(0, part), 0, std::ssize(a), 1.0F, a.data(), serial);
    fill_random(DType::kF32, derive_seed(0, part + 1), 0, std::ssize(b), 1.0F, b.data(), serial);
    double product = 0.0;
    for (size_t i = 0; i < a.size(); ++i) {
      product += static_cast<double>(a[i]) * b[i];
    }
    EXPECT_LT(std::abs(product / static_cast<double>(a.size())), 0.01) << part;
  }
}

TEST(RandomBits, DoNotRepeatWithinASequence) {
  std::set<uint32_t> seen;
  for (uint64_t place = 0; place < 100000; ++place) {
    EXPECT_TRUE(seen.insert(random_bits(3, place)).second) << place;
  }
}

}  // namespace
}  // namespace rotor::worker::bench
