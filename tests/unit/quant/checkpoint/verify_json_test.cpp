#include "quant/checkpoint/verify_json.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/quant/checkpoint/small_checkpoint.h"

namespace rotor {
namespace {

using testing::TemporaryDirectory;

TEST(VerifyJson, HasTheKeysThatScriptsRead) {
  VerifyReport report;
  report.problems = {{"t", "w", "r"}};
  report.modules["m"] = {2, 32, 16, "ab"};
  report.tensors["x"] = "cd";
  EXPECT_EQ(verify_to_json(report), nlohmann::json::parse(R"({"ok":false,"quantized":false,
      "problems":[{"tensor":"t","what":"w","remedy":"r"}],
      "modules":{"m":{"digest":"ab","shape":[2,32],"rotation":16}},"tensors":{"x":"cd"}})"));
  report.quantized = true;
  report.problems.clear();
  const auto json = verify_to_json(report);
  EXPECT_EQ(json["ok"], true);
  EXPECT_EQ(json["format"], "nvfp4");
  EXPECT_EQ(json["activations"], "a16");
  EXPECT_EQ(json["layout"], "compressed-tensors");
  EXPECT_TRUE(json["serving_modes"].is_array());
}

// Exit code and output of a command.
std::pair<int, std::string> run(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::string output;
  std::array<char, 4096> buffer{};
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), n);
  }
  return {::pclose(pipe), output};
}

// The interpreter that the build found, which ops/install-dependencies brings numpy.
const std::string kPython = ROTOR_PYTHON;

TEST(VerifyJson, AnIndependentReaderDecodesTheSame) {
  if (run(kPython + " -c 'import numpy'").first != 0) {
    GTEST_SKIP() << "python3 with numpy is not installed (Debian: python3-numpy)";
  }
  const std::string reader = std::string(ROTOR_SOURCE_DIR) + "/tests/python/independent_reader.py";
  std::vector<testing::SmallCheckpointOptions> kinds;
  for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
    kinds.push_back({.format = format, .max_shard_bytes = 100'000});
  }
  kinds.push_back(testing::small_fp_quant(Format::kNvfp4));
  kinds.push_back(testing::small_fp_quant(Format::kMxfp4));
  kinds.push_back(testing::small_modelopt(Activations::kA4));
  for (const testing::SmallCheckpointOptions& kind : kinds) {
    const TemporaryDirectory dir;
    const std::string model = dir / "model";
    ASSERT_OK(create_directories(posix_file_system(), model));
    ASSERT_OK(testing::write_small_checkpoint(model, kind));
    SerialParallel parallel;
    const auto report = verify_checkpoint(posix_file_system(), model, parallel);
    ASSERT_OK(report);
    auto json = verify_to_json(*report);
    dir.put("good.json", json.dump());
    const auto good = run(kPython + " " + reader + " " + model + " " + (dir / "good.json"));
    EXPECT_EQ(good.first, 0) << to_string(kind.layout) << ": " << good.second;
    EXPECT_NE(good.second.find("7 modules and " + std::to_string(report->tensors.size()) +
                               " other tensors decoded, 0 differences"),
              std::string::npos)
        << good.second;
    json["modules"].begin().value()["digest"] = std::string(64, '0');
    dir.put("bad.json", json.dump());
    EXPECT_NE(run(kPython + " " + reader + " " + model + " " + (dir / "bad.json")).first, 0);
  }
}

}  // namespace
}  // namespace rotor
