// The strict JSON pass below parse_json and below readers that build no tree: what nlohmann's lexer
// lets through is refused here (a NUL ends its input, a byte order mark is skipped), and the byte
// offset of a handler's own refusal is known.
//
// Thread-safety: free functions. Cost: one pass.
#pragma once

#include <cstddef>
#include <exception>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "quant/base/status.h"

namespace rotor {

/// INVALID_ARGUMENT, reason BAD_JSON: "PATH: byte N: what; ...".
Status bad_json(std::string_view path, size_t offset, const std::string& what);

/// Size, NUL bytes and byte order mark.
Status check_json_text(std::string_view text, std::string_view path, size_t max_bytes);

/// "syntax error while ..." out of nlohmann's message, quoted.
std::string json_fault(const std::exception& error);

/// A handler of events; one that returns `fail(...)` ends the pass.
template <typename Json>
class StrictSax : public nlohmann::json_sax<Json> {
 public:
  const std::string& fault() const { return fault_; }

  bool binary(typename Json::binary_t& /*value*/) final { return fail("binary value"); }
  bool parse_error(size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::json::exception& error) final {
    return fail(json_fault(error));
  }

 protected:
  bool fail(std::string what) {
    fault_ = std::move(what);
    return false;
  }

 private:
  std::string fault_;
};

/// A pointer into the text that tells how far the lexer has come.
class JsonCursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  JsonCursor(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  JsonCursor& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  JsonCursor operator++(int) {
    JsonCursor before = *this;
    ++*this;
    return before;
  }
  bool operator==(const JsonCursor& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

/// Passes one JSON value, with nothing but white space around it, through the handler.
template <typename Json>
Status run_json_sax(std::string_view text, std::string_view path, size_t max_bytes,
                    StrictSax<Json>& handler) {
  ROTOR_RETURN_IF_ERROR(check_json_text(text, path, max_bytes));
  const char* furthest = text.data();
  std::string fault;
  try {
    if (Json::sax_parse(JsonCursor(text.data(), &furthest),
                        JsonCursor(text.data() + text.size(), &furthest), &handler)) {
      return {};
    }
    fault = handler.fault();
  } catch (const std::exception& error) {
    fault = json_fault(error);
  }
  return bad_json(path, static_cast<size_t>(furthest - text.data()), fault);
}

}  // namespace rotor
