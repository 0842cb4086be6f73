// The log as a line of JSON for each message: time, level, message.
//
// Thread-safety: before other threads log.
#pragma once

namespace rotor::coordinator {

/// Makes the default logger write JSON, in ASCII: what came over the network is escaped.
void set_json_log();

}  // namespace rotor::coordinator
