#include "quant/base/json_sax.h"

#include "quant/base/text.h"

namespace rotor {

Status bad_json(std::string_view path, size_t offset, const std::string& what) {
  return invalid_argument(std::string(path) + ": byte " + std::to_string(offset) + ": " + what +
                          "; mend the JSON or fetch the file again")
      .with_reason("BAD_JSON")
      .with_detail("file", std::string(path))
      .with_detail("offset", std::to_string(offset));
}

Status check_json_text(std::string_view text, std::string_view path, size_t max_bytes) {
  if (text.size() > max_bytes) {
    return bad_json(path, max_bytes,
                    std::to_string(text.size()) + " bytes of JSON, over the limit of " +
                        std::to_string(max_bytes));
  }
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return bad_json(path, nul, "a NUL byte");
  }
  if (text.starts_with("\xef\xbb\xbf")) {
    return bad_json(path, 0,
                    "a byte order mark, which JSON does not have: save it as UTF-8 without");
  }
  return {};
}

std::string json_fault(const std::exception& error) {
  const std::string_view what = error.what();
  const size_t bracket = what.find("] ");
  return printable(bracket == std::string_view::npos ? what : what.substr(bracket + 2));
}

}  // namespace rotor
