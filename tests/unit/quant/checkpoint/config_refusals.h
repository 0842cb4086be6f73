// What every reader of a quantization_config must hold to: it takes what was written and nothing
// else.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "tests/support/status_matchers.h"

namespace rotor::testing {

/// Changes every value, removes every key and adds one to every object of `written`; `parse` must
/// refuse each. `free` holds the pointers of values that may vary.
inline void expect_every_change_refused(const nlohmann::json& written,
                                        const std::function<Status(const nlohmann::json&)>& parse,
                                        const std::set<std::string>& free = {}) {
  using nlohmann::json;
  EXPECT_OK(parse(written));
  const auto refused = [&](const json& changed, const std::string& what) {
    EXPECT_FAILS(parse(changed), Code::kInvalidArgument, "BAD_CONFIG", "d/") << what;
  };
  const json flat = written.flatten();
  for (const auto& [text, value] : flat.items()) {
    const json::json_pointer pointer(text);
    if (free.contains(text)) {
      continue;
    }
    for (const json& other : {json(12345), json("re:other"), json(true), json({{"x", 1}})}) {
      if (other != value) {
        json changed = written;
        changed[pointer] = other;
        refused(changed, text + " = " + other.dump());
      }
    }
    const json::json_pointer parent = pointer.parent_pointer();
    if (written.at(parent).is_object()) {
      json without = written;
      without.at(parent).erase(pointer.back());
      refused(without, text + " missing");
      json more = written;
      more.at(parent)["unknown_key"] = 1;
      refused(more, text + " with an unknown neighbour");
    }
  }
}

}  // namespace rotor::testing
