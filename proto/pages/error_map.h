// The errors of a model's modules by layer and kind, as a page and a comparison show them: a
// model's hundred thousand experts are a column of layers.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rotor/v1/job.pb.h"

namespace rotor {

/// Where a module is: "model.layers.3.mlp.experts.17.down_proj" is "mlp.experts.down_proj" of
/// layer 3. A name without a number is of no layer.
struct ModulePlace {
  std::optional<int64_t> layer;
  std::string kind;
};
ModulePlace module_place(const std::string& name);

/// The modules of one kind in one layer: one linear, or all experts.
struct ErrorCell {
  int64_t modules = 0;  // 0: the layer has none of this kind
  double mean = 0.0;    // of their relative errors
  const v1::ModuleReport* worst = nullptr;
  int64_t least_tokens = 0;
  int64_t most_tokens = 0;
};

struct ErrorMap {
  std::vector<std::string> kinds;             // in the order in which they are met
  std::vector<int64_t> layers;                // likewise
  std::vector<std::vector<ErrorCell>> cells;  // [layer][kind]
};

/// Modules of no layer are left out. Cells point into `modules`.
ErrorMap error_map(const std::vector<v1::ModuleReport>& modules);

}  // namespace rotor
