// Mixtures in the pipeline, on the tiny Qwen3-MoE of tests/data/families: 8 experts, 3 a token, in
// the first of its two layers.
#include "worker/pipeline/expert_stage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include "quant/checkpoint/safetensors_writer.h"
#include "tests/support/memory_sink.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/thread_group.h"
#include "worker/pipeline/result_text.h"
#include "worker/pipeline/shard_runner.h"
#include "worker/pipeline/starved_experts.h"
#include "worker/pipeline/waves.h"

namespace rotor::worker {
namespace {

using rotor::testing::file_bytes;
using rotor::testing::TemporaryDirectory;
using testing_support::MemorySink;
using testing_support::random_windows;
using testing_support::Store;

constexpr const char* kModel = ROTOR_SOURCE_DIR "/tests/data/families/qwen3_moe";
constexpr const char* kRouter = "model.layers.0.mlp.gate.weight";
constexpr int64_t kExperts = 8;
constexpr int64_t kPerToken = 3;
constexpr int64_t kTokens = 16 * 40;

std::string expert_module(int64_t expert, const std::string& linear) {
  return "model.layers.0.mlp.experts." + std::to_string(expert) + "." + linear;
}

float first_float(const Store& store, const std::string& name) {
  float value = 0.0F;
  std::memcpy(&value, store.tensors.at(name).bytes.data(), sizeof(value));
  return value;
}

class ExpertStageTest : public ::testing::Test {
 protected:
  /// A copy of the model whose router sends a token to experts 0, 1, 2 or to 3, 4, 5, as the sign
  /// of one sum over its hidden state says, and no token to 6 and 7: of equal logits the lower
  /// count.
  void write_model_with_idle_experts() {
    const auto reader = CheckpointReader::open(posix_file_system(), kModel);
    ASSERT_OK(reader);
    auto writer = SafetensorsWriter::create(posix_file_system(), directory_ / "model.safetensors",
                                            (*reader)->tensors());
    ASSERT_OK(writer);
    for (const TensorSpec& spec : (*reader)->tensors()) {
      std::vector<uint8_t> bytes(static_cast<size_t>(spec.byte_size()));
      ASSERT_OK((*reader)->read(spec.name, 0, bytes.data(), bytes.size()));
      if (spec.name == kRouter) {
        const size_t row = bytes.size() / kExperts;
        for (size_t expert = 1; expert < kExperts; ++expert) {
          const auto to = bytes.begin() + static_cast<std::ptrdiff_t>(expert * row);
          if (expert < 3) {
            std::copy_n(bytes.begin(), row, to);
          } else {
            std::fill_n(to, row, uint8_t{0});
          }
        }
      }
      ASSERT_OK((*writer)->write(spec.name, 0, bytes.data(), bytes.size()));
    }
    ASSERT_OK((*writer)->finish());
    directory_.put("config.json", file_bytes(std::string(kModel) + "/config.json"));
  }

  static QuantOptions options(Activations activations = Activations::kA4) {
    QuantOptions made;
    made.activations = activations;
    return made;
  }

  void run(const std::string& model_directory, const QuantOptions& options, int ranks, Store& store,
           std::vector<int> committed = {}) {
    auto model = open_model(posix_file_system(), model_directory);
    ASSERT_OK(model);
    auto plan = make_plan(model->architecture, options);
    ASSERT_OK(plan);
    rotor::testing::run_ranks(ranks, [&](Communicator& comm) {
      // More than one thread, so that experts are solved at the same time.
      const std::unique_ptr<Backend> backend = make_cpu_backend(2);
      MemorySink sink(store);
      ShardTask task;
      task.end_layer = 2;
      task.committed = committed;
      task.calibration = random_windows(16, 40, 1);
      for (int32_t& id : task.calibration.ids) {
        id %= 256;
      }
      ASSERT_OK(ShardRunner(*backend, comm, *model, *plan, sink, std::move(task)).run());
    });
  }

  static std::vector<ModuleResult> results_of(const Store& store, const std::string& linear) {
    std::vector<ModuleResult> found;
    for (const ModuleResult& module : store.layers.at(0).modules) {
      if (module.name.find(".experts.") != std::string::npos && module.name.ends_with(linear)) {
        found.push_back(module);
      }
    }
    return found;
  }

  static const FallbackNote* starved_note(const ModuleResult& module) {
    const auto found =
        std::find_if(module.fallbacks.begin(), module.fallbacks.end(),
                     [](const FallbackNote& note) { return note.kind == "ROUND_TO_NEAREST"; });
    return found == module.fallbacks.end() ? nullptr : &*found;
  }

