#include "coordinator/jobs/copied_tensors.h"

#include <algorithm>

#include "model/name_pattern.h"
#include "proto/convert.h"

namespace rotor::coordinator {
namespace {

/// Whether the pattern names copied modules, and no linear of the model.
bool names_copies_alone(const std::string& text, const ModelFiles& model,
                        const std::vector<std::string>& unread) {
  const Result<NamePattern> pattern = NamePattern::parse(text);
  if (!pattern.ok()) {
    return false;  // refused with the plan
  }
  bool failed = false;  // then, too
  const auto names = [&](const std::string& module) {
    const Result<bool> matches = failed ? false : pattern->matches(module);
    failed = failed || !matches.ok();
    return !failed && *matches;
  };
  for (const Layer& layer : model.architecture.layers) {
    for (const Stage& stage : layer.stages) {
      if (std::any_of(stage.linears.begin(), stage.linears.end(),
                      [&](const Linear& linear) { return names(linear.name); })) {
        return false;
      }
    }
  }
  const bool names_copy = std::any_of(unread.begin(), unread.end(), [&](const std::string& tensor) {
    return names(tensor.substr(0, tensor.rfind('.')));
  });
  return names_copy && !failed;
}

}  // namespace

std::vector<std::string> unread_tensors(const ModelFiles& model) {
  std::vector<std::string> unread = model.extra_tensors;
  // Tables of rotary angles are in some files, and a tied model's head is its embedding.
  std::erase_if(unread, [&](const std::string& name) {
    return name.ends_with(".inv_freq") || name == model.architecture.head + ".weight";
  });
  return unread;
}

void fit_to_model(const ModelFiles& model, v1::JobSpec* spec) {
  const bool asked = spec->merged_rotation() != 0;
  rotor::fit_to_model(model.architecture, spec);
  const std::vector<std::string> unread = unread_tensors(model);
  if (unread.empty()) {
    return;
  }
  if (!asked) {
    spec->set_merged_rotation(0);
  }
  auto* patterns = spec->mutable_ignore();
  patterns->erase(std::remove_if(patterns->begin(), patterns->end(),
                                 [&](const std::string& text) {
                                   return names_copies_alone(text, model, unread);
                                 }),
                  patterns->end());
}

Status check_merge(const ModelFiles& model, const v1::JobSpec& spec) {
  const std::vector<std::string> unread = unread_tensors(model);
  if (spec.merged_rotation() == 0 || unread.empty()) {
    return {};
  }
  return invalid_argument("a rotation cannot be merged into this model: its tensor " +
                          unread.front() + " is none that a \"" +
                          model.architecture.config.model_type +
                          "\" model is known to have, and would be left unrotated: choose "
                          "--rotation none, or an online one")
      .with_reason("CANNOT_MERGE_ROTATION")
      .with_detail("tensor", unread.front());
}

}  // namespace rotor::coordinator
