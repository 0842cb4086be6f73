// A few seconds of fuzzing in every build, sanitizers included: files of the corpus, changed at
// random. It knows nothing of coverage: the fuzzers (tests/fuzz/run) look further.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/targets.h"
#include "tests/support/temporary_directory.h"

namespace rotor::fuzz {
namespace {

constexpr size_t kMostBytes = 4096;
constexpr std::chrono::seconds kDuration{3};

/// The words of json.dict: what stands between the outer quotes, without its backslashes.
std::vector<std::string> dictionary() {
  std::ifstream file(std::filesystem::path(ROTOR_SOURCE_DIR) / "tests/fuzz/json.dict");
  std::vector<std::string> words;
  for (std::string line; std::getline(file, line);) {
    if (line.size() > 2 && line.front() == '"') {
      std::string word = line.substr(1, line.size() - 2);
      std::erase(word, '\\');
      words.push_back(std::move(word));
    }
  }
  return words;
}

std::vector<std::string> corpus(std::string_view target) {
  std::vector<std::string> files;
  const auto folder = std::filesystem::path(ROTOR_SOURCE_DIR) / "tests/fuzz/corpus" / target;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files.push_back(testing::file_bytes(entry.path().string()));
  }
  std::sort(files.begin(), files.end());  // a seed means the same inputs everywhere
  return files;
}

class Mutator {
 public:
  Mutator(std::string_view target, uint64_t seed)
      : words_(dictionary()), files_(corpus(target)), random_(seed) {}

  std::string next() {
    std::string input = pick(files_);
    for (size_t i = below(4) + 1; i > 0; --i) {
      mutate(input);
    }
    input.resize(std::min(input.size(), kMostBytes));
    return input;
  }

 private:
  size_t below(size_t end) { return static_cast<size_t>(random_() % std::max<size_t>(end, 1)); }
  const std::string& pick(const std::vector<std::string>& from) { return from[below(from.size())]; }

  void mutate(std::string& input) {
    const size_t at = below(input.size() + 1);
    const size_t length = below(std::min<size_t>(input.size() - at, 64) + 1);
    switch (below(7)) {
      case 0:
        input.insert(at, pick(words_));
        return;
      case 1:
        input.replace(at, length, pick(words_));
        return;
      case 2:
        input.erase(at, length);
        return;
      case 3:
        input.insert(below(input.size() + 1), input.substr(at, length));
        return;
      case 4: {
        const std::string& other = pick(files_);
        input = input.substr(0, at) + other.substr(below(other.size() + 1));
        return;
      }
      case 5:
        input.insert(at, 1, static_cast<char>(random_()));
        return;
      default:
        if (at < input.size()) {
          input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        }
    }
  }

  std::vector<std::string> words_;
  std::vector<std::string> files_;
  std::mt19937_64 random_;
};

class FuzzShortRun : public ::testing::TestWithParam<Target> {};

TEST_P(FuzzShortRun, HasNoFinding) {
  const char* given = std::getenv("ROTOR_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  // Now, since a crash leaves no time: the same seed gives the same inputs in the same order.
  std::printf("ROTOR_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  Mutator mutator(GetParam().name, seed);
  int64_t inputs = 0;
  const auto end = std::chrono::steady_clock::now() + kDuration;
  for (; std::chrono::steady_clock::now() < end; ++inputs) {
    const std::string input = mutator.next();
    ASSERT_NO_THROW(GetParam().run(input)) << "input: " << ::testing::PrintToString(input);
  }
  EXPECT_GT(inputs, 0);
  RecordProperty("inputs", std::to_string(inputs));
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzShortRun,
                         ::testing::ValuesIn(targets().begin(), targets().end()),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace
}  // namespace rotor::fuzz
