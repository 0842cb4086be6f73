// From the options of a job and the description of a model to what is done with each module. Both
// the coordinator (validation, expected tensors, ignore lists) and the workers read this one plan,
// so they cannot disagree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/architecture.h"
#include "model/merge_plan.h"
#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor {

/// What the Hessians of a mixture's experts may take on a rank at a time: as many experts are
/// worked on together, and at least one. Part of the plan: the same for any number of ranks.
inline constexpr int64_t kExpertHessianBytes = int64_t{4} << 30;

enum class Propagate { kQuantized, kOriginal };
enum class Sequential { kStage, kBlock };

/// Settings of the modules that `pattern` (a glob: *, ?, [...]) matches.
struct ModuleOverride {
  std::string pattern;
  std::optional<Method> method;
  std::optional<ScaleSearch> scale_search;
  std::optional<bool> act_order;
  std::optional<double> damping;
};

/// The options of a job, every default filled in; rotor.v1.JobSpec without its files and limits.
struct QuantOptions {
  QuantScheme scheme;
  Method method = Method::kMrGptq;
  Activations activations = Activations::kA16;
  int rotation = 16;        // online: Hadamard block on the inputs of linears; 0: none
  int merged_rotation = 0;  // merged into the model (merge_plan.h): its block; 0: none
  ScaleSearch scale_search = ScaleSearch::kMse;
  bool act_order = true;
  double damping = 0.01;
  int refine_passes = 2;  // of coordinate descent over the codes behind GPTQ; 0: none
  /// An expert that sees less than this share of what all would see if tokens were spread evenly is
  /// rounded to nearest.
  double least_expert_share = 0.005;
  Propagate propagate = Propagate::kQuantized;
  Sequential sequential = Sequential::kStage;
  Layout layout = Layout::kCompressedTensors;
  std::vector<std::string> ignore;  // globs over module names, besides the output head
  std::vector<ModuleOverride> overrides;
  int lanes = 8;
  int micro_batch_sequences = 1;
};

/// Sequences of a micro-batch where nothing else is asked for: 8192 tokens, at which products run
/// at full speed, and up to four times as many of a mixture, whose experts see a share of them; but
/// no more than leave every lane a micro-batch.
int default_micro_batch_sequences(const ModelConfig& config, int64_t sequences, int64_t seq_len,
                                  int lanes);

/// Something that was not done as asked for, and counts against the job's limit.
struct FallbackNote {
  std::string kind;  // "SMALLER_ROTATION", "DAMPING_RAISED", "DIAGONAL_HESSIAN", "ROUND_TO_NEAREST"
  std::string detail;  // in words, with the values
};

struct ModulePlan {
  Linear linear;
  bool quantized = true;  // false: ignored, its tensors are copied
  int rotation = 0;       // block on its input; 0: none
  Method method = Method::kMrGptq;
  ScaleSearch scale_search = ScaleSearch::kMse;
  bool act_order = true;
  double damping = 0.01;
  std::vector<FallbackNote> notes;
};

struct StagePlan {
  Stage stage;
  std::vector<ModulePlan> modules;  // one for each of stage.linears, same order
};

struct LayerPlan {
  int index = 0;
  std::string prefix;
  std::vector<StagePlan> stages;
};

struct ModelPlan {
  QuantOptions options;
  Architecture architecture;  // of the merged model, where a rotation is merged into it
  MergePlan merge;
  std::vector<LayerPlan> layers;
};

/// Resolves ignores, overrides, and what the layout can carry (quant/checkpoint/layout_limits.h): a
/// linear with a bias keeps its whole stage unrotated, and so do experts, a width that the block
/// does not divide takes the largest power of two that does (all noted; refused where a layout has
/// one block for all). Errors: a width that the group does not divide (names the module and
/// suggests --ignore), a pattern that matches no module, a rotation that is no power of two in
/// 16..256 or cannot be merged, nothing left to quantize, linears that engines fuse of which some
/// are ignored, a layout that cannot carry the options or the model.
Result<ModelPlan> make_plan(const Architecture& architecture, const QuantOptions& options);

/// Glob match over a whole name; '*' also crosses dots.
bool glob_match(const std::string& pattern, const std::string& name);

}  // namespace rotor
