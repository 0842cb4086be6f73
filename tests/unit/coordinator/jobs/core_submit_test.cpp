#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "proto/presets.h"
#include "tests/support/coordinator/core_fixture.h"

namespace rotor::coordinator {
namespace {

using testing::CoreTest;

class CoreSubmit : public CoreTest {
 protected:
  Status refused(const std::function<void(v1::JobSpec&)>& change) {
    v1::SubmitJobRequest request = demo_.request("bad");
    change(*request.mutable_spec());
    const Result<v1::Job> job = core_->submit(request);
    EXPECT_FALSE(std::filesystem::exists(demo_.output()));
    EXPECT_TRUE(core_->list({})->jobs().empty());
    return job.status();
  }
};

TEST_F(CoreSubmit, FillsInDefaultsAndEstimates) {
  const std::string name = submit();
  const v1::Job job = CoreTest::job(name);
  EXPECT_EQ(job.state(), v1::JOB_STATE_PENDING);
  EXPECT_EQ(job.layers(), 4);
  EXPECT_EQ(job.spec().propagate(), v1::PROPAGATE_QUANTIZED);
  EXPECT_EQ(job.spec().plan().lanes(), 8);
  EXPECT_EQ(job.output_path(), std::filesystem::canonical(demo_.output("")).string() + "/out");
  EXPECT_EQ(job.estimate().calibration_tokens(), 256);
  EXPECT_GT(job.estimate().worker_bytes_per_group(), 0);
  EXPECT_GT(job.estimate().flops(), 0.0);
}

TEST_F(CoreSubmit, TheEstimateOfTheOutputIsExactButForReportAndCard) {
  const std::string name = submit();
  run_to_end();
  const v1::Job job = CoreTest::job(name);
  ASSERT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.cause().message();
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(demo_.output())) {
    const std::string file = entry.path().filename();
    const bool written_last = file.starts_with("rotor_report.") || file == "README.md";
    bytes += written_last ? 0 : static_cast<int64_t>(entry.file_size());
  }
  EXPECT_EQ(job.estimate().output_bytes(), bytes);
}

// faults.17
TEST_F(CoreSubmit, Faults17_AHundredSubmitsAtOnceAreOneJob) {
  const auto names =
      testing::submit_at_once(100, [&] { return core_->submit(demo_.request("same")); });
  EXPECT_EQ(names.size(), 1U);
  EXPECT_EQ(core_->list({})->jobs_size(), 1);
}

TEST_F(CoreSubmit, AnotherSpecUnderTheSameIdIsRefusedFieldByField) {
  submit("r1");
  v1::SubmitJobRequest request = demo_.request("r1");
  request.mutable_spec()->set_format(v1::FORMAT_NVFP4);
  request.mutable_spec()->mutable_calibration()->set_sequences(5);
  const Result<v1::Job> other = core_->submit(request);
  EXPECT_FAILS(other, Code::kAlreadyExists, "REQUEST_ID_TAKEN",
               "calibration.sequences: 4 -> 5; format: FORMAT_MXFP4 -> FORMAT_NVFP4");
}

TEST_F(CoreSubmit, DefaultsSpelledOutAreTheSameSpec) {
  const std::string name = submit("r1");
  v1::SubmitJobRequest request = demo_.request("r1");
  request.mutable_spec()->mutable_plan()->set_lanes(8);
  request.mutable_spec()->mutable_plan()->set_micro_batch_sequences(1);
  request.mutable_spec()->set_rotation(0);
  const Result<v1::Job> same = core_->submit(request);
  ASSERT_OK(same);
  EXPECT_EQ(same->name(), name);
}

TEST_F(CoreSubmit, ValidateOnlyStoresNothingAndFindsEverything) {
  v1::SubmitJobRequest request;
  request.set_validate_only(true);
  *request.mutable_spec() = demo_.spec();
  Result<v1::Job> job = core_->submit(request);
  ASSERT_OK(job);
  EXPECT_EQ(job->problems_size(), 0);
  EXPECT_GT(job->estimate().output_bytes(), 0);
  EXPECT_TRUE(job->name().empty());
  request.mutable_spec()->mutable_calibration()->add_files("missing.txt");
  request.mutable_spec()->set_output("../out");
  request.mutable_spec()->add_ignore("*.nonsense");
  job = core_->submit(request);
  ASSERT_OK(job);
  std::set<std::string> reasons;
  for (const v1::Cause& problem : job->problems()) {
    reasons.insert(problem.reason());
  }
  EXPECT_EQ(reasons,
            (std::set<std::string>{"FILE_NOT_FOUND", "PATH_REFUSED", "PATTERN_WITHOUT_MATCH"}));
  EXPECT_TRUE(core_->list({})->jobs().empty());
}

TEST_F(CoreSubmit, RefusesABadRequestId) {
  for (const std::string& id : {std::string(), std::string(129, 'a'), std::string("a b")}) {
    EXPECT_FAILS(core_->submit(demo_.request(id)), Code::kInvalidArgument, "BAD_REQUEST_ID", "");
  }
}

TEST_F(CoreSubmit, RefusesWhatALayoutCannotSayWithTheRemedy) {
  const auto refuse = [&](v1::Layout layout, v1::Format format, const char* words) {
    EXPECT_FAILS(refused([&](v1::JobSpec& spec) {
                   spec.set_layout(layout);
                   spec.set_format(format);
                   spec.set_method(v1::METHOD_MR_GPTQ);
                 }),
                 Code::kInvalidArgument, "UNSUPPORTED_COMBINATION", words);
  };
  refuse(v1::LAYOUT_MODELOPT, v1::FORMAT_MXFP4, "holds nvfp4, not mxfp4");
  refuse(v1::LAYOUT_FP_QUANT, v1::FORMAT_MXFP4, "add --activations a4");
  refuse(v1::LAYOUT_FP_QUANT, v1::FORMAT_INT4, "not int4");
}

TEST_F(CoreSubmit, TheDefaultRotationIsOneThatEveryEngineRuns) {
  struct Case {
    const char* model;
    v1::Format format;
    v1::Layout layout;
    int online;
    int merged;
  };
  constexpr v1::Layout kCt = v1::LAYOUT_COMPRESSED_TENSORS;
  const Case cases[] = {
      {"demo", v1::FORMAT_NVFP4, kCt, 0, 0},
      {"demo", v1::FORMAT_NVFP4, v1::LAYOUT_MODELOPT, 0, 0},
      {"demo", v1::FORMAT_NVFP4, v1::LAYOUT_FP_QUANT, 16, 0},
      {"demo", v1::FORMAT_MXFP4, v1::LAYOUT_FP_QUANT, 128, 0},
      {"demo", v1::FORMAT_MXFP4, kCt, 0, 128},
      {"demo", v1::FORMAT_INT4, kCt, 0, 0},
      {"mistral", v1::FORMAT_MXFP4, kCt, 0, 64},  // is 64 wide
      {"gemma2", v1::FORMAT_MXFP4, kCt, 0, 0},    // has a norm that no rotation can be merged past
  };
  const std::filesystem::path families =
      std::filesystem::path(ROTOR_SOURCE_DIR) / "tests/data/families";
  for (const char* family : {"mistral", "gemma2"}) {
    std::filesystem::copy(families / family, demo_.root() / (std::string("models/") + family));
  }
  std::ofstream(demo_.root() / "data/ids.jsonl") << R"({"input_ids": [1, 2, 3, 4, 5, 6, 7, 8]})";
  for (const Case& c : cases) {
    v1::SubmitJobRequest request = demo_.request("r1");
    v1::JobSpec& spec = *request.mutable_spec();
    spec.set_model(c.model);
    spec.clear_method();
    spec.set_format(c.format);
    spec.set_layout(c.layout);
    spec.set_activations(c.layout == v1::LAYOUT_FP_QUANT ? v1::ACTIVATIONS_A4
                                                         : v1::ACTIVATIONS_A16);
    spec.mutable_calibration()->set_files(0, "ids.jsonl");
    spec.mutable_calibration()->set_sequences(1);
    spec.mutable_calibration()->set_seq_len(8);
    if (c.format == v1::FORMAT_INT4) {
      spec.set_group_size(32);
    }
    request.set_validate_only(true);
    const Result<v1::Job> job = core_->submit(request);
    ASSERT_OK(job);
    for (const v1::Cause& problem : job->problems()) {
      ADD_FAILURE() << c.model << ": " << problem.message();
    }
    EXPECT_EQ(job->spec().rotation(), c.online) << c.model << " " << v1::Format_Name(c.format);
    EXPECT_EQ(job->spec().merged_rotation(), c.merged) << c.model;
  }
}

TEST_F(CoreSubmit, RefusesWhatATargetWouldNotRunBeforeAnyWork) {
  const auto refuse = [&](const char* target, int online, const char* reason, const char* words) {
    EXPECT_FAILS(refused([&](v1::JobSpec& spec) {
                   spec.add_serve_on("vllm");
                   spec.add_serve_on(target);
                   spec.set_rotation(online);
                 }),
                 Code::kInvalidArgument, reason, words);
  };
  refuse("vllm,tp=2", 128, "NOT_SERVABLE", "or serve with tp=1");
  refuse("sglang", 128, "NOT_SERVABLE", "choose --rotation none");
  refuse("sglang", 0, "NOT_SERVABLE", "choose --format nvfp4 or int4");
  refuse("vllm,tp=64", 0, "NOT_SERVABLE", "serve with tp=4");
  refuse("vllm,tp=none", 0, "BAD_TARGET", "tp is a number of GPUs");
}

TEST_F(CoreSubmit, ASingleTargetThatRunsItBringsTheOnlineRotation) {
  const auto rotations = [&](const std::vector<const char*>& targets) {
    v1::SubmitJobRequest request = demo_.request("r1");
    request.set_validate_only(true);
    request.mutable_spec()->clear_method();
    for (const char* target : targets) {
      request.mutable_spec()->add_serve_on(target);
    }
    const Result<v1::Job> job = core_->submit(request);
    EXPECT_TRUE(job.ok() && job->problems().empty());
    return job.ok() ? std::pair(job->spec().rotation(), job->spec().merged_rotation())
                    : std::pair(-1, -1);
  };
  EXPECT_EQ(rotations({"vllm,gpu=hopper"}), std::pair(128, 0));
  EXPECT_EQ(rotations({"vllm,tp=2"}), std::pair(0, 128));
  EXPECT_EQ(rotations({"vllm", "transformers"}), std::pair(0, 128));
  EXPECT_EQ(rotations({}), std::pair(0, 128));
}

TEST_F(CoreSubmit, APresetFillsWhatIsLeftUnset) {
  const std::string page = testing::file_bytes(std::string(ROTOR_SOURCE_DIR) + "/docs/engines.md");
  for (const Preset& preset : presets()) {
    EXPECT_NE(page.find("| `" + std::string(preset.name) + "` | " + std::string(preset.use)),
              std::string::npos)
        << "docs/engines.md lacks preset " << preset.name;
    v1::SubmitJobRequest request = demo_.request("r1");
    request.set_validate_only(true);
    request.mutable_spec()->clear_method();
    request.mutable_spec()->clear_format();
    request.mutable_spec()->set_preset(std::string(preset.name));
    const Result<v1::Job> job = core_->submit(request);
    ASSERT_OK(job);
    EXPECT_TRUE(job->problems().empty()) << preset.name << ": " << job->problems(0).message();
    EXPECT_EQ(job->spec().preset(), preset.name);
    EXPECT_NE(job->spec().format(), v1::FORMAT_UNSPECIFIED);
  }
  v1::SubmitJobRequest request = demo_.request("r1");
  request.set_validate_only(true);
  request.mutable_spec()->clear_method();
  request.mutable_spec()->set_preset("vllm-mxfp4");
  EXPECT_EQ(core_->submit(request)->spec().rotation(), 128);
  request.mutable_spec()->add_serve_on("vllm,tp=2");
  const Result<v1::Job> job = core_->submit(request);
  ASSERT_OK(job);
  EXPECT_EQ(job->spec().serve_on_size(), 1) << "its own target takes the place of the preset's";
  EXPECT_EQ(job->spec().merged_rotation(), 128);
  EXPECT_FAILS(refused([](v1::JobSpec& spec) { spec.set_preset("fast"); }), Code::kInvalidArgument,
               "BAD_SPEC", "no preset 'fast' is known; there are any,");
}

TEST_F(CoreSubmit, WarnsByNameOfEnginesThatRunNoOnlineRotation) {
  v1::SubmitJobRequest request = demo_.request("r1");
  request.set_validate_only(true);
  EXPECT_TRUE(core_->submit(request)->estimate().warnings().empty());
  request.mutable_spec()->set_rotation(128);
  const v1::Estimate estimate = core_->submit(request)->estimate();
  const auto warns = [&](const char* begin) {
    return std::any_of(estimate.warnings().begin(), estimate.warnings().end(),
                       [&](const std::string& text) { return text.starts_with(begin); });
  };
  EXPECT_TRUE(warns("vLLM 0.25, 0.33: fails: it raises NotImplementedError"));
  EXPECT_TRUE(warns("SGLang 0.5.23: loads and is wrong"));
  EXPECT_FALSE(warns("vLLM 0.25: runs"));
}

// faults.25
TEST_F(CoreSubmit, Faults25_PathsStayBelowTheirRoots) {
  std::filesystem::create_symlink("/etc", demo_.root() / "models/link");
  ASSERT_EQ(::mkfifo((demo_.root() / "data/fifo").c_str(), 0600), 0);
  for (const char* model : {"../data", "/etc", "link", "demo/../../data", ""}) {
    EXPECT_FAILS(refused([&](v1::JobSpec& spec) { spec.set_model(model); }), Code::kInvalidArgument,
                 "PATH_REFUSED", "model")
        << model;
  }
  EXPECT_FAILS(refused([](v1::JobSpec& spec) { spec.set_model(std::string("a\0b", 3)); }),
               Code::kInvalidArgument, "PATH_REFUSED", "model");
  const auto calibrate_on = [&](const std::string& file) {
    return refused([&](v1::JobSpec& spec) { spec.mutable_calibration()->set_files(0, file); });
  };
  EXPECT_FAILS(calibrate_on("/etc/passwd"), Code::kInvalidArgument, "PATH_REFUSED", "calibration");
  EXPECT_FAILS(calibrate_on("fifo"), Code::kInvalidArgument, "NOT_A_REGULAR_FILE", "fifo");
  EXPECT_FAILS(calibrate_on("/dev/zero"), Code::kInvalidArgument, "PATH_REFUSED", "/dev/zero");
  EXPECT_FAILS(refused([](v1::JobSpec& spec) { spec.set_output("/etc/out"); }),
               Code::kInvalidArgument, "PATH_REFUSED", "output");
}

// faults.35
TEST_F(CoreSubmit, Faults35_NamesOfWorkUnderWayCannotBeAskedFor) {
  std::filesystem::create_directory(demo_.output("m.rotor-partial"));
  for (const char* output : {"late.rotor-partial", "m.rotor-partial/x", ".late.rotor"}) {
    EXPECT_FAILS(core_->submit(demo_.request("r", output)), Code::kInvalidArgument,
                 "OUTPUT_NAME_RESERVED", output);
  }
}

// faults.26
TEST_F(CoreSubmit, Faults26_TheOutputMustBeNewAndWritable) {
  std::filesystem::create_directory(demo_.output("taken"));
  EXPECT_FAILS(core_->submit(demo_.request("r", "taken")), Code::kAlreadyExists, "OUTPUT_EXISTS",
               "taken");
  std::filesystem::create_directory(demo_.output("late.rotor-partial"));
  EXPECT_FAILS(core_->submit(demo_.request("r", "late")), Code::kAlreadyExists,
               "OUTPUT_PARTIAL_EXISTS", "late");
  submit("r1", "out");
  EXPECT_FAILS(core_->submit(demo_.request("r2", "out")), Code::kAlreadyExists, "OUTPUT_IN_USE",
               "out");
  std::filesystem::create_directory(demo_.output("nest"));
  submit("r3", "nest/a");
  std::filesystem::create_directory(demo_.output("nest/a"));
  EXPECT_FAILS(core_->submit(demo_.request("r4", "nest/a/b")), Code::kAlreadyExists,
               "OUTPUT_IN_USE", "overlaps");
}

// faults.26
TEST_F(CoreSubmit, Faults26_TheOutputIsNotTheModelNorWithinIt) {
  CoordinatorOptions options = demo_.options();
  options.state_dir = demo_.root() / "state2";
  options.output_root = options.model_root;
  ASSERT_OK(check_options(options));
  const auto core = Core::open(fs_, clock_, options);
  ASSERT_OK(core);
  EXPECT_FAILS((*core)->submit(demo_.request("r", "demo")), Code::kInvalidArgument,
               "OUTPUT_IN_MODEL", "demo");
  EXPECT_FAILS((*core)->submit(demo_.request("r", "demo/out")), Code::kInvalidArgument,
               "OUTPUT_IN_MODEL", "demo/out");
}

// faults.32
TEST_F(CoreSubmit, Faults32_CalibrationIsReadBeforeAnyWork) {
  const auto calibrate_on = [&](const std::string& name, const std::string& bytes) {
    demo_.root().put("data/" + name, bytes);
    return refused([&](v1::JobSpec& spec) { spec.mutable_calibration()->set_files(0, name); });
  };
  EXPECT_FAILS(calibrate_on("empty.txt", ""), Code::kInvalidArgument, "BAD_CALIBRATION_DATA",
               "empty.txt");
  EXPECT_FAILS(calibrate_on("few.txt", "a few words"), Code::kInvalidArgument, "TOO_FEW_TOKENS",
               "");
  EXPECT_FAILS(calibrate_on("broken.jsonl", "{\"text\": \"fine\"}\n{\"text\": \n"),
               Code::kInvalidArgument, "BAD_CALIBRATION_DATA", "broken.jsonl:2");
  EXPECT_FAILS(calibrate_on("ids.jsonl", "{\"input_ids\": [1, 2, 99999]}\n"),
               Code::kInvalidArgument, "BAD_CALIBRATION_DATA", "99999");
  EXPECT_FAILS(calibrate_on("latin.txt", "caf\xe9 " + std::string(1000, 'a')),
               Code::kInvalidArgument, "BAD_CALIBRATION_DATA", "latin.txt");
}

// faults.24
TEST_F(CoreSubmit, Faults24_ADamagedModelIsRefusedByName) {
  std::filesystem::resize_file(demo_.model() + "/model.safetensors", 100);
  EXPECT_FAILS(core_->submit(demo_.request("r")), Code::kInvalidArgument, "BAD_SAFETENSORS",
               "model.safetensors");
}

// faults.29
TEST_F(CoreSubmit, Faults29_AWidthThatTheGroupDoesNotDivideIsNamed) {
  EXPECT_FAILS(refused([](v1::JobSpec& spec) {
                 spec.set_format(v1::FORMAT_INT4);
                 spec.set_group_size(512);
               }),
               Code::kInvalidArgument, "GROUP_DOES_NOT_DIVIDE", "q_proj");
}

// faults.22
TEST_F(CoreSubmit, Faults22_AChangedSourceIsRefusedWithTheDifference) {
  submit("r1");
  std::filesystem::resize_file(demo_.text(), std::filesystem::file_size(demo_.text()) - 1);
  EXPECT_FAILS(core_->submit(demo_.request("r1")), Code::kFailedPrecondition, "SOURCE_CHANGED",
               "text.json");
}

}  // namespace
}  // namespace rotor::coordinator
