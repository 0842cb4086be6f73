// What the digests are taken of: tiny models of tests/data/families, through the whole pipeline,
// for every format that a layout holds and for the ways through the algorithm.
//
// Thread-safety: plain functions. Cost: some 50 ms a case.
#pragma once

#include <string>
#include <vector>

#include "model/plan.h"
#include "worker/backend/backend.h"

namespace rotor::worker::digests {

struct Case {
  std::string name;   // "dense compressed-tensors nvfp4 a4 mr-gptq"
  std::string model;  // below tests/data/families
  Format format = Format::kNvfp4;
  QuantOptions options;  // but for the scheme, which takes the model's dtype
};

std::vector<Case> cases();

/// SHA-256 over the names, dtypes, shapes and bytes of all tensors that the ranks of a group
/// (threads of this process) hand in.
std::string digest_of(const Case& tested, int ranks,
                      const std::function<std::unique_ptr<Backend>()>& make_backend);

}  // namespace rotor::worker::digests
