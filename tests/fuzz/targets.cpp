#include "tests/fuzz/targets.h"

#include <array>

#include "tests/support/utf8_check.h"

namespace rotor::fuzz {
namespace {

constexpr std::array kTargets = {
    Target{"safetensors", safetensors}, Target{"index", index},           Target{"config", config},
    Target{"json_lines", json_lines},   Target{"json_array", json_array},
#ifdef ROTOR_HAVE_ICU
    Target{"tokenizer", tokenizer},     Target{"encode", encode},
#endif
};

void check_text(const std::string& text, const Status& status) {
  check(testing::is_printable_utf8(text), "cannot be printed: " + status.to_string());
}

}  // namespace

std::span<const Target> targets() {
  return kTargets;
}

void check(bool holds, const std::string& what) {
  if (!holds) {
    throw Finding(what);
  }
}

void check_status(const Status& status) {
  if (status.ok()) {
    return;
  }
  check(status.code() == Code::kInvalidArgument || status.code() == Code::kUnimplemented ||
            status.code() == Code::kResourceExhausted,
        "blames something else than the file: " + status.to_string());
  check(!status.reason().empty(), "no reason: " + status.to_string());
  check_text(status.message(), status);
  for (const auto& [key, value] : status.details()) {
    check_text(key, status);
    check_text(value, status);
  }
}

}  // namespace rotor::fuzz
