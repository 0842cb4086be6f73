#include "model/stacked_experts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "quant/checkpoint/safetensors_writer.h"
#include "quant/format/bf16.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::TemporaryDirectory;

constexpr int64_t kExperts = 3;

struct Sizes {
  int64_t hidden = 64;
  int64_t inner = 32;
};

const std::string kIn = "model.layers.0.mlp.experts.gate_up_proj";
const std::string kOut = "model.layers.0.mlp.experts.down_proj";

Architecture architecture(const Sizes& sizes) {
  const auto config =
      testing::parse_config(testing::family_config("gpt_oss", {{"num_hidden_layers", 1},
                                                               {"hidden_size", sizes.hidden},
                                                               {"intermediate_size", sizes.inner},
                                                               {"head_dim", 8},
                                                               {"num_local_experts", kExperts},
                                                               {"num_experts_per_tok", 2}}));
  EXPECT_OK(config);
  return describe(*config).value();
}

/// A whole number that BF16 holds, another for each place of a stack.
float value_at(int64_t expert, int64_t input, int64_t output) {
  return static_cast<float>((expert * 101 + input * 7 + output * 3) % 251);
}

uint8_t byte_at(int64_t index) {
  return static_cast<uint8_t>(index * 37 + index / 251);
}

StoredTensor floats(const std::string& name, std::vector<int64_t> shape, bool bias = false,
                    DType dtype = DType::kBf16) {
  StoredTensor tensor{{name, dtype, std::move(shape)}, {}};
  const int64_t rows = bias ? 1 : tensor.spec.shape[1];
  for (int64_t expert = 0; expert < kExperts; ++expert) {
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t col = 0; col < tensor.spec.shape.back(); ++col) {
        const float value = value_at(expert, row, col);
        uint8_t wide[sizeof(value)];
        std::memcpy(wide, &value, sizeof(value));
        // BF16 is the upper half of an F32 whose lower half is empty.
        const bool half = dtype == DType::kBf16;
        tensor.bytes.insert(tensor.bytes.end(), wide + (half ? 2 : 0), wide + sizeof(value));
      }
    }
  }
  return tensor;
}

/// Scales from 2^-4 to 2^3, so that every value differs from its neighbours'.
StoredTensor bytes(const std::string& name, std::vector<int64_t> shape, bool scales) {
  StoredTensor tensor{{name, DType::kU8, std::move(shape)}, {}};
  for (int64_t i = 0; i < tensor.spec.byte_size(); ++i) {
    tensor.bytes.push_back(scales ? static_cast<uint8_t>(123 + i % 8) : byte_at(i));
  }
  return tensor;
}

class StackedExperts : public ::testing::Test {
 protected:
  void add(StoredTensor tensor) { tensors_[tensor.spec.name] = std::move(tensor); }
  void remove(const std::string& name) { tensors_.erase(name); }

  void add_biases(const Sizes& sizes, DType dtype = DType::kBf16) {
    add(floats(kIn + "_bias", {kExperts, 2 * sizes.inner}, true, dtype));
    add(floats(kOut + "_bias", {kExperts, sizes.hidden}, true, dtype));
  }
  void add_floats(const Sizes& sizes, DType dtype = DType::kBf16) {
    add(floats(kIn, {kExperts, sizes.hidden, 2 * sizes.inner}, false, dtype));
    add(floats(kOut, {kExperts, sizes.inner, sizes.hidden}, false, dtype));
    add_biases(sizes, dtype);
  }
  void add_mxfp4(const Sizes& sizes) {
    add(bytes(kIn + "_blocks", {kExperts, 2 * sizes.inner, sizes.hidden / 32, 16}, false));
    add(bytes(kIn + "_scales", {kExperts, 2 * sizes.inner, sizes.hidden / 32}, true));
    add(bytes(kOut + "_blocks", {kExperts, sizes.hidden, sizes.inner / 32, 16}, false));
    add(bytes(kOut + "_scales", {kExperts, sizes.hidden, sizes.inner / 32}, true));
    add_biases(sizes);
  }

  Result<DecodedTensors> find(const Sizes& sizes) { return find(architecture(sizes)); }

  Result<DecodedTensors> find(const Architecture& architecture) {
    std::vector<TensorSpec> specs;
    for (const auto& [name, tensor] : tensors_) {
      specs.push_back(tensor.spec);
    }
    auto writer =
        SafetensorsWriter::create(posix_file_system(), directory_ / "model.safetensors", specs);
    EXPECT_OK(writer);
    for (const auto& [name, tensor] : tensors_) {
      EXPECT_OK((*writer)->write(name, 0, tensor.bytes.data(), tensor.bytes.size()));
    }
    EXPECT_OK((*writer)->finish());
    auto opened = CheckpointReader::open(posix_file_system(), directory_.path());
    EXPECT_OK(opened);
    checkpoint_ = std::move(opened).value();
    return stacked_expert_tensors(architecture, *checkpoint_);
  }

