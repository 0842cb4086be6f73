#include "quant/checkpoint/compressed_tensors_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "quant/checkpoint/layout.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/quant/checkpoint/config_refusals.h"
#include "tests/unit/quant/checkpoint/small_checkpoint.h"

namespace rotor {
namespace {

using nlohmann::json;

// formats.md section 1, word for word.
constexpr const char* kNvfp4A4 = R"(
    {"config_groups": {"group_0": {
        "format": "nvfp4-pack-quantized", "targets": ["Linear"], "output_activations": null,
        "input_activations": {"actorder": null, "block_structure": null, "dynamic": "local", "group_size": 16,
          "num_bits": 4, "observer": "static_minmax", "observer_kwargs": {}, "scale_dtype": "torch.float8_e4m3fn",
          "strategy": "tensor_group", "symmetric": true, "type": "float", "zp_dtype": null},
        "weights": {"actorder": "static", "block_structure": null, "dynamic": false, "group_size": 16, "num_bits": 4,
          "observer": "mse", "observer_kwargs": {}, "scale_dtype": "torch.float8_e4m3fn", "strategy": "tensor_group",
          "symmetric": true, "type": "float", "zp_dtype": null}}},
     "format": "nvfp4-pack-quantized", "global_compression_ratio": null, "ignore": ["lm_head"], "kv_cache_scheme": null,
     "quant_method": "compressed-tensors", "quantization_status": "compressed", "sparsity_config": {},
     "transform_config": {}, "version": "0.18.0"})";

QuantizationInfo info(Format format, Activations activations, int rotation) {
  return testing::small_info({.format = format,
                              .activations = activations,
                              .rotation = rotation,
                              .down_rotation = rotation});
}

json config(Format format, Activations activations, int rotation) {
  return json(*compressed_tensors_config(info(format, activations, rotation)));
}

TEST(CompressedTensorsConfig, Nvfp4A4AsDocumented) {
  const auto written = compressed_tensors_config(info(Format::kNvfp4, Activations::kA4, 0));
  ASSERT_OK(written);
  EXPECT_EQ(written->dump(1), nlohmann::ordered_json::parse(kNvfp4A4).dump(1));
}

TEST(CompressedTensorsConfig, OtherFormatsDifferWhereDocumented) {
  json expected = json::parse(kNvfp4A4);
  json& group = expected["config_groups"]["group_0"];
  group["input_activations"] = nullptr;
  EXPECT_EQ(config(Format::kNvfp4, Activations::kA16, 0), expected);
  for (const char* key : {"input_activations", "weights"}) {
    group[key] = json::parse(kNvfp4A4)["config_groups"]["group_0"][key];
    group[key].update({{"group_size", 32}, {"scale_dtype", "torch.uint8"}, {"strategy", "group"}});
  }
  group["input_activations"].update({{"dynamic", true}, {"observer", nullptr}});
  group["format"] = "mxfp4-pack-quantized";
  expected["format"] = "mxfp4-pack-quantized";
  EXPECT_EQ(config(Format::kMxfp4, Activations::kA4, 0), expected);
  group["input_activations"] = nullptr;
  group["weights"].update({{"group_size", 128}, {"scale_dtype", nullptr}, {"type", "int"}});
  group["format"] = "pack-quantized";
  expected["format"] = "pack-quantized";
  EXPECT_EQ(config(Format::kInt4, Activations::kA16, 0), expected);
}

TEST(CompressedTensorsConfig, TransformAsDocumented) {
  json expected = json::parse(R"({"config_groups": {"v": {"type": "hadamard", "head_dim": 32,
       "precision": "torch.float64", "randomize": false, "requires_grad": false, "apply": [
         {"targets": ["Linear"], "location": "input",        "inverse": false, "ignore": ["lm_head"]},
         {"targets": ["Linear"], "location": "weight_input", "inverse": true,  "ignore": ["lm_head"]}]}}})");
  for (int i = 0; i < 2; ++i) {  // the linear with a bias stays unrotated, and quantized
    expected["config_groups"]["v"]["apply"][i]["ignore"].push_back(
        "model.layers.0.self_attn.o_proj");
  }
  const json written = config(Format::kNvfp4, Activations::kA16, 32);
  EXPECT_EQ(written["transform_config"], expected);
  EXPECT_EQ(written["ignore"], json::parse(R"(["lm_head"])"));
}

