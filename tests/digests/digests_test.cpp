// The promise of bytes: what the pipeline makes of tiny models is what it made when the algorithm
// version was last raised, on every kind of machine that is in the record; and it is the same in
// every run and on any number of ranks on all others.
//
//   OPENBLAS_CORETYPE=Haswell build/bin/rotor_digests_test    what every x86-64-v3 CPU can compare
//   ROTOR_DIGESTS=record build/bin/rotor_digests_test         adds this machine's kind to the
//   record ROTOR_DIGEST_DEVICE=cuda build/bin/rotor_digests_test     on the first GPU
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "model/algorithm_version.h"
#include "tests/digests/cases.h"
#include "tests/digests/kind.h"
#include "tests/digests/record.h"
#include "tests/support/status_matchers.h"
#include "worker/backend/cpu/cpu_backend.h"
#ifdef ROTOR_HAVE_CUDA
#include "worker/backend/cuda/cuda_backend.h"
#endif

namespace rotor::worker::digests {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::unique_ptr<Backend> make_backend() {
#ifdef ROTOR_HAVE_CUDA
  if (environment("ROTOR_DIGEST_DEVICE") == "cuda") {
    auto backend = cuda::CudaBackend::create(0, 0);
    EXPECT_OK(backend);
    return std::move(backend).value();
  }
#endif
  return make_cpu_backend(1);
}

std::string kind() {
  return kind_of(make_backend()->info());
}

Digests found_digests() {
  Digests found;
  for (const Case& tested : cases()) {
    found[tested.name] = digest_of(tested, 1, make_backend);
  }
  return found;
}

TEST(Digests, AreThoseOfTheAlgorithmVersion) {
  const Digests found = found_digests();
  if (environment("ROTOR_DIGESTS") == "record") {
    ASSERT_OK(add_to_record(kind(), found));
  }
  const Result<Record> record = read_record();
  ASSERT_OK(record);
  ASSERT_EQ(record->algorithm_version, kAlgorithmVersion)
      << record_path() << " is of another version: record it anew (ROTOR_DIGESTS=record)";
  const auto recorded = record->kinds.find(kind());
  if (recorded == record->kinds.end()) {
    GTEST_SKIP() << "NO DIGESTS ARE RECORDED for this kind of machine: " << kind()
                 << ". Its bytes were compared between runs and ranks alone. Record them on a "
                    "revision that is known to be good: ROTOR_DIGESTS=record "
                    "build/bin/rotor_digests_test";
  }
  for (const auto& [name, digest] : found) {
    const auto before = recorded->second.find(name);
    ASSERT_NE(before, recorded->second.end())
        << name << " is in no record: record it (ROTOR_DIGESTS=record)";
    EXPECT_EQ(before->second, digest)
        << name << ": the bytes of checkpoints changed on " << kind()
        << ". If that is meant, raise the version in model/algorithm_version.h, say so in "
           "CHANGELOG.md and record the digests anew (ROTOR_DIGESTS=record)";
  }
  EXPECT_EQ(recorded->second.size(), found.size()) << "the record has cases that are gone";
}

TEST(Digests, AreTheSameAgainAndOnTwoRanks) {
  for (const Case& tested : cases()) {
    EXPECT_EQ(digest_of(tested, 1, make_backend), digest_of(tested, 2, make_backend))
        << tested.name;
  }
}

TEST(Digests, TellEveryWayThroughTheAlgorithmApart) {
  std::map<std::string, std::string> cases_of;
  for (const auto& [name, digest] : found_digests()) {
    const auto [other, added] = cases_of.emplace(digest, name);
    EXPECT_TRUE(added) << name << " gives what " << other->second << " gives";
  }
}

TEST(Digests, EveryVersionHasItsLineInTheChangelog) {
  std::ifstream file(ROTOR_SOURCE_DIR "/CHANGELOG.md");
  std::stringstream text;
  text << file.rdbuf();
  for (int version = 2; version <= kAlgorithmVersion; ++version) {
    const std::string words = "algorithm version " + std::to_string(version);
    EXPECT_NE(text.str().find(words), std::string::npos)
        << "CHANGELOG.md says nothing of " << words;
  }
}

}  // namespace
}  // namespace rotor::worker::digests
