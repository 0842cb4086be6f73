// "2026-01-31T12:00:00.123Z". Thread-safety: plain function.
#pragma once

#include <chrono>
#include <string>

namespace rotor::coordinator {

std::string log_time(std::chrono::system_clock::time_point time);

}  // namespace rotor::coordinator
