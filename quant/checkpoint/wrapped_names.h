// The names that transformers gives the modules of a multimodal model, where its checkpoint was
// published with others: it renames them when it loads the file, and then looks for its own in an
// ignore list. (vLLM maps either to names of its own.)
//
// Thread-safety: pure function.
#pragma once

#include <string>

namespace rotor {

/// What transformers 5 calls a module that a multimodal model's file has as `stored`; that very
/// name where it leaves it.
std::string name_in_transformers(const std::string& stored);

}  // namespace rotor