TEST(CompressedTensorsConfig, RefusesInt4WithQuantizedActivations) {
  EXPECT_FAILS(compressed_tensors_config(info(Format::kInt4, Activations::kA4, 0)),
               Code::kInvalidArgument, "UNSUPPORTED_COMBINATION", "int4");
}

TEST(CompressedTensorsConfig, ReadsBackWhatItWrites) {
  for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
    for (const Activations activations : {Activations::kA16, Activations::kA4}) {
      for (const int rotation : {0, 16, 128}) {
        if (format == Format::kInt4 && activations == Activations::kA4) {
          continue;
        }
        QuantizationInfo written = info(format, activations, rotation);
        written.act_order = rotation == 16;
        written.scale_search = rotation == 16 ? ScaleSearch::kAbsmax : ScaleSearch::kMse;
        const auto back = parse_compressed_tensors_config(json(*compressed_tensors_config(written)),
                                                          DType::kBf16, "config.json");
        ASSERT_OK(back);
        EXPECT_EQ(back->scheme, written.scheme);
        EXPECT_EQ(back->activations, activations);
        EXPECT_EQ(back->ignored, NameSet{"lm_head"});
        for (const QuantizedModule& module : written.modules) {
          const StoredRotation* found = back->rotation_of(module.name);
          EXPECT_EQ(found == nullptr ? 0 : found->block, module.rotation) << module.name;
        }
      }
    }
  }
}

TEST(CompressedTensorsConfig, ReadsSeveralBlocks) {
  const QuantizationInfo written = testing::small_info({.rotation = 64, .down_rotation = 32});
  const auto back = parse_compressed_tensors_config(json(*compressed_tensors_config(written)),
                                                    DType::kBf16, "config.json");
  ASSERT_OK(back);
  for (const QuantizedModule& module : written.modules) {
    const StoredRotation* found = back->rotation_of(module.name);
    EXPECT_EQ(found == nullptr ? 0 : found->block, module.rotation) << module.name;
  }
}

TEST(CompressedTensorsConfig, RefusesEveryChangeItWouldHaveToIgnore) {
  // How the scales were found, and by which program, does not change what the bytes mean.
  testing::expect_every_change_refused(
      config(Format::kNvfp4, Activations::kA4, 16),
      [](const json& changed) {
        return parse_compressed_tensors_config(changed, DType::kBf16, "d/config.json").status();
      },
      {"/version", "/config_groups/group_0/weights/observer"});
}

TEST(CompressedTensorsConfig, RefusesUnknownAndMissingKeys) {
  const auto parse = [](const json& changed) {
    return parse_compressed_tensors_config(changed, DType::kBf16, "config.json");
  };
  json changed = config(Format::kMxfp4, Activations::kA16, 0);
  changed["config_groups"]["group_0"]["weights"]["new_key"] = 1;
  EXPECT_FAILS(parse(changed), Code::kInvalidArgument, "BAD_CONFIG", "new_key");
  changed = config(Format::kMxfp4, Activations::kA16, 0);
  changed["config_groups"]["group_1"] = changed["config_groups"]["group_0"];
  EXPECT_FAILS(parse(changed), Code::kInvalidArgument, "BAD_CONFIG", "group_1");
  changed = config(Format::kMxfp4, Activations::kA16, 0);
  changed.erase("sparsity_config");
  EXPECT_FAILS(parse(changed), Code::kInvalidArgument, "BAD_CONFIG", "'/sparsity_config': missing");
  for (const char* text : {"{}", "[]", "1", "null", R"({"format":[],"config_groups":[1]})"}) {
    EXPECT_FAILS(parse(json::parse(text)), Code::kInvalidArgument, "BAD_CONFIG", "'/format'");
  }
}

}  // namespace
}  // namespace rotor
