#include "ops/cli/job_calibration.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::cli {
namespace {

using testing::file_bytes;
using testing::TemporaryDirectory;

constexpr char kIds[] = R"({"input_ids": [1, 2, 3, 4, 5, 6, 7, 8]})";
constexpr char kOtherIds[] = R"({"input_ids": [8, 7, 6, 5, 4, 3, 2, 1]})";

class JobCalibration : public ::testing::Test {
 protected:
  JobCalibration() {
    spec_.set_model(ROTOR_SOURCE_DIR "/demo/model");
    spec_.mutable_calibration()->add_files(data_ + ":1");
    spec_.mutable_calibration()->set_sequences(2);
    spec_.mutable_calibration()->set_seq_len(4);
  }

  Result<v1::JobSpec> prepare(const std::optional<v1::Job>& earlier) {
    return prepare_for_job(
        spec_, earlier, state_, [this] { return stopped_; }, console_);
  }
  static std::string file_of(const Result<v1::JobSpec>& spec) {
    EXPECT_OK(spec);
    return spec.ok() ? spec->calibration().files(0) : "";
  }
  static v1::Job job_of(const Result<v1::JobSpec>& spec) {
    v1::Job job;
    *job.mutable_spec() = *spec;
    return job;
  }
  bool prepared_files() const {
    return std::filesystem::exists(state_.calibration()) &&
           !std::filesystem::is_empty(state_.calibration());
  }

  const TemporaryDirectory directory_;
  const std::string data_ = directory_.put("ids.jsonl", kIds);
  StateDir state_ = StateDir::open(directory_ / "state").value();
  v1::JobSpec spec_;
  bool stopped_ = false;
  std::ostringstream out_;
  std::ostringstream err_;
  Console console_{out_, err_, OutputFormat::kHuman, Terminal{}};
};

TEST_F(JobCalibration, NamesWhatItPreparedInsteadOfTheFiles) {
  spec_.mutable_calibration()->set_seed(7);
  const Result<v1::JobSpec> spec = prepare({});
  EXPECT_EQ(spec->calibration().files_size(), 1);
  EXPECT_EQ(spec->calibration().seed(), 0U) << "the windows are chosen";
  EXPECT_EQ(spec->calibration().sequences(), 2);
  EXPECT_NE(file_bytes(file_of(spec)).find("[1,2,3,4]"), std::string::npos);
}

TEST_F(JobCalibration, LeavesFilesThatACoordinatorReads) {
  spec_.mutable_calibration()->set_files(0, data_);
  const Result<v1::JobSpec> spec = prepare({});
  EXPECT_EQ(file_of(spec), data_);
  EXPECT_FALSE(std::filesystem::exists(state_.calibration()));
}

TEST_F(JobCalibration, AJobThatStandsKeepsItsOwn) {
  const Result<v1::JobSpec> first = prepare({});
  const std::string bytes = file_bytes(file_of(first));
  err_.str("");
  EXPECT_EQ(file_of(prepare(job_of(first))), file_of(first));
  EXPECT_EQ(err_.str(), "") << "prepared again";
  std::filesystem::remove(file_of(first));
  EXPECT_EQ(file_of(prepare(job_of(first))), file_of(first));
  EXPECT_EQ(file_bytes(file_of(first)), bytes);
  std::filesystem::remove(data_);
  EXPECT_EQ(file_of(prepare(job_of(first))), file_of(first));
  std::filesystem::remove(file_of(first));
  EXPECT_FAILS(prepare(job_of(first)), Code::kNotFound, "FILE_NOT_FOUND", data_);
}

TEST_F(JobCalibration, OtherDataOrOptionsAreAnotherFileThatIsNotMade) {
  const Result<v1::JobSpec> first = prepare({});
  const v1::JobSpec plain = spec_;
  directory_.put("ids.jsonl", kOtherIds);
  const std::string of_other_data = file_of(prepare(job_of(first)));
  directory_.put("ids.jsonl", kIds);
  spec_.mutable_calibration()->set_seed(1);
  const std::string of_other_seed = file_of(prepare(job_of(first)));
  spec_ = plain;
  spec_.mutable_calibration()->set_files(0, data_ + ":2");
  const std::string of_other_weight = file_of(prepare(job_of(first)));
  EXPECT_EQ((std::set{file_of(first), of_other_data, of_other_seed, of_other_weight}).size(), 4U);
  for (const std::string& other : {of_other_data, of_other_seed, of_other_weight}) {
    EXPECT_FALSE(std::filesystem::exists(other)) << other;
  }
  EXPECT_TRUE(std::filesystem::exists(file_of(first)));
}

TEST_F(JobCalibration, ANewJobForgetsWhatWasPreparedForOthers) {
  const std::string first = file_of(prepare({}));
  directory_.put("ids.jsonl", kOtherIds);
  const std::string second = file_of(prepare({}));
  EXPECT_FALSE(std::filesystem::exists(first));
  EXPECT_NE(file_bytes(second).find("[8,7,6,5]"), std::string::npos);
}

TEST_F(JobCalibration, StopsWhenItIsTold) {
  stopped_ = true;
  EXPECT_FAILS(prepare({}), Code::kCancelled, "INTERRUPTED", "");
  EXPECT_FALSE(prepared_files());
}

TEST_F(JobCalibration, APlanLeavesWhatAJobHas) {
  const std::string of_job = file_of(prepare({}));
  const Result<v1::JobSpec> plan = prepare_for_plan(
      spec_, state_, [] { return false; }, console_);
  EXPECT_EQ(file_bytes(file_of(plan)), file_bytes(of_job));
  remove_plan_calibration(state_);
  EXPECT_FALSE(std::filesystem::exists(file_of(plan)));
  EXPECT_TRUE(std::filesystem::exists(of_job));
}

}  // namespace
}  // namespace rotor::cli