  TemporaryDirectory directory_;
};

TEST_F(ExpertStageTest, EveryExpertIsSolvedOnTheTokensThatItSaw) {
  Store store;
  run(kModel, options(), 1, store);
  for (const char* linear : {"gate_proj", "up_proj", "down_proj"}) {
    const std::vector<ModuleResult> modules = results_of(store, linear);
    ASSERT_EQ(modules.size(), static_cast<size_t>(kExperts)) << linear;
    int64_t tokens = 0;
    for (int64_t expert = 0; expert < kExperts; ++expert) {
      const ModuleResult& module = modules[static_cast<size_t>(expert)];
      EXPECT_EQ(module.name, expert_module(expert, linear));
      EXPECT_EQ(module.method, Method::kMrGptq) << module.name;
      EXPECT_EQ(module.rotation, 0) << module.name;
      EXPECT_GT(module.relative_error, 0.0) << module.name;
      EXPECT_LT(module.relative_error, module.rtn_relative_error) << module.name;
      ASSERT_EQ(module.fallbacks.size(), 1U) << module.name;
      EXPECT_EQ(module.fallbacks[0].kind, "UNROTATED_EXPERTS");
      EXPECT_GT(module.tokens, 0) << module.name;
      tokens += module.tokens;
    }
    EXPECT_EQ(tokens, kTokens * kPerToken);
  }
  EXPECT_EQ(store.tensors.count("model.layers.0.mlp.gate.weight_packed"), 0U);
}

TEST_F(ExpertStageTest, GateAndUpShareTheirScalesAndEveryExpertHasItsOwn) {
  Store store;
  run(kModel, options(), 1, store);
  std::vector<float> scales;
  std::vector<float> inputs;
  for (int64_t expert = 0; expert < kExperts; ++expert) {
    for (const char* scale : {".weight_global_scale", ".input_global_scale"}) {
      EXPECT_EQ(first_float(store, expert_module(expert, "gate_proj") + scale),
                first_float(store, expert_module(expert, "up_proj") + scale));
    }
    scales.push_back(first_float(store, expert_module(expert, "down_proj.weight_global_scale")));
    inputs.push_back(first_float(store, expert_module(expert, "down_proj.input_global_scale")));
  }
  for (std::vector<float>* values : {&scales, &inputs}) {
    std::sort(values->begin(), values->end());
    EXPECT_GT(std::unique(values->begin(), values->end()) - values->begin(), 1);
    EXPECT_GT(values->front(), 0.0F);
  }
}

class ExpertWays : public ExpertStageTest, public ::testing::WithParamInterface<QuantOptions> {};

TEST_P(ExpertWays, AnyNumberOfRanksAndAResumeGiveTheSameTensors) {
  Store one;
  run(kModel, GetParam(), 1, one);
  const auto expect_same = [&](const Store& other) {
    ASSERT_EQ(other.tensors.size(), one.tensors.size());
    for (const auto& [name, tensor] : one.tensors) {
      EXPECT_EQ(other.tensors.at(name).bytes, tensor.bytes) << name;
    }
  };
  for (const int ranks : {2, 3}) {
    SCOPED_TRACE(ranks);
    Store many;
    run(kModel, GetParam(), ranks, many);
    expect_same(many);
    ASSERT_EQ(many.layers.at(0).modules.size(), one.layers.at(0).modules.size());
    for (size_t i = 0; i < one.layers[0].modules.size(); ++i) {
      EXPECT_EQ(many.layers[0].modules[i].name, one.layers[0].modules[i].name);
      EXPECT_EQ(many.layers[0].modules[i].tokens, one.layers[0].modules[i].tokens);
      EXPECT_EQ(many.layers[0].modules[i].relative_error, one.layers[0].modules[i].relative_error);
    }
  }
  // From the committed layer of experts on.
  Store parts;
  for (const auto& [name, tensor] : one.tensors) {
    if (name.starts_with("model.layers.0.")) {
      parts.tensors.emplace(name, tensor);
    }
  }
  run(kModel, GetParam(), 2, parts, {0});
  EXPECT_EQ(parts.computed, std::vector<int>{1});
  expect_same(parts);
}

QuantOptions way(Propagate propagate, Sequential sequential, Activations activations) {
  QuantOptions options;
  options.propagate = propagate;
  options.sequential = sequential;
  options.activations = activations;
  return options;
}

INSTANTIATE_TEST_SUITE_P(
    Ways, ExpertWays,
    ::testing::Values(way(Propagate::kQuantized, Sequential::kStage, Activations::kA4),
                      way(Propagate::kQuantized, Sequential::kBlock, Activations::kA16),
                      way(Propagate::kOriginal, Sequential::kStage, Activations::kA4)));

// faults.28
TEST_F(ExpertStageTest, Faults28_AnExpertThatSawNoTokenIsRoundedWithThePeersInputScale) {
  write_model_with_idle_experts();
  Store store;
  run(directory_.path(), options(), 1, store);
  for (const char* linear : {"gate_proj", "up_proj", "down_proj"}) {
    const std::vector<ModuleResult> modules = results_of(store, linear);
    ASSERT_EQ(modules.size(), static_cast<size_t>(kExperts));
    float largest_input = INFINITY;  // as a scale: the smallest of the peers'
    for (int64_t expert = 0; expert < 6; ++expert) {
      const ModuleResult& module = modules[static_cast<size_t>(expert)];
      EXPECT_GT(module.tokens, 0) << module.name;
      EXPECT_EQ(module.method, Method::kMrGptq) << module.name;
      EXPECT_EQ(starved_note(module), nullptr) << module.name;
      largest_input =
          std::min(largest_input, first_float(store, module.name + ".input_global_scale"));
    }
    for (int64_t expert = 6; expert < kExperts; ++expert) {
      const ModuleResult& module = modules[static_cast<size_t>(expert)];
      EXPECT_EQ(module.tokens, 0) << module.name;
      EXPECT_EQ(module.method, Method::kRtn) << module.name;
      EXPECT_EQ(module.damping, 0.0) << module.name;
      const FallbackNote* note = starved_note(module);
      ASSERT_NE(note, nullptr) << module.name;
      EXPECT_NE(note->detail.find("saw 0 tokens"), std::string::npos) << note->detail;
      EXPECT_EQ(first_float(store, module.name + ".input_global_scale"), largest_input);
      // What rounding loses on the weights alone.
      EXPECT_GT(module.relative_error, 1e-4) << module.name;
      EXPECT_LT(module.relative_error, 0.03) << module.name;
      EXPECT_EQ(module.relative_error, module.rtn_relative_error) << module.name;
    }
  }
}

// faults.28
TEST_F(ExpertStageTest, Faults28_IdleExpertsAreTheSameOnAnyRanks) {
  write_model_with_idle_experts();
  Store one;
  run(directory_.path(), options(), 1, one);
  Store three;
  run(directory_.path(), options(), 3, three);
  ASSERT_EQ(three.tensors.size(), one.tensors.size());
  for (const auto& [name, tensor] : one.tensors) {
    EXPECT_EQ(three.tensors.at(name).bytes, tensor.bytes) << name;
  }
}

// faults.28
TEST_F(ExpertStageTest, Faults28_AnExpertBelowTheShareIsRounded) {
  QuantOptions strict = options(Activations::kA16);
  strict.least_expert_share = 1.0;  // all that see less than the mean
  Store store;
  run(kModel, strict, 1, store);
  int rounded = 0;
  for (const ModuleResult& module : results_of(store, "down_proj")) {
    const bool starved = module.tokens * kExperts < kTokens * kPerToken;
    rounded += starved ? 1 : 0;
    EXPECT_EQ(module.method, starved ? Method::kRtn : Method::kMrGptq) << module.name;
    EXPECT_EQ(starved_note(module) != nullptr, starved) << module.name;
    EXPECT_GT(module.relative_error, 0.0) << module.name;
  }
  EXPECT_GT(rounded, 0);
  EXPECT_LT(rounded, kExperts);
}

TEST(ExpertStageRules, SayWhoIsStarved) {
  EXPECT_TRUE(is_starved(0, 1000, 10, 0.0));
  EXPECT_FALSE(is_starved(1, 1000, 10, 0.0));
  EXPECT_TRUE(is_starved(4, 8000, 8, 0.005));
  EXPECT_FALSE(is_starved(5, 8000, 8, 0.005));
}

TEST(ExpertStageRules, CutWavesThatFitTheBudget) {
  const auto sizes = [](int64_t experts, int64_t width) {
    std::vector<int64_t> found;
    int64_t next = 0;
    for (const Wave& wave : cut_waves(experts, width, 8)) {
      EXPECT_EQ(wave.begin, next);
      next = wave.end;
      found.push_back(wave.size());
    }
    EXPECT_EQ(next, experts);
    return found;
  };
  EXPECT_EQ(sizes(16, 256), std::vector<int64_t>{16});
  EXPECT_EQ(sizes(128, 2048), (std::vector<int64_t>{32, 32, 32, 32}));
  EXPECT_EQ(sizes(5, 14336), (std::vector<int64_t>{1, 1, 1, 1, 1}));
  EXPECT_EQ(sizes(256, 7168).front(), 2);
}

TEST(ResultText, IsReadBackToTheSameBits) {
  ModuleResult result;
  result.name = "model.layers.0.mlp.experts.3.up_proj";
  result.relative_error = 0.1 + 0.2;
  result.rtn_relative_error = 1.0 / 3.0;
  result.damping = 1e-300;
  result.rotation = 16;
  result.method = Method::kGptq;
  result.tokens = int64_t{1} << 53;
  result.fallbacks = {{"KIND", "a \"detail\"\twith\nall sorts"}, {"OTHER", ""}};
  const std::vector<ModuleResult> read = parse_results(serialize_results({result, ModuleResult()}));
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].name, result.name);
  EXPECT_EQ(read[0].relative_error, result.relative_error);
  EXPECT_EQ(read[0].rtn_relative_error, result.rtn_relative_error);
  EXPECT_EQ(read[0].damping, result.damping);
  EXPECT_EQ(read[0].rotation, 16);
  EXPECT_EQ(read[0].method, Method::kGptq);
  EXPECT_EQ(read[0].tokens, result.tokens);
  ASSERT_EQ(read[0].fallbacks.size(), 2U);
  EXPECT_EQ(read[0].fallbacks[0].kind, "KIND");
  EXPECT_EQ(read[0].fallbacks[0].detail, result.fallbacks[0].detail);
  EXPECT_TRUE(read[1].name.empty());
}

}  // namespace
}  // namespace rotor::worker
