// The supervision of `rotor quantize`, with shell scripts as its programs and the Jobs service of
// the test behind the script that stands for the coordinator.
#include "ops/cli/quantize_run.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "ops/cli/state_dir.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/cli/fake_jobs.h"

namespace rotor::cli {
namespace {

using testing::file_bytes;
using testing::TemporaryDirectory;

class QuantizeRunTest : public ::testing::Test {
 protected:
  QuantizeRunTest() {
    v1::Job job;
    job.set_name("jobs/1");
    job.set_layers(4);
    job.set_output_path(output_);
    jobs_.set_job(job);
    jobs_.add_state(v1::JOB_STATE_PENDING);
    options_.job.spec.set_model(directory_ / "model");
    options_.job.spec.set_output(output_);
    options_.job.spec.mutable_calibration()->add_files(directory_ / "text");
    programs_.worker = "unused";
    // Writes the port where --port-file says, then serves until it is told to stop.
    programs_.coordinator = script("coordinator", R"(
while [ "$1" != --port-file ]; do shift; done
echo started >> ")" + directory_ / "coordinator-starts" +
                                                      R"("
echo )" + jobs_.port() + R"( > "$2"
exec sleep 60)");
    gang("exec sleep 60");
  }

  std::string script(const std::string& name, const std::string& body) {
    std::string path = directory_.put(name, "#!/bin/sh\n" + body + "\n");
    chmod(path.c_str(), 0755);
    return path;
  }
  void gang(const std::string& body) {
    programs_.mpirun =
        script("mpirun", "echo started >> " + directory_ / "gang-starts" + "\n" + body);
  }
  int starts(const std::string& name) {
    std::ifstream file(directory_ / (name + "-starts"));
    int lines = 0;
    for (std::string line; std::getline(file, line);) {
      ++lines;
    }
    return lines;
  }
  /// Waits for a program's nth start.
  void await(const std::string& name, int count) {
    for (int i = 0; i < 2000 && starts(name) < count; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  int go(OutputFormat format = OutputFormat::kJson) {
    Console console(out_, err_, format, Terminal{});
    return quantize(
        options_, programs_, [this] { return stops_.load(); }, console);
  }
  nlohmann::json json() const { return nlohmann::json::parse(out_.str()); }

  const TemporaryDirectory directory_;
  const std::string output_ = directory_ / "out";
  FakeJobs jobs_;
  QuantizeOptions options_;
  Programs programs_;
  std::atomic<int> stops_{0};
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(QuantizeRunTest, RunsAJobToItsReport) {
  std::thread job([&] {
    await("gang", 1);
    jobs_.add_state(v1::JOB_STATE_RUNNING);
    jobs_.add_commit(0, 1);
    jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  });
  EXPECT_EQ(go(), 0) << err_.str();
  job.join();
  EXPECT_EQ(json()["state"], "SUCCEEDED");
  EXPECT_EQ(jobs_.submitted().request_id(), "quantize");
  EXPECT_EQ(starts("gang"), 1);
}

TEST_F(QuantizeRunTest, StreamsEventsAsLinesOfJsonBeforeTheReport) {
  std::thread job([&] {
    await("gang", 1);
    jobs_.add_commit(0, 1);
    jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  });
  EXPECT_EQ(go(OutputFormat::kJsonLines), 0) << err_.str();
  job.join();
  std::istringstream lines(out_.str());
  std::vector<nlohmann::json> objects;
  for (std::string line; std::getline(lines, line);) {
    objects.push_back(nlohmann::json::parse(line));
  }
  ASSERT_GE(objects.size(), 3U);
  EXPECT_EQ(objects[objects.size() - 3]["event"], "committed");
  EXPECT_EQ(objects[objects.size() - 2]["event"], "state");
  EXPECT_TRUE(objects.back().contains("modules"));
}

TEST_F(QuantizeRunTest, ValidatesWithoutAGangAndLeavesNothingBehind) {
  options_.validate_only = true;
  EXPECT_EQ(go(), 0) << err_.str();
  EXPECT_TRUE(jobs_.submitted().validate_only());
  EXPECT_EQ(starts("gang"), 0);
  EXPECT_FALSE(std::filesystem::exists(default_state_dir(output_)));
}

TEST_F(QuantizeRunTest, LeavesPathsThatNoFileCanHaveToTheCoordinator) {
  const std::string longer_than_any_file(300, 'a');
  options_.validate_only = true;
  options_.job.spec.set_output(directory_ / longer_than_any_file + "/out");
  options_.job.spec.mutable_calibration()->set_files(0, directory_ / longer_than_any_file + ":x");
  EXPECT_EQ(go(), 0) << err_.str();
  EXPECT_EQ(jobs_.submitted().spec().output(), options_.job.spec.output());
}

TEST_F(QuantizeRunTest, StartsADeadGangAgainAsLongAsItMakesProgress) {
  gang("exit 1");
  std::thread job([&] {
    for (int layer = 0; layer < 4; ++layer) {
      await("gang", 2 * (layer + 1));
      jobs_.add_commit(layer, layer + 1);
    }
    jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  });
  EXPECT_EQ(go(), 0) << err_.str();
  job.join();
  EXPECT_GE(starts("gang"), 8);
}

TEST_F(QuantizeRunTest, GivesAGangUpThatKeepsDyingAndShowsItsLog) {
  gang("echo out of luck; exit 1");
  EXPECT_EQ(go(), 1);
  EXPECT_EQ(starts("gang"), 4);
  EXPECT_EQ(json()["error"]["reason"], "NO_PROGRESS");
  const std::string tail = json()["error"]["details"]["log-end"];
  EXPECT_NE(tail.find("out of luck"), std::string::npos);
}

TEST_F(QuantizeRunTest, GivesAJobUpThatIsPausedOverLostLeases) {
  std::thread job([&] {
    await("gang", 1);
    jobs_.add_state(v1::JOB_STATE_PAUSED,
                    aborted("5 leases in a row were lost").with_reason("LEASES_LOST"));
  });
  EXPECT_EQ(go(), 1);
  job.join();
  EXPECT_EQ(json()["error"]["reason"], "NO_PROGRESS");
  EXPECT_NE(std::string(json()["error"]["message"]).find("5 leases"), std::string::npos);
  EXPECT_NE(std::string(json()["error"]["details"]["remedy"]).find("same command"),
            std::string::npos);
}

TEST_F(QuantizeRunTest, DoesNotRepeatWrongConfiguration) {
  gang("echo no CUDA device; exit 78");
  EXPECT_EQ(go(), 78);
  EXPECT_EQ(starts("gang"), 1);
}

TEST_F(QuantizeRunTest, StartsADeadCoordinatorAgain) {
  programs_.coordinator = script("coordinator", R"(
while [ "$1" != --port-file ]; do shift; done
echo started >> ")" + directory_ / "coordinator-starts" +
                                                    R"("
echo )" + jobs_.port() + R"( > "$2"
sleep 0.3; exit 1)");
  std::thread job([&] {
    await("coordinator", 2);
    jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  });
  EXPECT_EQ(go(), 0) << err_.str();
  job.join();
}

TEST_F(QuantizeRunTest, StartsACoordinatorAgainThatDiedBeforeItServed) {
  const std::string serve = file_bytes(programs_.coordinator);
  programs_.coordinator =
      script("coordinator", "[ -e " + directory_ / "died" + " ] || { touch " + directory_ / "died" +
                                "; kill -9 $$; }\n" + serve);
  std::thread job([&] {
    await("gang", 1);
    jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  });
  EXPECT_EQ(go(), 0) << err_.str();
  job.join();
}

TEST_F(QuantizeRunTest, SaysWhyTheCoordinatorCannotStart) {
  programs_.coordinator = script("coordinator", "echo the disk is upside down; exit 78");
  EXPECT_EQ(go(), 78);
  const std::string tail = json()["error"]["details"]["log-end"];
  EXPECT_NE(tail.find("upside down"), std::string::npos);
}

TEST_F(QuantizeRunTest, RestartHelpsWhereTheStoreCannotBeUsed) {
  options_.local.restart = true;
  const std::string state = default_state_dir(output_).string() + "/coordinator";
  std::filesystem::create_directories(state);
  std::ofstream(state + "/broken") << "x";
  programs_.coordinator = script("coordinator", "[ ! -e " + state + R"(/broken ] || exit 78
while [ "$1" != --port-file ]; do shift; done
echo )" + jobs_.port() + R"( > "$2"
exec sleep 60)");
  std::thread job([&] {
    await("gang", 1);
    jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  });
  EXPECT_EQ(go(), 0) << err_.str();
  job.join();
}

TEST_F(QuantizeRunTest, RestartEndsAndDeletesTheOldJobFirst) {
  options_.local.restart = true;
  std::thread job([&] {
    await("gang", 1);
    jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  });
  EXPECT_EQ(go(), 0) << err_.str();
  job.join();
  const std::vector<std::string> calls = jobs_.calls();
  const auto at = [&](const std::string& call) {
    return std::find(calls.begin(), calls.end(), call) - calls.begin();
  };
  EXPECT_LT(at("cancel jobs/1"), at("delete jobs/1"));
  EXPECT_LT(at("delete jobs/1"), at("submit"));
}

TEST_F(QuantizeRunTest, RestartOverwritesNoCheckpoint) {
  options_.local.restart = true;
  std::filesystem::create_directory(output_);
  EXPECT_EQ(go(), 2);
  EXPECT_EQ(json()["error"]["reason"], "OUTPUT_EXISTS");
  EXPECT_EQ(starts("coordinator"), 0);
}

TEST_F(QuantizeRunTest, ASignalDrainsTheGangAndExitsWith75) {
  gang("trap 'echo drained; exit 75' USR1; while :; do sleep 0.05; done");
  std::thread signal([&] {
    await("gang", 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stops_ = 1;
  });
  EXPECT_EQ(go(), 75);
  signal.join();
  EXPECT_EQ(json()["error"]["reason"], "INTERRUPTED");
  EXPECT_NE(std::string(json()["error"]["details"]["remedy"]).find("same command"),
            std::string::npos);
  EXPECT_EQ(file_bytes((default_state_dir(output_) / "worker.log").string()), "drained\n");
}

TEST_F(QuantizeRunTest, ASecondSignalDoesNotWait) {
  gang("trap '' USR1; while :; do sleep 0.05; done");
  std::thread signal([&] {
    await("gang", 1);
    stops_ = 1;
    std::this_thread::sleep_for(std::chrono::seconds(1));
    stops_ = 2;
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(go(), 75);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
  signal.join();
}

TEST_F(QuantizeRunTest, AJobThatIsDoneIsNotDoneAgain) {
  std::filesystem::copy(ROTOR_SOURCE_DIR "/demo/model", output_);
  jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(go(), 0);
  EXPECT_EQ(json()["state"], "SUCCEEDED");
  EXPECT_EQ(starts("gang"), 0);
  EXPECT_NE(err_.str().find("already done"), std::string::npos);
}

TEST_F(QuantizeRunTest, AJobWhoseCheckpointWasDamagedSinceIsNotCalledDone) {
  jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  for (const char* file : {"config.json", "model.safetensors"}) {
    std::filesystem::copy(ROTOR_SOURCE_DIR "/demo/model", output_);
    std::filesystem::resize_file(output_ + "/" + file, 100);
    EXPECT_NE(go(OutputFormat::kHuman), 0) << file;
    EXPECT_NE(err_.str().find("move what is left of it away"), std::string::npos) << err_.str();
    std::filesystem::remove_all(output_);
    err_.str("");
  }
}

TEST_F(QuantizeRunTest, RanksThatMakeNoWholeGroupsAreRefusedAtOnce) {
  options_.local.ranks = 4;
  options_.local.ranks_per_group = 3;
  EXPECT_EQ(go(OutputFormat::kHuman), 2);
  EXPECT_NE(err_.str().find("--ranks-per-group 3 does not divide --ranks 4"), std::string::npos);
  EXPECT_EQ(starts("coordinator"), 0);
}

TEST_F(QuantizeRunTest, APausedJobGoesOn) {
  jobs_.add_state(v1::JOB_STATE_PAUSED);
  std::thread job([&] {
    await("gang", 1);
    jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  });
  EXPECT_EQ(go(), 0) << err_.str();
  job.join();
  const std::vector<std::string> calls = jobs_.calls();
  EXPECT_NE(std::find(calls.begin(), calls.end(), "resume jobs/1"), calls.end());
}

TEST_F(QuantizeRunTest, AnotherRequestIsRefusedWithTheDifference) {
  jobs_.set_submit_error(already_exists("spec differs: format: nvfp4 -> mxfp4")
                             .with_reason("REQUEST_ID_TAKEN")
                             .with_detail("differences", "format: nvfp4 -> mxfp4"));
  EXPECT_EQ(go(), 2);
  EXPECT_EQ(json()["error"]["details"]["differences"], "format: nvfp4 -> mxfp4");
  EXPECT_NE(std::string(json()["error"]["details"]["remedy"]).find("--restart"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(default_state_dir(output_)));
}

TEST_F(QuantizeRunTest, AResumedJobKeepsTheCalibrationThatWasPreparedForIt) {
  options_.job.spec.set_model(ROTOR_SOURCE_DIR "/demo/model");
  options_.job.spec.mutable_calibration()->set_sequences(1);
  options_.job.spec.mutable_calibration()->set_seq_len(4);
  const std::string data = directory_.put("ids.jsonl", R"({"input_ids": [1, 2, 3, 4]})");
  options_.job.spec.mutable_calibration()->set_files(0, data + ":1");
  jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  std::filesystem::copy(ROTOR_SOURCE_DIR "/demo/model", output_);
  EXPECT_EQ(go(), 0) << err_.str();
  v1::Job job = jobs_.job();
  job.set_request_id("quantize");
  *job.mutable_spec() = jobs_.submitted().spec();
  jobs_.set_job(job);
  std::filesystem::remove(data);
  EXPECT_EQ(go(), 0) << err_.str();
  EXPECT_EQ(jobs_.submitted().spec().SerializeAsString(), job.spec().SerializeAsString());
  EXPECT_NE(file_bytes(job.spec().calibration().files(0)).find("[1,2,3,4]"), std::string::npos);
}

TEST_F(QuantizeRunTest, AFailedJobExitsWith1) {
  std::thread job([&] {
    await("gang", 1);
    jobs_.add_state(v1::JOB_STATE_FAILED, data_loss("weights are NaN").with_reason("NOT_FINITE"));
  });
  EXPECT_EQ(go(), 1);
  job.join();
  EXPECT_EQ(json()["error"]["reason"], "JOB_FAILED");
  EXPECT_EQ(json()["state"], "FAILED");
}

TEST_F(QuantizeRunTest, RefusesASecondRunOnTheSameOutput) {
  const Result<StateDir> other = StateDir::open(default_state_dir(output_));
  EXPECT_EQ(go(), 2);
  EXPECT_EQ(json()["error"]["reason"], "ALREADY_RUNNING");
}

}  // namespace
}  // namespace rotor::cli