  /// By name; every tensor is read in two runs of rows that do not begin with the first.
  std::map<std::string, std::vector<float>> read(const DecodedTensors& decoded,
                                                 DType dtype = DType::kBf16) {
    std::map<std::string, std::vector<float>> all;
    for (const auto& tensor : decoded) {
      const TensorSpec& spec = tensor->spec();
      EXPECT_EQ(spec.dtype, dtype);
      const int64_t rows = spec.shape.size() == 1 ? 1 : spec.shape[0];
      const int64_t cols = spec.shape.back();
      std::vector<uint8_t> bytes(static_cast<size_t>(spec.byte_size()));
      const int64_t third = rows / 3;
      EXPECT_OK(tensor->read_rows(*checkpoint_, third, rows - third,
                                  bytes.data() + third * cols * dtype_size(dtype)));
      if (third > 0) {
        EXPECT_OK(tensor->read_rows(*checkpoint_, 0, third, bytes.data()));
      }
      std::vector<float>& values = all[spec.name];
      values.resize(static_cast<size_t>(rows * cols));
      EXPECT_OK(widen_to_f32(bytes.data(), dtype, rows * cols, values.data()));
    }
    return all;
  }

  TemporaryDirectory directory_;
  std::map<std::string, StoredTensor> tensors_;
  std::unique_ptr<CheckpointReader> checkpoint_;
};

std::string linear(int64_t expert, const char* name) {
  return "model.layers.0.mlp.experts." + std::to_string(expert) + "." + name;
}

void expect_biases(const std::map<std::string, std::vector<float>>& read, const Sizes& sizes) {
  for (int64_t expert = 0; expert < kExperts; ++expert) {
    for (int64_t i = 0; i < sizes.inner; ++i) {
      const auto at = static_cast<size_t>(i);
      EXPECT_EQ(read.at(linear(expert, "gate_proj.bias"))[at], value_at(expert, 0, 2 * i));
      EXPECT_EQ(read.at(linear(expert, "up_proj.bias"))[at], value_at(expert, 0, 2 * i + 1));
    }
    EXPECT_EQ(read.at(linear(expert, "down_proj.bias"))[5], value_at(expert, 0, 5));
  }
}

TEST_F(StackedExperts, TransposesAndTakesGateAndUpApart) {
  // The second is more than one band of memory.
  for (const auto& [sizes, dtype] : {std::pair{Sizes{64, 32}, DType::kBf16},
                                     {Sizes{2080, 1024}, DType::kBf16},
                                     {Sizes{64, 32}, DType::kF32}}) {
    add_floats(sizes, dtype);
    const auto decoded = find(sizes);
    ASSERT_OK(decoded);
    ASSERT_EQ(decoded->size(), 18U);
    const auto all = read(*decoded, dtype);
    for (int64_t expert = 0; expert < kExperts; ++expert) {
      const std::vector<float>& gate = all.at(linear(expert, "gate_proj.weight"));
      const std::vector<float>& up = all.at(linear(expert, "up_proj.weight"));
      const std::vector<float>& down = all.at(linear(expert, "down_proj.weight"));
      ASSERT_EQ(gate.size(), static_cast<size_t>(sizes.inner * sizes.hidden));
      ASSERT_EQ(down.size(), gate.size());
      for (int64_t n = 0; n < sizes.inner; ++n) {
        for (int64_t k = 0; k < sizes.hidden; ++k) {
          const auto at = static_cast<size_t>(n * sizes.hidden + k);
          ASSERT_EQ(gate[at], value_at(expert, k, 2 * n)) << n << ", " << k;
          ASSERT_EQ(up[at], value_at(expert, k, 2 * n + 1)) << n << ", " << k;
          ASSERT_EQ(down[static_cast<size_t>(k * sizes.inner + n)], value_at(expert, n, k));
        }
      }
    }
    expect_biases(all, sizes);
  }
}

/// Element `k` of row `row` of all rows of a blocks tensor with K inputs.
float mxfp4_at(int64_t row, int64_t k, int64_t inputs) {
  constexpr float kMagnitudes[] = {0.0F, 0.5F, 1.0F, 1.5F, 2.0F, 3.0F, 4.0F, 6.0F};
  const int64_t byte = byte_at(row * inputs / 2 + k / 2);
  const int64_t code = k % 2 == 0 ? byte % 16 : byte / 16;
  const float scale = std::ldexp(1.0F, static_cast<int>((row * inputs / 32 + k / 32) % 8) - 4);
  return (code >= 8 ? -1.0F : 1.0F) * kMagnitudes[code % 8] * scale;
}

