// What a checkpoint takes over as it is: told when a job is submitted, and looked through.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "coordinator/jobs/copied_tensors.h"
#include "coordinator/jobs/prepared_job.h"
#include "proto/convert.h"
#include "tests/support/coordinator/core_fixture.h"
#include "tests/support/other_head.h"

namespace rotor::coordinator {
namespace {

using CoreCopied = testing::CoreTest;

TEST_F(CoreCopied, SaysWhatIsCopiedUnreadAndLeftBehindAndMergesNoRotationBesideIt) {
  std::filesystem::copy(std::filesystem::path(ROTOR_SOURCE_DIR) / "tests/data/families/llava",
                        demo_.root() / "models/llava");
  std::ofstream(demo_.root() / "models/llava/pytorch_model.bin") << "weights";
  std::ofstream(demo_.root() / "data/ids.jsonl") << R"({"input_ids": [1, 2, 3, 4, 5, 6, 7, 8]})";
  v1::SubmitJobRequest request = demo_.request("r1");
  request.set_validate_only(true);
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_model("llava");
  spec.clear_method();
  spec.set_format(v1::FORMAT_MXFP4);
  spec.mutable_calibration()->set_files(0, "ids.jsonl");
  spec.mutable_calibration()->set_sequences(1);
  spec.mutable_calibration()->set_seq_len(8);
  spec.add_ignore("re:.*vision_tower.*");
  spec.add_ignore("re:.*lm_head");
  Result<v1::Job> job = core_->submit(request);
  ASSERT_OK(job);
  EXPECT_TRUE(job->problems().empty()) << job->problems(0).message();
  EXPECT_EQ(job->spec().merged_rotation(), 0);
  EXPECT_EQ(job->spec().ignore_size(), 1) << "the other pattern names what is copied alone";
  std::string warnings;
  for (const std::string& warning : job->estimate().warnings()) {
    warnings += warning + "\n";
  }
  EXPECT_NE(warnings.find("multi_modal_projector.linear_1.weight"), std::string::npos) << warnings;
  EXPECT_NE(warnings.find("left behind, being weights in other files: "), std::string::npos)
      << warnings;
  EXPECT_NE(warnings.find("pytorch_model.bin"), std::string::npos) << warnings;
  spec.set_rotation(0);
  spec.set_merged_rotation(16);
  job = core_->submit(request);
  ASSERT_OK(job);
  ASSERT_EQ(job->problems_size(), 1);
  EXPECT_EQ(job->problems(0).reason(), "CANNOT_MERGE_ROTATION");
}

TEST_F(CoreCopied, NamesTheDtypeWhereTheConfigSaysAuto) {
  const std::filesystem::path model = demo_.root() / "models/llava";
  std::filesystem::copy(std::filesystem::path(ROTOR_SOURCE_DIR) / "tests/data/families/llava",
                        model);
  nlohmann::json config =
      nlohmann::json::parse(testing::file_bytes((model / "config.json").string()));
  config.erase("torch_dtype");
  config["dtype"] = "auto";
  config["text_config"]["dtype"] = "bfloat16";
  std::ofstream(model / "config.json") << config;
  const auto files = open_model(posix_file_system(), model.string());
  ASSERT_OK(files);
  v1::JobSpec spec = with_defaults(demo_.request("r").spec()).value();
  fit_to_model(*files, &spec);
  const auto prepared = prepare_job(spec, *files);
  ASSERT_OK(prepared);
  const auto& written = (*prepared)->text_files.back();
  ASSERT_EQ(written.name, "config.json");
  const auto made = nlohmann::json::parse(written.text);
  EXPECT_EQ(made["dtype"], "bfloat16");
  EXPECT_EQ(made["text_config"]["dtype"], "bfloat16");
}

TEST_F(CoreCopied, RefusesInfinityAndNanInWhatIsCopied) {
  const std::string path = demo_.model() + "/model.safetensors";
  const std::string bytes = testing::file_bytes(path);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto tensors = nlohmann::json::parse(bytes.substr(sizeof header, header));
  const size_t begin = tensors["model.norm.weight"]["data_offsets"][0];
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(sizeof header + header + begin + 2));
  file.write("\xC0\x7F", 2);  // NaN in BF16
  file.close();
  EXPECT_FAILS(core_->submit(demo_.request("r")), Code::kInvalidArgument, "NOT_FINITE",
               "model.norm.weight holds Inf or NaN, first in element 1");
}

TEST_F(CoreCopied, HoldsATiedHeadAgainstTheEmbeddingWhenTheJobIsSubmittedAndThenNoMore) {
  testing::put_other_head(demo_.model());
  EXPECT_OK(open_model(posix_file_system(), demo_.model()));
  EXPECT_FAILS(core_->submit(demo_.request("r")), Code::kInvalidArgument, "UNTIED_HEAD",
               "lm_head.weight");
}

}  // namespace
}  // namespace rotor::coordinator
