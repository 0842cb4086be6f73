#include "quant/checkpoint/fp_quant_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "quant/checkpoint/layout.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/quant/checkpoint/config_refusals.h"
#include "tests/unit/quant/checkpoint/small_checkpoint.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::small_fp_quant;
using testing::small_info;

TEST(FpQuantConfig, AsDocumented) {
  QuantizationInfo info = small_info(small_fp_quant(Format::kNvfp4));
  for (QuantizedModule& module : info.modules) {
    module.rotation = 16;
  }
  const auto written = fp_quant_config(info);
  ASSERT_OK(written);
  // formats.md section 2, word for word.
  EXPECT_EQ(written->dump(1), nlohmann::ordered_json::parse(R"({"quant_method": "fp_quant",
      "forward_dtype": "nvfp4", "forward_method": "abs_max",
      "backward_dtype": "bf16", "hadamard_group_size": 16, "modules_to_not_convert": ["lm_head"],
      "store_master_weights": false, "pseudoquantization": false})")
                                  .dump(1));
}

TEST(FpQuantConfig, ReadsBackWhatItWrites) {
  for (const Format format : {Format::kNvfp4, Format::kMxfp4}) {
    const QuantizationInfo info = small_info(small_fp_quant(format));
    const auto written = fp_quant_config(info);
    ASSERT_OK(written);
    const auto back = parse_fp_quant_config(json(*written), "config.json");
    ASSERT_OK(back);
    EXPECT_EQ(back->layout, Layout::kFpQuant);
    EXPECT_EQ(back->scheme, info.scheme);
    EXPECT_EQ(back->activations, Activations::kA4);
    EXPECT_EQ(back->ignored, NameSet{"lm_head"});
    for (const QuantizedModule& module : info.modules) {
      const StoredRotation* found = back->rotation_of(module.name);
      ASSERT_NE(found, nullptr);
      EXPECT_EQ(found->block, 32);
      EXPECT_EQ(found->storage, RotationStorage::kNormalizedEach);
    }
  }
}

TEST(FpQuantConfig, RefusesWhatItCannotSay) {
  const auto refused = [](const char* words, const auto& change) {
    QuantizationInfo info = small_info(small_fp_quant(Format::kMxfp4));
    change(info);
    EXPECT_FAILS(fp_quant_config(info), Code::kInvalidArgument, "UNSUPPORTED_COMBINATION", words);
  };
  refused("holds nvfp4, mxfp4, not int4", [](QuantizationInfo& info) {
    info.scheme = *make_scheme(Format::kInt4, 0, DType::kBf16);
  });
  refused("add --activations a4",
          [](QuantizationInfo& info) { info.activations = Activations::kA16; });
  refused("down_proj has 64 where the first has 32",
          [](QuantizationInfo& info) { info.modules.back().rotation = 64; });
  for (const int block : {0, 16, 256}) {
    refused("blocks of a power of two, 32 to 128", [&](QuantizationInfo& info) {
      for (QuantizedModule& module : info.modules) {
        module.rotation = block;
      }
    });
  }
}

TEST(FpQuantConfig, RefusesEveryChangeItWouldHaveToIgnore) {
  const auto written = fp_quant_config(small_info(small_fp_quant(Format::kNvfp4)));
  ASSERT_OK(written);
  testing::expect_every_change_refused(json(*written), [](const json& config) {
    return parse_fp_quant_config(config, "d/config.json").status();
  });
}

TEST(FpQuantConfig, RefusesBlocksThatLoadersDoNotTake) {
  json config = json(*fp_quant_config(small_info(small_fp_quant(Format::kMxfp4))));
  for (const int block : {16, 256, 48, 0}) {
    config["hadamard_group_size"] = block;
    EXPECT_FAILS(parse_fp_quant_config(config, "config.json"), Code::kInvalidArgument, "BAD_CONFIG",
                 "hadamard_group_size");
  }
}

TEST(FpQuantConfig, IsReadForModelsInBf16Alone) {
  const json quantization = json(*fp_quant_config(small_info(small_fp_quant(Format::kNvfp4))));
  const json good = {{"dtype", "bfloat16"}, {"quantization_config", quantization}};
  ASSERT_OK(parse_quantization_config(good.dump(), "config.json"));
  const json bad = {{"torch_dtype", "float16"}, {"quantization_config", quantization}};
  EXPECT_FAILS(parse_quantization_config(bad.dump(), "config.json"), Code::kInvalidArgument,
               "BAD_CONFIG", "BF16 alone");
}

}  // namespace
}  // namespace rotor
