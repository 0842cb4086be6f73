#include "ops/cli/app.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/temporary_directory.h"
#include "tests/unit/cli/fake_jobs.h"

namespace rotor::cli {
namespace {

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

Ran rotor(const std::vector<std::string>& arguments) {
  std::ostringstream out;
  std::ostringstream err;
  Ran ran;
  ran.code = run(arguments, out, err, Terminal{});
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

const std::vector<std::string> kCommands = {"quantize", "submit", "jobs",   "status",  "watch",
                                            "cancel",   "pause",  "resume", "report",  "delete",
                                            "workers",  "eval",   "verify", "inspect", "analyze"};

TEST(App, HelpsWithEveryCommand) {
  const Ran help = rotor({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const std::string& command : kCommands) {
    EXPECT_NE(help.out.find("\n  " + command + " "), std::string::npos) << command;
    const Ran own = rotor({command, "--help"});
    EXPECT_EQ(own.code, 0) << command;
    EXPECT_NE(own.out.find("Example"), std::string::npos) << command;
    EXPECT_NE(own.out.find("--json"), std::string::npos) << command;
  }
}

TEST(App, TellsItsVersion) {
  const Ran ran = rotor({"--version"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "rotor " ROTOR_VERSION "\n");
}

TEST(App, WrongUsageExitsWith2) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {},
           {"frobnicate"},
           {"quantize"},
           {"quantize", "model"},
           {"quantize", "model", "--output", "out", "--format", "fp5"},
           {"quantize", "model", "--output", "out"},
           {"status"},
           {"eval", "dir"},
           {"analyze", "model"},
           {"analyze", "model", "--calibration", "c", "--layers", "first"},
           {"jobs", "--state", "SLEEPING"},
           {"jobs", "--coordinator", "localhost"},
           {"jobs", "--coordinator", "http://127.0.0.1:7470"},
           {"eval", "dir", "--text", "t", "--losses", "/no/such/folder/losses.npy"},
           {"eval", "dir", "--text", "t", "--against", "s", "--divergences", "/"},
           {"verify", "dir", "-o", "xml"}}) {
    const Ran ran = rotor(arguments);
    EXPECT_EQ(ran.code, 2) << ::testing::PrintToString(arguments);
    EXPECT_EQ(ran.err.find("error: "), 0U) << ran.err;
    EXPECT_EQ(ran.out, "");
  }
}

TEST(App, ErrorsAreOneJsonObjectWhereJsonWasAskedFor) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"-o", "json", "frobnicate"},
           {"submit", "model", "--json"},
           {"submit", "model", "--output", "out", "-o", "json"},
           {"verify", "/no/such/directory", "-o", "json"},
           {"inspect", "/no/such/directory", "--output-format=json"}}) {
    const Ran ran = rotor(arguments);
    EXPECT_EQ(ran.code, 2) << ::testing::PrintToString(arguments);
    EXPECT_FALSE(ran.json()["error"]["message"].get<std::string>().empty());
  }
}

TEST(App, UnreachableCoordinatorsExitWith69) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"jobs"},
           {"status", "7"},
           {"watch", "7"},
           {"cancel", "7"},
           {"pause", "7"},
           {"resume", "7"},
           {"report", "7"},
           {"workers"},
           {"delete", "7"},
           {"submit", "m", "--output", "o", "--calibration", "c"}}) {
    std::vector<std::string> line = arguments;
    line.insert(line.end(), {"--coordinator", "127.0.0.1:1", "--timeout", "0.2"});
    const Ran ran = rotor(line);
    EXPECT_EQ(ran.code, 69) << ::testing::PrintToString(arguments);
    EXPECT_NE(ran.err.find("127.0.0.1:1"), std::string::npos);
    EXPECT_NE(ran.err.find("remedy"), std::string::npos);
  }
}

class AppWithCoordinator : public ::testing::Test {
 protected:
  AppWithCoordinator() {
    v1::Job job;
    job.set_name("jobs/7");
    job.set_layers(4);
    job.set_output_path("/out/m");
    jobs_.set_job(job);
    jobs_.add_state(v1::JOB_STATE_RUNNING);
  }
  Ran call(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--coordinator", jobs_.address()});
    return rotor(arguments);
  }
  FakeJobs jobs_;
};

TEST_F(AppWithCoordinator, ActsOnJobs) {
  for (const std::string action : {"cancel", "pause", "resume"}) {
    EXPECT_EQ(call({action, "7"}).code, 0);
    EXPECT_EQ(jobs_.calls().back(), action + " jobs/7");
  }
  EXPECT_EQ(call({"status", "jobs/7", "-o", "json"}).json()["job"], "jobs/7");
  EXPECT_EQ(call({"delete", "7", "--json"}).json()["deleted"], true);
  EXPECT_EQ(call({"report", "7", "--json"}).json()["state"], "RUNNING");
  EXPECT_EQ(call({"jobs", "--json", "--limit", "1"}).json()["jobs"].size(), 1U);
}

