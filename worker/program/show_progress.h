// Progress of the commands that run a model by themselves, for people.
#pragma once

#include <cstdint>

namespace rotor::worker {

/// Draws "layer 3 of 32" over the last one where stderr is a terminal.
void show_progress(int64_t done, int64_t total);

}  // namespace rotor::worker
