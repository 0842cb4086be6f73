#include "coordinator/assemble/assembler.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "coordinator/assemble/report_file.h"
#include "model/merged_tensor.h"
#include "quant/base/json.h"
#include "quant/base/sha256.h"
#include "quant/checkpoint/checkpoint_reader.h"
#include "quant/checkpoint/verify.h"
#include "quant/engines/serving.h"
#include "tests/support/coordinator/core_fixture.h"
#include "tests/support/directory_digests.h"

namespace rotor::coordinator {
namespace {

using testing::CoreTest;
using testing::CoreWorker;
using testing::digests;

nlohmann::json open_model_config(const std::string& directory) {
  return nlohmann::json::parse(testing::file_bytes(directory + "/config.json"));
}

class Assembler : public CoreTest {
 protected:
  /// Commits every layer, so that only the assembly is left.
  std::string commit_all(const v1::SubmitJobRequest& request) {
    const Result<v1::Job> job = core_->submit(request);
    EXPECT_OK(job);
    CoreWorker worker(core_.get(), "w" + request.request_id());
    core_->tick();
    const auto lease = worker.next_lease();
    for (int32_t layer = 0; layer < 4; ++layer) {
      EXPECT_OK(worker.put_and_commit(*lease, layer));
    }
    worker.finish(*lease);
    return job->name();
  }
};

TEST_F(Assembler, WritesACheckpointThatVerifiesAndKeepsTheRestOfTheModel) {
  const std::string name = commit_all(demo_.request("r1"));
  ASSERT_TRUE(core_->assemble_next());
  ASSERT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED) << job(name).cause().message();
  SerialParallel serial;
  const auto report = verify_checkpoint(fs_, demo_.output(), serial);
  ASSERT_OK(report);
  EXPECT_TRUE(report->ok());
  EXPECT_EQ(report->modules.size(), 28U);
  const auto source = CheckpointReader::open(fs_, demo_.model());
  const auto made = CheckpointReader::open(fs_, demo_.output());
  ASSERT_OK(source);
  ASSERT_OK(made);
  for (const char* tensor : {"model.embed_tokens.weight", "model.layers.2.input_layernorm.weight",
                             "model.norm.weight"}) {
    EXPECT_EQ(*read_tensor(**source, tensor), *read_tensor(**made, tensor)) << tensor;
  }
  for (const char* file : {"tokenizer.json", "tokenizer_config.json", "generation_config.json"}) {
    EXPECT_EQ(testing::file_bytes(demo_.model() + "/" + file),
              testing::file_bytes(demo_.output() + "/" + file));
  }
  EXPECT_FALSE(std::filesystem::exists(demo_.output() + ".rotor-partial"));
  core_->assemble_next();
  EXPECT_TRUE(std::filesystem::is_empty(demo_.state() + "/staging"));
}

TEST_F(Assembler, CutsIntoShardsWithARotationTensor) {
  v1::SubmitJobRequest request = demo_.request("r1");
  request.mutable_spec()->set_format(v1::FORMAT_NVFP4);
  request.mutable_spec()->set_rotation(16);
  request.mutable_spec()->set_max_shard_size(1'000'000);
  const std::string name = commit_all(request);
  core_->assemble_next();
  ASSERT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED) << job(name).cause().message();
  EXPECT_TRUE(std::filesystem::exists(demo_.output() + "/model.safetensors.index.json"));
  const auto made = CheckpointReader::open(fs_, demo_.output());
  ASSERT_OK(made);
  EXPECT_GT((*made)->shards().size(), 1U);
  EXPECT_NE((*made)->find("model.layers.0.self_attn.q_proj.v_input.weight"), nullptr);
  EXPECT_EQ(core_->report(name)->serving_modes(0).substr(0, 16), "vLLM 0.25: fails");
}