TEST_F(AppWithCoordinator, FindsAJobByTheBeginningOfItsId) {
  v1::Job job;
  job.set_name("jobs/0123456789abcdef");
  jobs_.set_job(job);
  EXPECT_EQ(call({"cancel", "0123"}).code, 0);
  EXPECT_EQ(jobs_.calls().back(), "cancel jobs/0123456789abcdef");
  EXPECT_EQ(call({"cancel", "4"}).code, 2);
  EXPECT_EQ(call({"status", "4", "--json"}).json()["error"]["reason"], "NO_SUCH_JOB");
}

TEST_F(AppWithCoordinator, ListsWorkersWithTheirRanks) {
  v1::ListWorkersResponse workers;
  v1::WorkerGroup* group = workers.add_groups();
  group->set_id(3);
  group->set_host("node-a");
  group->set_ranks(2);
  group->set_job("jobs/7");
  group->set_end_layer(4);
  group->set_doing("layer 1, stage 2 of 4");
  v1::RankState* rank = group->add_rank_states();
  rank->set_rank(1);
  rank->set_host("node-b");
  rank->set_memory_bytes(1);
  rank->set_wait_share(0.25);
  rank->set_straggler(true);
  jobs_.set_workers(workers);
  const Ran ran = call({"workers"});
  EXPECT_EQ(ran.code, 0);
  for (const char* word :
       {"node-a", "jobs/7", "0-3", "layer 1, stage 2 of 4", "node-b", "25%", "straggler"}) {
    EXPECT_NE(ran.out.find(word), std::string::npos) << word << "\n" << ran.out;
  }
  const auto json = call({"workers", "--json"}).json()["workers"][0];
  EXPECT_EQ(json["lease"]["job"], "jobs/7");
  EXPECT_EQ(json["rank_states"][0]["straggler"], true);
}

TEST_F(AppWithCoordinator, SubmitSendsTheSpecUnderANewId) {
  const Ran ran =
      call({"submit", "/m", "--output", "/o", "--calibration", "/c", "--format", "int4", "--json"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.json()["job"], "jobs/7");
  EXPECT_EQ(jobs_.submitted().spec().format(), v1::FORMAT_INT4);
  EXPECT_EQ(jobs_.submitted().request_id().rfind("rotor-", 0), 0U);
  call({"submit", "/m", "--output", "/o", "--calibration", "/c", "--request-id", "mine"});
  EXPECT_EQ(jobs_.submitted().request_id(), "mine");
}

TEST_F(AppWithCoordinator, ValidationWithProblemsIsInvalidInput) {
  v1::Job plan;
  plan.add_problems()->set_message("no such model");
  jobs_.set_job(plan);
  const Ran ran =
      call({"submit", "/m", "--output", "/o", "--calibration", "/c", "--validate-only", "--json"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(ran.json()["problems"][0]["message"], "no such model");
  EXPECT_TRUE(jobs_.submitted().validate_only());
}

TEST_F(AppWithCoordinator, WaitingEndsWithTheReport) {
  jobs_.add_commit(0, 1);
  jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  const Ran ran =
      call({"submit", "/m", "--output", "/o", "--calibration", "/c", "--wait", "--json"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.json()["state"], "SUCCEEDED");
  EXPECT_TRUE(ran.json().contains("modules"));
}

TEST_F(AppWithCoordinator, AFailedJobExitsWith1WhateverItsCause) {
  jobs_.add_state(v1::JOB_STATE_FAILED, invalid_argument("weights are NaN")
                                            .with_reason("NOT_FINITE")
                                            .with_detail("module", "q_proj"));
  const Ran ran = call({"watch", "7", "--json"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.json()["state"], "FAILED");
  EXPECT_EQ(ran.json()["error"]["details"]["reason"], "NOT_FINITE");
  const Ran human = call({"watch", "7"});
  EXPECT_EQ(human.code, 1);
  EXPECT_NE(human.err.find("jobs/7 failed: weights are NaN"), std::string::npos);
}

TEST_F(AppWithCoordinator, WatchWritesJsonLines) {
  jobs_.add_commit(0, 1);
  jobs_.add_state(v1::JOB_STATE_SUCCEEDED);
  const Ran ran = call({"watch", "7", "--from", "2", "-o", "jsonl"});
  std::istringstream lines(ran.out);
  std::vector<nlohmann::json> objects;
  for (std::string line; std::getline(lines, line);) {
    objects.push_back(nlohmann::json::parse(line));
  }
  ASSERT_EQ(objects.size(), 3U);
  EXPECT_EQ(objects[0]["event"], "committed");
  EXPECT_EQ(objects[0]["revision"], 2);
  EXPECT_EQ(objects[1]["state"], "SUCCEEDED");
  EXPECT_EQ(objects[2]["job"], "jobs/7");
}

TEST_F(AppWithCoordinator, TheAddressMayComeFromTheEnvironment) {
  setenv("ROTOR_COORDINATOR", jobs_.address().c_str(), 1);
  const Ran ran = rotor({"status", "7", "--json"});
  unsetenv("ROTOR_COORDINATOR");
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.json()["job"], "jobs/7");
}

}  // namespace
}  // namespace rotor::cli