TEST_F(StackedExperts, DecodesMxfp4) {
  const Sizes sizes{96, 64};
  add_mxfp4(sizes);
  const auto decoded = find(sizes);
  ASSERT_OK(decoded);
  const auto all = read(*decoded);
  for (int64_t expert = 0; expert < kExperts; ++expert) {
    for (int64_t n = 0; n < sizes.inner; ++n) {
      for (int64_t k = 0; k < sizes.hidden; ++k) {
        const auto at = static_cast<size_t>(n * sizes.hidden + k);
        const int64_t row = expert * 2 * sizes.inner + 2 * n;
        ASSERT_EQ(all.at(linear(expert, "gate_proj.weight"))[at], mxfp4_at(row, k, sizes.hidden));
        ASSERT_EQ(all.at(linear(expert, "up_proj.weight"))[at], mxfp4_at(row + 1, k, sizes.hidden));
        ASSERT_EQ(
            all.at(linear(expert, "down_proj.weight"))[static_cast<size_t>(k * sizes.inner + n)],
            mxfp4_at(expert * sizes.hidden + k, n, sizes.inner));
      }
    }
  }
  expect_biases(all, sizes);
}

TEST_F(StackedExperts, AreMadeOfWhatIsThenNoTensorOfTheModel) {
  const Sizes sizes;
  add_mxfp4(sizes);
  const auto decoded = find(sizes);
  ASSERT_OK(decoded);
  std::set<std::string> parts;
  for (const auto& tensor : *decoded) {
    for (const std::string& part : tensor->parts()) {
      parts.insert(part);
    }
  }
  std::set<std::string> stored;
  for (const auto& [name, tensor] : tensors_) {
    stored.insert(name);
  }
  EXPECT_EQ(parts, stored);
}

TEST_F(StackedExperts, LinearsThatAreTensorsOfTheirOwnAreLeftAlone) {
  const Sizes sizes;
  add_floats(sizes);
  remove(kIn);
  StoredTensor own{{linear(0, "gate_proj.weight"), DType::kBf16, {1}}, {0, 0}};
  add(own);
  const auto decoded = find(sizes);
  ASSERT_OK(decoded);
  EXPECT_EQ(decoded->size(), 6U) << "down_proj alone";
}

Architecture mixture(const std::string& type, const Sizes& sizes) {
  const auto config =
      testing::parse_config(testing::family_config(type, {{"num_hidden_layers", 1},
                                                          {"hidden_size", sizes.hidden},
                                                          {"intermediate_size", sizes.inner},
                                                          {"moe_intermediate_size", sizes.inner},
                                                          {"num_local_experts", kExperts},
                                                          {"num_experts_per_tok", 2}}));
  EXPECT_OK(config);
  return describe(*config).value();
}

TEST_F(StackedExperts, AreReadWithGateBeforeUpAndEitherOrder) {
  // Of the second gate and up together are as wide as their input, of the third down is square.
  for (const Sizes& sizes : {Sizes{48, 32}, Sizes{64, 32}, Sizes{32, 32}}) {
    for (const bool inputs_first : {false, true}) {
      const auto shape = [&](int64_t outputs, int64_t inputs) {
        return inputs_first ? std::vector{kExperts, inputs, outputs}
                            : std::vector{kExperts, outputs, inputs};
      };
      const auto stored = [&](int64_t expert, int64_t output, int64_t input) {
        return inputs_first ? value_at(expert, input, output) : value_at(expert, output, input);
      };
      tensors_.clear();
      add(floats(kIn, shape(2 * sizes.inner, sizes.hidden)));
      add(floats(kOut, shape(sizes.hidden, sizes.inner)));
      const auto decoded = find(mixture("qwen3_moe", sizes));
      ASSERT_OK(decoded);
      const auto all = read(*decoded);
      ASSERT_EQ(all.size(), 9U);
      for (int64_t expert = 0; expert < kExperts; ++expert) {
        for (int64_t n = 0; n < sizes.inner; ++n) {
          for (int64_t k = 0; k < sizes.hidden; ++k) {
            const auto at = static_cast<size_t>(n * sizes.hidden + k);
            const auto down = static_cast<size_t>(k * sizes.inner + n);
            ASSERT_EQ(all.at(linear(expert, "gate_proj.weight"))[at], stored(expert, n, k));
            ASSERT_EQ(all.at(linear(expert, "up_proj.weight"))[at],
                      stored(expert, sizes.inner + n, k));
            ASSERT_EQ(all.at(linear(expert, "down_proj.weight"))[down], stored(expert, k, n));
          }
        }
      }
    }
  }
}

