#include "worker/analyze/recommend.h"

#include <gtest/gtest.h>

#include "worker/analyze/summary.h"

namespace rotor::worker {
namespace {

using Errors = std::array<double, kAnalyzedRotations.size()>;

FormatErrors errors_of(double total) {
  FormatErrors errors;
  errors.groups = 1;
  errors.squares = 1.0;
  errors.squared_error = total;
  return errors;
}

/// Figures with these errors by rotation, of each format that is given.
Figures figures_of(const std::vector<std::pair<Format, Errors>>& formats, bool weights) {
  Figures figures;
  for (size_t r = 0; r < kAnalyzedRotations.size(); ++r) {
    RotationFigures one{kAnalyzedRotations[r], kAnalyzedRotations[r], {}, {}};
    one.values.excess_kurtosis = static_cast<double>(r);
    for (const auto& [format, errors] : formats) {
      // Absmax scales are twice as bad: nothing may look at them where others are searched.
      FormatFigures of_format{format, 16, errors_of(weights ? 2.0 * errors[r] : errors[r]), {}};
      if (weights) {
        of_format.searched = errors_of(errors[r]);
      }
      one.formats.push_back(of_format);
    }
    figures.push_back(one);
  }
  return figures;
}

constexpr Errors kFlat = {0.010, 0.0099, 0.0098, 0.0099, 0.0097};  // not worth a rotation
constexpr Errors kSteep = {0.020, 0.016, 0.0125, 0.0121, 0.0120};  // worth blocks of 32
constexpr Errors kRising = {0.015, 0.016, 0.017, 0.018, 0.019};

StageFigures stage(const std::vector<std::pair<Format, Errors>>& weights,
                   const std::vector<std::pair<Format, Errors>>& inputs) {
  StageFigures figures;
  figures.modules.push_back({"m", 1, 1, figures_of(weights, true)});
  figures.inputs = figures_of(inputs, false);
  return figures;
}

const std::vector<std::pair<Format, Errors>> kAll = {
    {Format::kNvfp4, kFlat}, {Format::kMxfp4, kSteep}, {Format::kInt4, kRising}};

TEST(Recommend, TakesTheSmallestBlockThatIsNearlyTheBest) {
  const Recommendation found = recommend({stage(kAll, kAll)}, Activations::kA16);
  ASSERT_EQ(found.candidates.size(), 3U);
  EXPECT_EQ(found.candidates[0].format, Format::kNvfp4);
  EXPECT_EQ(found.candidates[0].rotation, 0);
  EXPECT_DOUBLE_EQ(found.candidates[0].error, 0.010);
  EXPECT_EQ(found.candidates[0].best_rotation, 128);
  EXPECT_EQ(found.candidates[1].format, Format::kMxfp4);
  EXPECT_EQ(found.candidates[1].rotation, 32);
  EXPECT_DOUBLE_EQ(found.candidates[1].unrotated_error, 0.020);
  EXPECT_EQ(found.candidates[2].rotation, 0);
  EXPECT_DOUBLE_EQ(found.candidates[2].bits, 4.125);
  EXPECT_NE(found.reason.find("nvfp4 (4.5 bits a weight), unrotated, leaves"), std::string::npos)
      << found.reason;
  EXPECT_NE(found.reason.find("; mxfp4 (4.25 bits a weight), rotated in blocks of 32: 1.25 %"),
            std::string::npos)
      << found.reason;
  EXPECT_NE(found.reason.find("Blocks of 128 would make it 0.97 %"), std::string::npos)
      << found.reason;
}

TEST(Recommend, CountsInputsWhereTheyAreQuantized) {
  // NVFP4's inputs are so bad without a rotation that it takes one.
  const StageFigures figures =
      stage(kAll, {{Format::kNvfp4, {0.5, 0.2, 0.1, 0.1, 0.1}}, {Format::kMxfp4, kSteep}});
  const Recommendation found = recommend({figures}, Activations::kA4);
  ASSERT_EQ(found.candidates.size(), 2U) << "INT4 inputs are in no layout";
  EXPECT_EQ(found.candidates[0].format, Format::kMxfp4);
  EXPECT_DOUBLE_EQ(found.candidates[0].error, 0.0125 + 0.0125);
  EXPECT_EQ(found.candidates[1].rotation, 32);
  EXPECT_DOUBLE_EQ(found.candidates[1].error, 0.1098);
}

TEST(Recommend, ChoosesForEachStageAndForAllByTheModules) {
  StageFigures steep = stage({{Format::kMxfp4, kSteep}}, {{Format::kMxfp4, kSteep}});
  StageFigures rising = stage({{Format::kMxfp4, kRising}}, {{Format::kMxfp4, kRising}});
  rising.layer = 1;
  rising.family = StageFamily::kDown;
  for (int i = 0; i < 9; ++i) {
    rising.modules.push_back(rising.modules.front());
  }
  const Recommendation found = recommend({steep, rising}, Activations::kA16);
  ASSERT_EQ(found.stages.size(), 2U);
  EXPECT_EQ(found.stages[0].choice.rotation, 32);
  EXPECT_EQ(found.stages[1].choice.rotation, 0);
  EXPECT_EQ(found.stages[1].layer, 1);
  ASSERT_EQ(found.candidates.size(), 1U);
  EXPECT_EQ(found.candidates[0].rotation, 0) << "ten of eleven modules want none";
  EXPECT_NEAR(found.candidates[0].error, (0.020 + 10 * 0.015) / 11, 1e-12);
}

TEST(Recommend, SaysWhereNoFormatFits) {
  const Recommendation found = recommend({stage({}, {})}, Activations::kA16);
  EXPECT_TRUE(found.candidates.empty());
  EXPECT_TRUE(found.stages.empty());
  EXPECT_NE(found.reason.find("no format"), std::string::npos);
}

TEST(Summary, MeansCountEachMatrixAlikeAndLeaveOutWhatSomeCannotHave) {
  const StageFigures one = stage(kAll, kAll);
  const StageFigures other = stage({{Format::kNvfp4, kSteep}}, kAll);
  const Summary found = summarize_weights({one, other}, [](const StageFigures&) { return true; });
  EXPECT_EQ(found.matrices, 2);
  ASSERT_EQ(found.rotations.size(), kAnalyzedRotations.size());
  ASSERT_EQ(found.rotations[2].formats.size(), 1U);
  EXPECT_DOUBLE_EQ(*found.rotations[2].formats[0].searched, (0.0098 + 0.0125) / 2);
  EXPECT_DOUBLE_EQ(found.rotations[2].formats[0].total, 0.0098 + 0.0125);
  EXPECT_DOUBLE_EQ(found.rotations[3].excess_kurtosis, 3.0);
  EXPECT_EQ(summarize_inputs({one}, [](const StageFigures&) { return false; }).matrices, 0);
}

}  // namespace
}  // namespace rotor::worker
