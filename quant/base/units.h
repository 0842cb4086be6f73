// Numbers, sizes and durations as people write and read them. Pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "quant/base/status.h"

namespace rotor {

/// "5GB", "500 MB", "1.5GiB", "4096", "4096B": bytes. KB, MB, GB, TB are powers of 1000; KiB, MiB,
/// GiB, TiB of 1024; case does not matter. INVALID_ARGUMENT for anything else, for a size that is
/// not positive, and for one over 2^62.
Result<int64_t> parse_size(std::string_view text);

/// "1.2 GB", "34.5 MB", "812 B": powers of 1000, as disks are sold.
std::string format_bytes(int64_t bytes);

/// "0.8 s", "34 s", "2m05s", "3h12m"; "0.0 s" for what is negative.
std::string format_duration(double seconds);

/// `value` as printf writes it by `format`, which takes one double; at most 63 characters.
std::string format_number(const char* format, double value);

}  // namespace rotor