TEST_F(Assembler, WritesTheOtherLayouts) {
  struct Recipe {
    v1::Layout layout;
    v1::Format format;
    int rotation;
    Layout read;
  };
  const Recipe recipes[] = {
      {v1::LAYOUT_FP_QUANT, v1::FORMAT_NVFP4, 16, Layout::kFpQuant},
      {v1::LAYOUT_FP_QUANT, v1::FORMAT_MXFP4, 128, Layout::kFpQuant},
      {v1::LAYOUT_MODELOPT, v1::FORMAT_NVFP4, 0, Layout::kModelOpt},
  };
  // A file of the source gives way to one of that name that the layout writes.
  std::ofstream(demo_.model() + "/hf_quant_config.json") << "{}";
  for (const Recipe& recipe : recipes) {
    const std::string output = std::to_string(recipe.layout) + std::to_string(recipe.format);
    v1::SubmitJobRequest request = demo_.request("r" + output, output);
    request.mutable_spec()->set_layout(recipe.layout);
    request.mutable_spec()->set_format(recipe.format);
    request.mutable_spec()->set_rotation(recipe.rotation);
    request.mutable_spec()->set_activations(v1::ACTIVATIONS_A4);
    const std::string name = commit_all(request);
    core_->assemble_next();
    ASSERT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED) << job(name).cause().message();
    SerialParallel serial;
    const auto report = verify_checkpoint(fs_, demo_.output(output), serial);
    ASSERT_OK(report);
    EXPECT_EQ(report->layout, recipe.read);
    EXPECT_EQ(report->modules.size(), 28U);
    EXPECT_EQ(report->modules.begin()->second.rotation, recipe.rotation);
    const auto served = core_->report(name)->serving_modes();
    EXPECT_EQ(std::vector<std::string>(served.begin(), served.end()),
              serving_lines(report->served));
    const std::string other = testing::file_bytes(demo_.output(output) + "/hf_quant_config.json");
    EXPECT_EQ(other != "{}", recipe.layout == v1::LAYOUT_MODELOPT);
  }
}

TEST_F(Assembler, WritesWhatAMergedRotationMakesOfTheRestOfTheModel) {
  v1::SubmitJobRequest request = demo_.request("r1");
  request.mutable_spec()->set_merged_rotation(64);
  request.mutable_spec()->add_ignore("*.layers.1.mlp.down_proj");
  const std::string name = commit_all(request);
  core_->assemble_next();
  ASSERT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED) << job(name).cause().message();
  const auto source = open_model(fs_, demo_.model());
  const auto made = open_model_config(demo_.output());
  const auto checkpoint = CheckpointReader::open(fs_, demo_.output());
  ASSERT_OK(source);
  ASSERT_OK(checkpoint);
  EXPECT_EQ(made.at("tie_word_embeddings"), false);
  const auto plan = plan_merge(source->architecture, 64);
  ASSERT_OK(plan);
  for (const char* tensor :
       {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight",
        "model.layers.2.input_layernorm.weight", "model.layers.1.mlp.down_proj.weight"}) {
    const auto merged = MergedTensor::open(*source->checkpoint, *plan->find(tensor));
    ASSERT_OK(merged);
    std::vector<uint8_t> expected(static_cast<size_t>(merged->rows() * merged->row_bytes()));
    ASSERT_OK(merged->read(0, merged->rows(), expected.data()));
    EXPECT_EQ(*read_tensor(**checkpoint, tensor), expected) << tensor;
  }
  EXPECT_EQ(core_->report(name)->serving_modes(0).substr(0, 21), "vLLM 0.25, 0.33: runs");
}

TEST_F(Assembler, WritesACardAndKeepsThatOfTheSource) {
  std::ofstream(demo_.model() + "/README.md") << "# By another hand\n";
  const std::string name = commit_all(demo_.request("r1"));
  core_->assemble_next();
  ASSERT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED) << job(name).cause().message();
  EXPECT_EQ(testing::file_bytes(demo_.output() + "/README-source.md"), "# By another hand\n");
  const std::string card = testing::file_bytes(demo_.output() + "/README.md");
  for (const char* words :
       {"# demo, mxfp4\n", "[README-source.md](README-source.md)", "| method | rtn, scales mse |",
        "| rotation | none |", "| quantized modules | 28 |", "- vLLM 0.25, 0.33: runs",
        "- SGLang 0.5.23: fails: it has no MXFP4", "    vllm serve DIRECTORY\n"}) {
    EXPECT_NE(card.find(words), std::string::npos) << words << "\n" << card;
  }
  EXPECT_EQ(card.find("launch_server"), std::string::npos);
  EXPECT_EQ(card.find(demo_.root().path()), std::string::npos) << "no path of this host";
}

TEST_F(Assembler, TwoRunsGiveTheSameBytes) {
  commit_all(demo_.request("r1", "one"));
  core_->assemble_next();
  commit_all(demo_.request("r2", "two"));
  core_->assemble_next();
  EXPECT_EQ(digests(demo_.output("one")), digests(demo_.output("two")));
}

TEST_F(Assembler, TheReportFileHasAllModulesAndNothingThatVaries) {
  commit_all(demo_.request("r1"));
  core_->assemble_next();
  const std::string text = testing::file_bytes(demo_.output() + "/rotor_report.json");
  const auto report = parse_json(text, "report");
  ASSERT_OK(report);
  EXPECT_EQ(report->at("modules").size(), 28U);
  EXPECT_EQ(report->at("options").at("format"), "mxfp4");
  for (const char* word : {"seconds", "host", "jobs/", "time", "/tmp"}) {
    EXPECT_EQ(text.find(word), std::string::npos) << word;
  }
}

