// One object of a JSON file, read key by key. A key that is absent or null counts as not given.
//
// Thread-safety: const; refers to the JSON value, which must outlive it.
// Errors: INVALID_ARGUMENT with the reason that the maker gave, naming file, full key, the value
// found and what is expected; details "file" and "key".
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "quant/base/status.h"

namespace rotor {

class JsonObject {
 public:
  /// `where` is the key of the object in its file, "" for the file's own value. Error: `value` is
  /// not an object.
  static Result<JsonObject> make(const nlohmann::json& value, std::string file, std::string where,
                                 std::string reason);

  const std::string& file() const { return file_; }
  /// Null if the key is not given.
  const nlohmann::json* find(const std::string& key) const;
  bool has(const std::string& key) const { return find(key) != nullptr; }
  /// Whether the key is there at all, if only as null.
  bool contains(const std::string& key) const;

  /// Required keys.
  Result<int64_t> integer(const std::string& key, int64_t least, int64_t most) const;
  Result<double> positive_number(const std::string& key) const;
  Result<std::string> string(const std::string& key) const;
  Result<JsonObject> object(const std::string& key) const;
  /// The elements of an array.
  Result<std::vector<const nlohmann::json*>> array(const std::string& key) const;

  /// Keys with a default.
  Result<int64_t> integer_or(const std::string& key, int64_t fallback, int64_t least,
                             int64_t most) const;
  Result<double> positive_number_or(const std::string& key, double fallback) const;
  Result<bool> boolean_or(const std::string& key, bool fallback) const;
  Result<std::string> string_or(const std::string& key, std::string fallback) const;

  /// "FILE: key "a.b" is VALUE; EXPECTED".
  Status error(const std::string& key, const std::string& expected) const;
  /// The same, but UNIMPLEMENTED and with a reason of its own: a file that is right, and more than
  /// is supported.
  Status unsupported(const std::string& key, const std::string& supported,
                     std::string reason) const;
  /// "a.b" for key "b" of the object at "a"; fit to be printed, whatever the key holds.
  std::string full_key(const std::string& key) const;
  const std::string& reason() const { return reason_; }

 private:
  const nlohmann::json* value_ = nullptr;
  std::string file_;
  std::string where_;
  std::string reason_;
};

/// A JSON value for a message, cut after some 60 bytes.
std::string brief_json(const nlohmann::json& value);

}  // namespace rotor
