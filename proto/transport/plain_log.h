// Log lines hold host names, messages and paths that came over the network: what could steer a
// terminal, or pass for another line, is escaped in all of them.
//
// Thread-safety: before other threads log.
#pragma once

#include <string>

namespace rotor {

/// Sets the pattern of the default logger, in which %* is the escaped message.
void set_log_pattern(const std::string& pattern);

}  // namespace rotor