// faults.01
TEST_F(Assembler, Faults01_ACrashAtAnyCallLeavesNothingOrTheWholeCheckpoint) {
  commit_all(demo_.request("r1", "reference"));
  const int64_t before = fs_.plan().calls;
  core_->assemble_next();
  const int64_t calls = fs_.plan().calls - before;
  const auto reference = digests(demo_.output("reference"));
  const std::string name = commit_all(demo_.request("r2", "out"));
  // EIO stands for the crash: from the failed call on, nothing of that attempt goes on.
  for (int64_t step = 0; step < calls; step += std::max<int64_t>(calls / 12, 1)) {
    fs_.plan().fail_at = fs_.plan().calls + step;
    core_->assemble_next();
    if (std::filesystem::exists(demo_.output())) {
      EXPECT_EQ(digests(demo_.output()), reference);
    }
    fs_.plan().fail_at = -1;
    restart();
    clock_.advance(std::chrono::seconds(3));
    core_->tick();  // where the failed call looked like a source out of sight
    if (job(name).state() != v1::JOB_STATE_FINALIZING) {
      break;
    }
  }
  core_->assemble_next();
  const v1::Job end = job(name);
  if (end.state() == v1::JOB_STATE_SUCCEEDED) {
    EXPECT_EQ(digests(demo_.output()), reference);
  } else {
    EXPECT_EQ(end.state(), v1::JOB_STATE_FAILED);
    EXPECT_FALSE(std::filesystem::exists(demo_.output()));
  }
}

// faults.01
TEST_F(Assembler, Faults01_PublishedButNotRecordedIsFoundAgain) {
  const std::string name = commit_all(demo_.request("r1"));
  core_->assemble_next();
  const auto before = digests(demo_.output());
  ASSERT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
  core_.reset();
  // The rename is done, the record of it is not: what a crash right after the rename leaves.
  {
    Database database;
    ASSERT_OK(database.open(demo_.state() + "/jobs.sqlite"));
    ASSERT_OK(database.execute("UPDATE jobs SET state=4"));
  }
  restart();
  ASSERT_EQ(job(name).state(), v1::JOB_STATE_FINALIZING);
  core_->assemble_next();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(digests(demo_.output()), before);
}

// faults.26
TEST_F(Assembler, Faults26_AnOutputThatSomebodyElseMadeMeanwhileIsLeftAlone) {
  const std::string name = commit_all(demo_.request("r1"));
  std::filesystem::create_directory(demo_.output());
  std::ofstream(demo_.output() + "/theirs") << "x";
  core_->assemble_next();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(job(name).cause().reason(), "OUTPUT_EXISTS");
  core_->assemble_next();
  EXPECT_TRUE(std::filesystem::exists(demo_.output() + "/theirs"));
  std::filesystem::rename(demo_.output(), demo_.output("moved"));
  ASSERT_OK(core_->resume(name));
  core_->assemble_next();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
}

// faults.11
TEST_F(Assembler, Faults11_AFullDiskPausesTheAssemblyAndItGoesOnByItself) {
  const std::string name = commit_all(demo_.request("r1"));
  fs_.plan().disk_bytes = fs_.plan().bytes_written + 1'000'000;
  core_->assemble_next();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(job(name).cause().reason(), "DISK_FULL");
  EXPECT_FALSE(std::filesystem::exists(demo_.output() + ".rotor-partial"));
  fs_.plan().disk_bytes = -1;
  clock_.advance(std::chrono::seconds(3));
  core_->tick();
  core_->assemble_next();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
}

// faults.22
TEST_F(Assembler, Faults22_AModelThatChangedBeforeTheAssemblyPausesTheJob) {
  const std::string name = commit_all(demo_.request("r1"));
  const std::string tokenizer = testing::file_bytes(demo_.model() + "/tokenizer.json");
  std::ofstream(demo_.model() + "/tokenizer.json", std::ios::app) << " ";
  core_->assemble_next();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(job(name).cause().reason(), "SOURCE_CHANGED");
  EXPECT_FALSE(std::filesystem::exists(demo_.output()));
  std::ofstream(demo_.model() + "/tokenizer.json", std::ios::binary) << tokenizer;
  ASSERT_OK(core_->resume(name));
  core_->assemble_next();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
}

// faults.33
TEST_F(Assembler, Faults33_ASourceThatGoesBeforeTheAssemblyIsWaitedFor) {
  const std::string name = commit_all(demo_.request("r1"));
  const std::string away = demo_.root() / "away";
  std::filesystem::rename(demo_.model(), away);
  core_->assemble_next();
  EXPECT_EQ(job(name).cause().reason(), "SOURCE_UNREADABLE");
  std::filesystem::rename(away, demo_.model());
  clock_.advance(std::chrono::seconds(3));
  core_->tick();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_FINALIZING);
  core_->assemble_next();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
}

}  // namespace
}  // namespace rotor::coordinator
