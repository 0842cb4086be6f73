#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "quant/checkpoint/checkpoint_reader.h"
#include "quant/checkpoint/safetensors_writer.h"
#include "quant/checkpoint/sharding.h"
#include "quant/format/codes.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/quant/checkpoint/small_checkpoint.h"
#include "tests/unit/quant/checkpoint/verified.h"

namespace rotor {
namespace {

using testing::SmallCheckpointOptions;
using testing::TemporaryDirectory;
using testing::text_of;
using testing::verified;

const std::string kAttention = "model.layers.0.self_attn.";
const std::string kMlp = "model.layers.0.mlp.";

// Rewrites a one-file checkpoint with its tensors changed.
class Damaged : public ::testing::Test {
 protected:
  using Change = std::function<void(std::vector<StoredTensor>&)>;

  void write(const SmallCheckpointOptions& options) {
    ASSERT_OK(testing::write_small_checkpoint(dir_.path(), options));
  }

  void change(const Change& change) {
    FileSystem& fs = posix_file_system();
    std::vector<StoredTensor> tensors;
    {
      const auto reader = CheckpointReader::open(fs, dir_.path());
      ASSERT_OK(reader);
      for (const TensorSpec& spec : (*reader)->tensors()) {
        tensors.push_back({spec, *read_tensor(**reader, spec.name)});
      }
    }
    change(tensors);
    std::vector<TensorSpec> specs;
    for (const StoredTensor& tensor : tensors) {
      specs.push_back(tensor.spec);
    }
    const auto writer = SafetensorsWriter::create(fs, dir_ / kSingleShardName, specs);
    ASSERT_OK(writer);
    for (const StoredTensor& tensor : tensors) {
      ASSERT_OK((*writer)->write(tensor.spec.name, 0, tensor.bytes.data(), tensor.bytes.size()));
    }
    ASSERT_OK((*writer)->finish());
  }

  static StoredTensor& find(std::vector<StoredTensor>& tensors, const std::string& name) {
    const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const StoredTensor& tensor) {
      return tensor.spec.name == name;
    });
    EXPECT_NE(at, tensors.end()) << name;
    return *at;
  }
  static void erase(std::vector<StoredTensor>& tensors, const std::string& name) {
    const size_t erased = std::erase_if(
        tensors, [&](const StoredTensor& tensor) { return tensor.spec.name == name; });
    EXPECT_EQ(erased, 1U) << name;
  }
  static void set_float(StoredTensor& tensor, float value) {
    std::memcpy(tensor.bytes.data(), &value, sizeof(value));
  }

  void replace_in_config(const std::string& from, const std::string& to) {
    std::string config = testing::file_bytes(dir_ / "config.json");
    const size_t at = config.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    dir_.put("config.json", config.replace(at, from.size(), to));
  }

  void expect_problem(const std::string& words) {
    const VerifyReport report = verified(dir_.path());
    EXPECT_FALSE(report.ok());
    EXPECT_NE(text_of(report).find(words), std::string::npos)
        << "wanted " << words << "\ngot " << text_of(report);
  }

  TemporaryDirectory dir_;
};

TEST_F(Damaged, ScalesThatAreNotPositiveAndFinite) {
  for (const int byte : {0x00, 0x7f, 0x80, 0x81, 0xff}) {
    write({});
    change([&](auto& tensors) {
      find(tensors, kMlp + "up_proj.weight_scale").bytes[16 * 3 + 5] = static_cast<uint8_t>(byte);
    });
    expect_problem(kMlp + "up_proj.weight_scale | 1 scales are not positive and finite");
    expect_problem("at row 3, group 5");
  }
  write({.format = Format::kMxfp4, .rotation = 0, .down_rotation = 0});
  change([&](auto& tensors) { find(tensors, kMlp + "up_proj.weight_scale").bytes[0] = 255; });
  expect_problem("up_proj.weight_scale | 1 scales");
}

TEST_F(Damaged, ValuesThatOverflow) {
  write({.format = Format::kMxfp4, .rotation = 0, .down_rotation = 0});
  change([&](auto& tensors) {
    StoredTensor& scale = find(tensors, kMlp + "up_proj.weight_scale");
    std::fill(scale.bytes.begin() + 8 * 5, scale.bytes.begin() + 8 * 6, uint8_t{254});
  });
  expect_problem(kMlp + "up_proj | decodes to a value that is not finite in row 5");
}

TEST_F(Damaged, GlobalScales) {
  for (const float value : {0.0F, -1.0F, HUGE_VALF, std::nanf("")}) {
    write({.activations = Activations::kA4});
    change([&](auto& tensors) {
      set_float(find(tensors, kAttention + "o_proj.weight_global_scale"), value);
      set_float(find(tensors, kMlp + "down_proj.input_global_scale"), value);
    });
    expect_problem("o_proj.weight_global_scale |");
    expect_problem("down_proj.input_global_scale |");
  }
}

