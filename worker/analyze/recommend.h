// What the figures speak for: a format and a rotation, for the whole model and for each stage.
//
// A candidate's error is the mean over the modules of
//   a16  e_w
//   a4   e_w + e_x
// with e_w the squared error that rounding to nearest leaves in the module's weights (scales
// searched, as a job begins) over their squares, and e_x the same of its inputs (as engines round
// them). It is what the output of a linear loses, relative and squared, where roundings depend on
// nothing and inputs are alike in all directions: E|dW x|^2 / E|W x|^2 = e_w, and e_w + e_x to
// first order. The solver brings down e_w alone, so these are no errors of a finished checkpoint;
// what they are for is to be compared.
//
// The rule: of a format the smallest block, none being smallest, whose error is at most kWorthIt
// times the least of that format; then the format with the least error. With a4 only formats are
// candidates whose inputs a checkpoint can describe (not INT4).
// Thread-safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "worker/analyze/figures.h"

namespace rotor::worker {

/// Less is not worth what a rotation costs at run time, and the engines that cannot do it.
inline constexpr double kWorthIt = 1.05;

struct Candidate {
  Format format = Format::kNvfp4;
  int rotation = 0;
  double error = 0.0;
  double unrotated_error = 0.0;
  int best_rotation = 0;  // the least error of the format
  double best_error = 0.0;
  double bits = 0.0;  // a weight, its share of a group's scale included (INT4's in BF16)
};

struct StageChoice {
  int layer = 0;
  StageFamily family = StageFamily::kQkv;
  std::string module;  // its first
  Candidate choice;
};

struct Recommendation {
  Activations activations = Activations::kA16;
  std::vector<Candidate> candidates;  // one a format, the chosen one first; empty: no format fits
  std::vector<StageChoice> stages;    // each by its own figures
  std::string reason;                 // in words, with the numbers
};

Recommendation recommend(const std::vector<StageFigures>& stages, Activations activations);

}  // namespace rotor::worker
