#include "model/fingerprint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "quant/base/sha256.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using testing::small_config;
using testing::small_tensors;
using testing::TemporaryDirectory;
using testing::write_model;

class Fingerprint : public ::testing::Test {
 protected:
  void SetUp() override {
    write_model(directory_, small_config(), small_tensors());
    directory_.put("tokenizer.json", "{}");
    before_ = now();
  }

  ModelFingerprint now() {
    auto fingerprint = fingerprint_model(posix_file_system(), directory_.path());
    EXPECT_OK(fingerprint);
    return std::move(fingerprint).value();
  }

  Result<ModelFingerprint> again() {
    return fingerprint_again(posix_file_system(), directory_.path(), before_);
  }

  TemporaryDirectory directory_;
  ModelFingerprint before_;
};

TEST_F(Fingerprint, HoldsTheFilesThatMakeTheModel) {
  ASSERT_EQ(before_.files.size(), 3U);
  EXPECT_EQ(before_.files[0].name, "config.json");
  EXPECT_EQ(before_.files[1].name, "model.safetensors");
  EXPECT_GT(before_.files[1].mtime_ns, 0);
  EXPECT_EQ(before_.files[2].name, "tokenizer.json");
  EXPECT_EQ(before_.files[2].sha256, sha256_hex("{}"));
  EXPECT_EQ(before_.files[2].mtime_ns, 0);
}

TEST_F(Fingerprint, SurvivesItsTextForm) {
  const auto parsed = parse_fingerprint(before_.to_text());
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->files, before_.files);
  EXPECT_EQ(parsed->digest(), before_.digest());
}

TEST_F(Fingerprint, RefusesADamagedTextForm) {
  const std::string line = std::string(64, 'a') + " 1 2 name\n";
  EXPECT_OK(parse_fingerprint(line));
  for (const std::string& bad :
       {line.substr(1), line.substr(0, line.size() - 1), std::string(64, 'a') + " x 2 name\n",
        std::string(64, 'a') + " 1 2 \n", std::string("\n")}) {
    EXPECT_FAILS(parse_fingerprint(line + bad), Code::kInvalidArgument, "BAD_FINGERPRINT",
                 "line 2");
  }
}

// faults.22
TEST_F(Fingerprint, Faults22_NothingChanged) {
  EXPECT_EQ(now().digest(), before_.digest());
  EXPECT_EQ(describe_difference(before_, now()), "");
}

// faults.22
TEST_F(Fingerprint, Faults22_ChangedContentIsNamed) {
  directory_.put("tokenizer.json", "{ }");
  const std::string difference = describe_difference(before_, now());
  EXPECT_NE(difference.find("tokenizer.json changed its size from 2 to 3 bytes, its content"),
            std::string::npos)
      << difference;
  EXPECT_EQ(difference.find("config.json"), std::string::npos) << difference;
  EXPECT_NE(now().digest(), before_.digest());
  EXPECT_NE(now().portable_digest(), before_.portable_digest());
}

// faults.33
TEST_F(Fingerprint, Faults33_ATouchedShardIsNoChange) {
  const std::string shard = directory_ / "model.safetensors";
  std::filesystem::last_write_time(
      shard, std::filesystem::last_write_time(shard) + std::chrono::seconds(1));
  EXPECT_EQ(describe_difference(before_, now()), "");
  EXPECT_NE(now().digest(), before_.digest());
  EXPECT_EQ(now().portable_digest(), before_.portable_digest());
  EXPECT_EQ(now().to_text(), again()->to_text());
}

// faults.33
TEST_F(Fingerprint, Faults33_AFileThatIsGoneIsAnErrorWithItsName) {
  std::filesystem::rename(directory_ / "model.safetensors", directory_ / "away");
  EXPECT_FAILS(again(), Code::kNotFound, "FILE_NOT_FOUND", "model.safetensors");
  std::filesystem::rename(directory_ / "away", directory_ / "model.safetensors");
  EXPECT_EQ(describe_difference(before_, *again()), "");
}

// faults.34
TEST_F(Fingerprint, Faults34_AShardSwappedWithItsSizeAndTimeKeptIsFound) {
  const std::string shard = directory_ / "model.safetensors";
  const auto time = std::filesystem::last_write_time(shard);
  std::fstream file(shard, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x55');
  file.close();
  std::filesystem::last_write_time(shard, time);
  const std::string difference = describe_difference(before_, now());
  EXPECT_NE(difference.find("model.safetensors changed its content (sha256 of sampled blocks from"),
            std::string::npos)
      << difference;
  EXPECT_NE(now().portable_digest(), before_.portable_digest());
  EXPECT_EQ(describe_difference(before_, *again()), difference);
}

// faults.34: a file larger than all samples together is sampled to its end.
TEST_F(Fingerprint, Faults34_SamplesReachOverAllOfALargeShard) {
  const auto large = [&](int64_t marked) {
    const std::string header =
        R"({"t":{"dtype":"U8","shape":[1000000],"data_offsets":[0,1000000]}})";
    std::string bytes(8, '\0');
    bytes[0] = static_cast<char>(header.size());
    bytes += header + std::string(1'000'000, 'x');
    std::fill(bytes.end() - marked, bytes.end() - marked + 20'000, 'y');
    directory_.put("model.safetensors", bytes);
    return fingerprint_model(posix_file_system(), directory_.path())->files[1].samples;
  };
  const std::string first = large(1'000'000);
  EXPECT_NE(large(500'000), first);
  EXPECT_NE(large(20'000), first);
  EXPECT_EQ(large(1'000'000), first);
}

TEST_F(Fingerprint, RecordsOfOldProgramsGoByTime) {
  std::string text;
  for (const FileFingerprint& file : before_.files) {
    text += file.sha256 + " " + std::to_string(file.size) + " " + std::to_string(file.mtime_ns) +
            " " + file.name + "\n";
  }
  auto old = parse_fingerprint(text);
  ASSERT_OK(old);
  EXPECT_EQ(describe_difference(*old, now()), "");
  old->files[1].mtime_ns += 1;
  EXPECT_NE(describe_difference(*old, now()).find("its modification time from"), std::string::npos);
}

// faults.22
TEST_F(Fingerprint, Faults22_ReplacedShardIsNamed) {
  auto tensors = small_tensors();
  tensors.push_back({"another", DType::kU8, {1}});
  write_model(directory_, small_config(), tensors);
  const std::string difference = describe_difference(before_, now());
  EXPECT_NE(difference.find("model.safetensors changed its size"), std::string::npos);
  EXPECT_NE(difference.find("its header"), std::string::npos) << difference;
}

// faults.22
TEST_F(Fingerprint, Faults22_AddedAndRemovedFilesAreNamed) {
  ASSERT_OK(posix_file_system().remove(directory_ / "tokenizer.json"));
  EXPECT_EQ(describe_difference(before_, now()), "tokenizer.json was removed.");
  EXPECT_EQ(describe_difference(now(), before_), "tokenizer.json was added.");
}

}  // namespace
}  // namespace rotor
