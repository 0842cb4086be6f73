#include "worker/comm/environment_seconds.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace rotor::worker {
namespace {

constexpr int kMostSeconds = 1000000;

}  // namespace

Result<std::optional<std::chrono::seconds>> environment_seconds(const std::string& variable) {
  const char* text = std::getenv(variable.c_str());
  if (text == nullptr) {
    return std::optional<std::chrono::seconds>();
  }
  const std::string_view value(text);
  int seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error != std::errc() || end != value.data() + value.size() || seconds < 1 ||
      seconds > kMostSeconds) {
    return invalid_argument("the environment's " + variable + " is \"" + std::string(value) +
                            "\": it must be a whole number of seconds, 1 to " +
                            std::to_string(kMostSeconds))
        .with_reason("BAD_ENVIRONMENT")
        .with_detail("key", variable);
  }
  return std::optional<std::chrono::seconds>(seconds);
}

}  // namespace rotor::worker
