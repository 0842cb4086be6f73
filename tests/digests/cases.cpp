#include "tests/digests/cases.h"

#include <functional>
#include <memory>

#include "quant/base/sha256.h"
#include "quant/checkpoint/layout_limits.h"
#include "tests/support/memory_sink.h"
#include "tests/support/status_matchers.h"
#include "tests/support/thread_group.h"
#include "worker/pipeline/shard_runner.h"

namespace rotor::worker::digests {
namespace {

using testing_support::MemorySink;
using testing_support::Store;

constexpr Layout kLayouts[] = {Layout::kCompressedTensors, Layout::kFpQuant, Layout::kModelOpt};
constexpr Format kFormats[] = {Format::kNvfp4, Format::kMxfp4, Format::kInt4};
constexpr char kDense[] = "mistral";
constexpr char kExperts[] = "qwen3_moe";

std::string text_of(const QuantOptions& options, Format format) {
  std::string text;
  for (const std::string_view word : {to_string(options.layout), to_string(format),
                                      to_string(options.activations), to_string(options.method)}) {
    text += " " + std::string(word);
  }
  return text;
}

/// The recipe of a format in a layout, with 4-bit activations where the layout has them.
QuantOptions recipe(const LayoutLimits& limits) {
  QuantOptions options;
  options.layout = limits.layout;
  options.activations = limits.a4 ? Activations::kA4 : Activations::kA16;
  const bool rotates = limits.format != Format::kInt4 && limits.largest_rotation > 0;
  options.method = rotates ? Method::kMrGptq : Method::kGptq;
  options.rotation = rotates ? std::max(16, limits.smallest_rotation) : 0;
  options.lanes = 3;
  options.micro_batch_sequences = 2;
  return options;
}

void add_layouts(std::vector<Case>& list) {
  for (const Layout layout : kLayouts) {
    for (const Format format : kFormats) {
      auto limits = find_limits(layout, format, Activations::kA4);
      limits = limits.ok() ? limits : find_limits(layout, format, Activations::kA16);
      if (!limits.ok()) {
        continue;
      }
      const QuantOptions options = recipe(**limits);
      list.push_back({"dense" + text_of(options, format), kDense, format, options});
      if (!(*limits)->dense_bf16_only) {
        list.push_back({"experts" + text_of(options, format), kExperts, format, options});
      }
    }
  }
}

/// Each differs in one thing from NVFP4's recipe in compressed-tensors.
void add_ways(std::vector<Case>& list) {
  const QuantOptions plain =
      recipe(**find_limits(Layout::kCompressedTensors, Format::kNvfp4, Activations::kA16));
  const auto add = [&](const std::string& name, const std::function<void(QuantOptions&)>& change) {
    QuantOptions options = plain;
    change(options);
    list.push_back({"dense " + name, kDense, Format::kNvfp4, options});
  };
  add("rtn", [](QuantOptions& options) { options.method = Method::kRtn; });
  add("absmax", [](QuantOptions& options) { options.scale_search = ScaleSearch::kAbsmax; });
  add("no act-order", [](QuantOptions& options) { options.act_order = false; });
  add("no refinement", [](QuantOptions& options) { options.refine_passes = 0; });
  add("block", [](QuantOptions& options) { options.sequential = Sequential::kBlock; });
  add("original", [](QuantOptions& options) { options.propagate = Propagate::kOriginal; });
  add("merged rotation", [](QuantOptions& options) {
    options.rotation = 0;
    options.merged_rotation = 32;
  });
}

TokenWindows windows() {
  TokenWindows made = testing_support::random_windows(10, 40, 1);
  for (int32_t& id : made.ids) {
    id %= 256;  // the tiny models' vocabulary
  }
  return made;
}

std::string digest_of(const Store& store) {
  Sha256 digest;
  for (const auto& [name, tensor] : store.tensors) {
    std::string line = name + " " + std::string(dtype_name(tensor.spec.dtype));
    for (const int64_t extent : tensor.spec.shape) {
      line += " " + std::to_string(extent);
    }
    line += "\n";
    digest.update(line.data(), line.size());
    digest.update(tensor.bytes.data(), tensor.bytes.size());
  }
  return digest.hex();
}

}  // namespace

std::vector<Case> cases() {
  std::vector<Case> list;
  add_layouts(list);
  add_ways(list);
  return list;
}

std::string digest_of(const Case& tested, int ranks,
                      const std::function<std::unique_ptr<Backend>()>& make_backend) {
  Result<ModelFiles> model = open_model(
      posix_file_system(), std::string(ROTOR_SOURCE_DIR "/tests/data/families/") + tested.model);
  EXPECT_OK(model);
  QuantOptions options = tested.options;
  const Result<QuantScheme> scheme =
      make_scheme(tested.format, tested.format == Format::kInt4 ? 32 : 0,
                  model->architecture.config.dtype, options.layout);
  EXPECT_OK(scheme);
  options.scheme = *scheme;
  const Result<ModelPlan> plan = make_plan(model->architecture, options);
  EXPECT_OK(plan);
  if (!plan.ok()) {
    return "";
  }
  Store store;
  rotor::testing::run_ranks(ranks, [&](Communicator& comm) {
    const std::unique_ptr<Backend> backend = make_backend();
    MemorySink sink(store);
    ShardTask task;
    task.end_layer = static_cast<int>(plan->layers.size());
    task.calibration = windows();
    EXPECT_OK(ShardRunner(*backend, comm, *model, *plan, sink, std::move(task)).run());
  });
  EXPECT_FALSE(store.tensors.empty());
  return digest_of(store);
}

}  // namespace rotor::worker::digests
