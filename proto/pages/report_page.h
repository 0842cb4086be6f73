// A job's report, or that of a checkpoint, as one HTML page: what was asked for, what it cost, how
// far each module is from the source, and what runs it.
//
// Thread-safety: a pure function.
#pragma once

#include <string>

#include "proto/pages/report_facts.h"

namespace rotor {

/// The same facts give the same bytes. What is not known has no section.
std::string report_page(const ReportFacts& facts);

}  // namespace rotor