TEST_F(Damaged, FusedModulesMustAgreeToTheBit) {
  write({.activations = Activations::kA4});
  change([&](auto& tensors) {
    set_float(find(tensors, kAttention + "k_proj.weight_global_scale"),
              std::nextafter(12345.678F, 0.0F));
    set_float(find(tensors, kMlp + "up_proj.input_global_scale"), 321.0F);
  });
  expect_problem("k_proj | weight_global_scale");
  expect_problem("up_proj | input_global_scale");
}

TEST_F(Damaged, MissingAndLeftOverTensors) {
  write({.activations = Activations::kA4});
  change([&](auto& tensors) {
    erase(tensors, kAttention + "o_proj.input_global_scale");
    erase(tensors, kMlp + "down_proj.weight_scale");
    tensors.push_back({{kMlp + "up_proj.weight", DType::kU8, {1}}, {0}});
    tensors.push_back({{kMlp + "up_proj.weight_g_idx", DType::kU8, {1}}, {0}});
  });
  expect_problem("o_proj.input_global_scale | missing");
  expect_problem("down_proj.weight_scale");
  expect_problem("up_proj.weight | is left beside");
  expect_problem("up_proj.weight_g_idx | is left beside");
}

TEST_F(Damaged, InputScalesOfA16AreLeftOver) {
  write({});
  change([&](auto& tensors) {
    tensors.push_back({{kMlp + "up_proj.input_global_scale", DType::kF32, {1}}, {0, 0, 128, 63}});
  });
  expect_problem("up_proj.input_global_scale | is left beside");
}

TEST_F(Damaged, ShapesAndDivisibility) {
  write({.format = Format::kMxfp4});
  change([&](auto& tensors) {
    StoredTensor& packed = find(tensors, kMlp + "down_proj.weight_packed");
    packed.spec.shape = {256, 191};
    packed.bytes.resize(256 * 191);
    StoredTensor& scale = find(tensors, kMlp + "up_proj.weight_scale");
    scale.spec.shape = {8, 384};
  });
  expect_problem("382 columns, not divisible");
  expect_problem("up_proj.weight_scale");
}

TEST_F(Damaged, IgnoreLists) {
  write({});
  replace_in_config("\"ignore\": [\n      \"lm_head\"\n    ]",
                    "\"ignore\": [\"" + kMlp + "up_proj\", \"model.layers.7.gone\"]");
  expect_problem(kMlp + "up_proj | is in `ignore`, and quantized all the same");
  expect_problem("model.layers.7.gone | is in `ignore`, and no tensor");
  expect_problem("lm_head.weight | is a linear's weight that is neither");
}

TEST_F(Damaged, HalfQuantizedFusedModules) {
  write({});
  change([&](auto& tensors) {
    for (const char* suffix : {".weight_packed", ".weight_scale", ".weight_global_scale"}) {
      erase(tensors, kAttention + "v_proj" + suffix);
    }
    tensors.push_back({{kAttention + "v_proj.weight", DType::kU8, {1, 1}}, {0}});
  });
  expect_problem("v_proj | is not quantized, though engines fuse it with " + kAttention + "q_proj");
}

TEST_F(Damaged, HalfQuantizedAndMissingExperts) {
  const std::string experts = kMlp + "experts.";
  write({});
  change([&](auto& tensors) {
    for (auto& tensor : tensors) {
      for (const auto& [from, to] :
           {std::pair{"gate_proj", "0.gate_proj"}, std::pair{"up_proj", "3.gate_proj"},
            std::pair{"down_proj", "0.down_proj"}}) {
        if (tensor.spec.name.starts_with(kMlp + from)) {
          tensor.spec.name = experts + to + tensor.spec.name.substr((kMlp + from).size());
          break;
        }
      }
    }
    tensors.push_back({{experts + "1.gate_proj.weight", DType::kU8, {1, 1}}, {0}});
  });
  expect_problem(experts + "1.gate_proj | is not quantized, though engines hold it in one weight");
  expect_problem(experts + "1.down_proj | is missing, and other experts of the layer have it");
  expect_problem(experts + "3.down_proj | is missing, and other experts of the layer have it");
  expect_problem(kMlp + "experts | holds 3 experts, whose numbers go up to 3");
}

TEST_F(Damaged, RotationMatrices) {
  const std::string matrix = kAttention + "q_proj.v_input.weight";
  write({});
  change([&](auto& tensors) { find(tensors, matrix).bytes[7] ^= 0x80; });
  expect_problem(matrix + " | is not the Sylvester matrix");
  change([&](auto& tensors) { find(tensors, matrix).spec.shape = {8, 32}; });
  expect_problem(matrix + " | is F64 [8, 32]");
  change([&](auto& tensors) {
    find(tensors, matrix).spec.name = kAttention + "o_proj.v_input.weight";
  });
  expect_problem("o_proj.v_input.weight | is named after a module that is not rotated");
  change([&](auto& tensors) { erase(tensors, kAttention + "o_proj.v_input.weight"); });
  expect_problem("*.v_input.weight | 0 matrices");
}

