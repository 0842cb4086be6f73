// What the lines of logs are made of. Thread-safety: plain functions.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace rotor::coordinator {

/// "2026-01-31T12:00:00.123Z".
std::string log_time(std::chrono::system_clock::time_point time);

/// In ASCII, with its newline: what the network said cannot steer a terminal or pass for another
/// line.
std::string log_line(const nlohmann::ordered_json& json);

}  // namespace rotor::coordinator
