#include "quant/checkpoint/modelopt.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "quant/checkpoint/modelopt_config.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/quant/checkpoint/config_refusals.h"
#include "tests/unit/quant/checkpoint/small_checkpoint.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::small_info;
using testing::small_modelopt;
using testing::TemporaryDirectory;

const ModelOptLayout kLayout;

StoredQuantization stored(Activations activations) {
  return *parse_modelopt_config(json(*modelopt_config(small_info(small_modelopt(activations)))),
                                "config.json");
}

TEST(ModelOpt, SpecsFollowTheTable) {
  const QuantizedModule m{"m", 64, 256, 0};
  const QuantScheme scheme = *make_scheme(Format::kNvfp4, 0, DType::kBf16, Layout::kModelOpt);
  EXPECT_EQ(kLayout.tensor_specs(m, scheme, Activations::kA4),
            (std::vector<TensorSpec>{{"m.weight", DType::kU8, {64, 128}},
                                     {"m.weight_scale", DType::kF8E4M3, {64, 16}},
                                     {"m.weight_scale_2", DType::kF32, {}},
                                     {"m.input_scale", DType::kF32, {}}}));
  EXPECT_EQ(kLayout.tensor_specs(m, scheme, Activations::kA16).size(), 3U);
}

TEST(ModelOpt, TellsCodesByTheirDtype) {
  EXPECT_EQ(kLayout.module_of_codes({"q_proj.weight", DType::kU8, {2, 2}}), "q_proj");
  EXPECT_EQ(kLayout.module_of_codes({"q_proj.weight", DType::kBf16, {2, 4}}), "");
  EXPECT_EQ(kLayout.module_of_codes({"q_proj.weight_scale", DType::kU8, {2, 2}}), "");
}

TEST(ModelOpt, BothConfigsAgreeAndNameTheAlgorithm) {
  for (const Activations activations : {Activations::kA16, Activations::kA4}) {
    const QuantizationInfo info = small_info(small_modelopt(activations));
    const bool a4 = activations == Activations::kA4;
    const auto written = modelopt_config(info);
    ASSERT_OK(written);
    EXPECT_EQ((*written)["quant_algo"], a4 ? "NVFP4" : "W4A16_NVFP4");
    EXPECT_EQ((*written)["config_groups"]["group_0"].contains("input_activations"), a4);
    const auto files = kLayout.other_files(info);
    ASSERT_OK(files);
    ASSERT_EQ(files->size(), 1U);
    EXPECT_EQ((*files)[0].name, "hf_quant_config.json");
    const json expected = {{"quantization",
                            {{"quant_algo", a4 ? "NVFP4" : "W4A16_NVFP4"},
                             {"group_size", 16},
                             {"kv_cache_quant_algo", nullptr},
                             {"exclude_modules", {"lm_head"}}}}};
    EXPECT_EQ(json::parse((*files)[0].text), expected);
    const StoredQuantization back = stored(activations);
    EXPECT_EQ(back.layout, Layout::kModelOpt);
    EXPECT_EQ(back.scheme, info.scheme);
    EXPECT_EQ(back.activations, activations);
    EXPECT_EQ(back.ignored, NameSet{"lm_head"});
    EXPECT_TRUE(back.rotations.empty());
    EXPECT_OK(check_hf_quant_config((*files)[0].text, "hf_quant_config.json", back));
  }
}

TEST(ModelOpt, RefusesWhatItCannotSay) {
  QuantizationInfo info = small_info(small_modelopt(Activations::kA4));
  info.modules[2].rotation = 16;
  EXPECT_FAILS(modelopt_config(info), Code::kInvalidArgument, "UNSUPPORTED_COMBINATION",
               "v_proj: layout modelopt has no field for an online rotation");
  info.scheme = *make_scheme(Format::kMxfp4, 0, DType::kBf16);
  EXPECT_FAILS(modelopt_config(info), Code::kInvalidArgument, "UNSUPPORTED_COMBINATION",
               "holds nvfp4, not mxfp4: choose one of these, or --layout compressed-tensors or "
               "fp-quant");
}

TEST(ModelOpt, RefusesEveryChangeItWouldHaveToIgnore) {
  for (const Activations activations : {Activations::kA16, Activations::kA4}) {
    const json written = json(*modelopt_config(small_info(small_modelopt(activations))));
    testing::expect_every_change_refused(written, [](const json& config) {
      return parse_modelopt_config(config, "d/config.json").status();
    });
  }
}

TEST(ModelOpt, TheFileOfItsOwnMustSayWhatConfigDoes) {
  const QuantizationInfo info = small_info(small_modelopt(Activations::kA4));
  const StoredQuantization quantization = stored(Activations::kA4);
  testing::expect_every_change_refused(json(hf_quant_config(info)), [&](const json& config) {
    return check_hf_quant_config(config.dump(), "d/hf_quant_config.json", quantization);
  });
  const TemporaryDirectory dir;
  FileSystem& fs = posix_file_system();
  EXPECT_EQ(kLayout.check_other_files(fs, dir.path(), quantization).code(), Code::kNotFound);
  dir.put("hf_quant_config.json", hf_quant_config(info).dump());
  EXPECT_OK(kLayout.check_other_files(fs, dir.path(), quantization));
  EXPECT_FAILS(kLayout.check_other_files(fs, dir.path(), stored(Activations::kA16)),
               Code::kInvalidArgument, "BAD_CONFIG", "/quantization/quant_algo");
}

}  // namespace
}  // namespace rotor