TEST_F(StackedExperts, BringTheirRouterUnderItsPublishedName) {
  const Sizes sizes{48, 32};
  add(floats(kIn, {kExperts, 2 * sizes.inner, sizes.hidden}));
  add(floats(kOut, {kExperts, sizes.hidden, sizes.inner}));
  add({{"model.layers.0.mlp.gate.weight", DType::kU8, {2, 3}}, {1, 2, 3, 4, 5, 6}});
  const auto decoded = find(mixture("mixtral", sizes));
  ASSERT_OK(decoded);
  EXPECT_EQ(decoded->size(), 10U);
  const auto router = std::find_if(decoded->begin(), decoded->end(), [](const auto& tensor) {
    return tensor->spec().name == "model.layers.0.block_sparse_moe.gate.weight";
  });
  ASSERT_NE(router, decoded->end());
  EXPECT_EQ((*router)->parts(), std::vector<std::string>{"model.layers.0.mlp.gate.weight"});
  std::vector<uint8_t> row(3);
  EXPECT_OK((*router)->read_rows(*checkpoint_, 1, 1, row.data()));
  EXPECT_EQ(row, (std::vector<uint8_t>{4, 5, 6}));
}

TEST_F(StackedExperts, AreRefusedInAShapeOfNeitherOrder) {
  const Sizes sizes{48, 32};
  add(floats(kIn, {kExperts, 2 * sizes.inner, sizes.hidden}));
  add(floats(kOut, {kExperts, sizes.hidden, sizes.inner + 1}));
  EXPECT_FAILS(find(mixture("qwen3_moe", sizes)), Code::kInvalidArgument, "BAD_TENSOR_SHAPE",
               "down_proj is BF16 [3, 48, 33], not BF16 [3, 48, 32]");
}

TEST_F(StackedExperts, RefusesWhatIsMissing) {
  const Sizes sizes;
  add_mxfp4(sizes);
  remove(kOut + "_scales");
  EXPECT_FAILS(find(sizes), Code::kInvalidArgument, "MISSING_TENSORS",
               "down_proj_scales is missing");
  add_mxfp4(sizes);
  remove(kIn + "_bias");
  EXPECT_FAILS(find(sizes), Code::kInvalidArgument, "MISSING_TENSORS",
               "gate_up_proj_bias is missing");
  add_mxfp4(sizes);
  remove(kIn + "_blocks");
  EXPECT_FAILS(find(sizes), Code::kInvalidArgument, "MISSING_TENSORS",
               "experts.gate_up_proj is missing, and so is");
}

TEST_F(StackedExperts, RefusesShapesAndDtypesThatAreNotTheirs) {
  const Sizes sizes;
  add_mxfp4(sizes);
  add(bytes(kIn + "_scales", {kExperts, 2 * sizes.inner, 1}, true));
  EXPECT_FAILS(find(sizes), Code::kInvalidArgument, "BAD_TENSOR_SHAPE",
               "gate_up_proj_scales is U8 [3, 64, 1], not U8 [3, 64, 2]");
  add_mxfp4(sizes);
  add(bytes(kOut + "_blocks", {kExperts, sizes.hidden, 1, 8}, false));
  EXPECT_FAILS(find(sizes), Code::kInvalidArgument, "BAD_TENSOR_SHAPE", "down_proj_blocks is U8");
  add_mxfp4(sizes);
  add(floats(kIn + "_bias", {kExperts, sizes.inner}, true));
  EXPECT_FAILS(find(sizes), Code::kInvalidArgument, "BAD_TENSOR_SHAPE", "gate_up_proj_bias");
  add_mxfp4(sizes);
  const Sizes odd{80, 32};
  EXPECT_FAILS(find(odd), Code::kInvalidArgument, "BAD_TENSOR_SHAPE",
               "the 80 inputs of config.json are no multiple");

  tensors_.clear();
  add_floats(sizes);
  StoredTensor integers = bytes(kOut, {kExperts, sizes.inner, sizes.hidden}, false);
  add(integers);
  EXPECT_FAILS(find(sizes), Code::kInvalidArgument, "BAD_TENSOR_DTYPE",
               "down_proj is U8 [3, 32, 64], not BF16, F16 or F32");
  // Outputs first, as other families have their experts.
  add(floats(kOut, {kExperts, sizes.hidden, sizes.inner}));
  EXPECT_FAILS(find(sizes), Code::kInvalidArgument, "BAD_TENSOR_SHAPE", "not BF16 [3, 32, 64]");
}

}  // namespace
}  // namespace rotor
