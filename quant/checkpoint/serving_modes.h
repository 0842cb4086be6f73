// How engines run a checkpoint: one visible table of what is known of them (docs/layouts.md).
//
// Thread-safety: a pure function.
#pragma once

#include <string>
#include <vector>

#include "quant/scheme.h"

namespace rotor {

/// One line for each engine: "vLLM with tensor parallel size 1; ...". `rotated`: a linear's input
/// takes an online rotation.
std::vector<std::string> serving_modes(Layout layout, Format format, Activations activations,
                                       bool rotated);

}  // namespace rotor
