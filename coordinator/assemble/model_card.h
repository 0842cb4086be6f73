// README.md of a checkpoint: what it was made of and how, its errors, and what runs it.
//
// Thread-safety: a pure function.
#pragma once

#include <string>

#include "coordinator/assemble/checkpoint_facts.h"

namespace rotor::coordinator {

/// Markdown. Nothing in it depends on time, host, or where the files lay: the model is named by the
/// last part of its path. `source_card`: the name under which the source's README.md is kept; empty
/// where it has none.
std::string model_card(const JobRecord& job, const PreparedJob& prepared, const ReportFacts& facts,
                       const std::string& source_card);

}  // namespace rotor::coordinator
