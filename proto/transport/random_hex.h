// Names and secrets that nobody can guess. Thread-safety: a plain function.
#pragma once

#include <cstddef>
#include <string>

#include "quant/base/status.h"

namespace rotor {

/// 2 * `bytes` lower-case hex digits of the kernel's random numbers; `bytes` at most 256.
Result<std::string> random_hex(size_t bytes);

}  // namespace rotor