TEST_F(Damaged, RotatedLinearsWithABias) {
  write({});
  change([&](auto& tensors) {
    tensors.push_back({{kMlp + "down_proj.bias", DType::kU8, {1}}, {0}});
  });
  expect_problem(kMlp + "down_proj | is rotated and has a bias");
}

TEST_F(Damaged, FpQuant) {
  const std::string matrix = ".forward_hadamard_matrix";
  write(testing::small_fp_quant(Format::kMxfp4));
  change([&](auto& tensors) {
    erase(tensors, kMlp + "up_proj" + matrix);
    find(tensors, kMlp + "down_proj" + matrix).bytes[1] ^= 0x80;
    find(tensors, kMlp + "gate_proj.scales").bytes[3] = 255;
    set_float(find(tensors, kAttention + "k_proj.weight_global_scale"), 1.0F);
    tensors.push_back({{kAttention + "v_proj.backward_hadamard_matrix", DType::kU8, {1}}, {0}});
  });
  expect_problem("up_proj.forward_hadamard_matrix | is missing");
  expect_problem("down_proj.forward_hadamard_matrix | is not the Sylvester matrix");
  expect_problem("gate_proj.scales | 1 scales are not positive and finite");
  expect_problem("k_proj.weight_global_scale |");
  expect_problem("v_proj.backward_hadamard_matrix | is left beside");
}

TEST_F(Damaged, FpQuantIgnoresOnlyWhatEnginesDoNotFuse) {
  write(testing::small_fp_quant(Format::kNvfp4));
  replace_in_config("\"lm_head\"", "\"lm_head\", \"" + kMlp + "up_proj\"");
  change([&](auto& tensors) {
    for (const char* suffix : {".qweight", ".scales", ".weight_global_scale", ".act_global_scale",
                               ".forward_hadamard_matrix"}) {
      erase(tensors, kMlp + "up_proj" + suffix);
    }
    tensors.push_back({{kMlp + "up_proj.weight", DType::kU8, {1, 1}}, {0}});
  });
  expect_problem("up_proj | is in `ignore`, and the layout's engines look for it");
}

TEST_F(Damaged, ModelOpt) {
  write(testing::small_modelopt(Activations::kA4));
  change([&](auto& tensors) {
    find(tensors, kMlp + "gate_proj.weight_scale").bytes[3] = 0x7f;
    set_float(find(tensors, kAttention + "k_proj.weight_scale_2"), 321.0F);
    set_float(find(tensors, kMlp + "up_proj.input_scale"), 321.0F);
    erase(tensors, kMlp + "down_proj.input_scale");
  });
  dir_.put("hf_quant_config.json", "{}");
  expect_problem("gate_proj.weight_scale | 1 scales are not positive and finite");
  expect_problem("k_proj | weight_scale_2 321");
  expect_problem("up_proj | input_scale 321");
  expect_problem("down_proj.input_scale | missing");
  expect_problem("hf_quant_config.json: quantization_config: key '/quantization/exclude_modules'");
}

TEST_F(Damaged, Files) {
  write({.max_shard_bytes = 100'000});
  dir_.put("model-00001-of-00009.safetensors.partial", "");
  dir_.put("stray.safetensors", "");
  std::string index = testing::file_bytes(dir_ / kIndexName);
  const size_t at = index.find("\"total_size\": ") + 14;
  dir_.put(kIndexName, index.insert(at, "1"));
  expect_problem("model-00001-of-00009.safetensors.partial | is a shard that was never finished");
  expect_problem("stray.safetensors | is a safetensors file outside");
  expect_problem("model.safetensors.index.json | metadata.total_size");
}

// faults.10
TEST_F(Damaged, Faults10_AFlippedBitChangesItsDigestOnly) {
  write({});
  const VerifyReport before = verified(dir_.path());
  change([&](auto& tensors) { find(tensors, kMlp + "up_proj.weight_packed").bytes[100] ^= 4; });
  const VerifyReport after = verified(dir_.path());
  EXPECT_EQ(before.tensors, after.tensors);
  for (const auto& [name, module] : before.modules) {
    EXPECT_EQ(after.modules.at(name).digest == module.digest, name != kMlp + "up_proj") << name;
  }
}

TEST_F(Damaged, UnreadableCheckpointsAreProblems) {
  write({});
  dir_.put("model.safetensors", "short");
  expect_problem("shorter than the 8");
  dir_.put("config.json", "{");
  write({});
  replace_in_config("compressed-tensors", "something-else");
  expect_problem("quant_method");
  SerialParallel parallel;
  EXPECT_EQ(verify_checkpoint(posix_file_system(), dir_ / "absent", parallel).status().code(),
            Code::kNotFound);
}

}  // namespace
}  // namespace rotor
