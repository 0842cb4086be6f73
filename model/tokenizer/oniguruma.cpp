#include "model/tokenizer/oniguruma.h"

#include <cstddef>
#include <string_view>

#include "quant/base/text.h"

namespace rotor {
namespace {

// Oniguruma's \w: that of Unicode, and of Latin-1 the digits and fractions that are no letters.
constexpr std::string_view kWord =
    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u00B2\\u00B3\\u00B9\\u00BC-\\u00BE";

class Translator {
 public:
  explicit Translator(const std::string& pattern) : in_(pattern) {}

  Result<std::string> run() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '\\') {
        ROTOR_RETURN_IF_ERROR(escape());
      } else if (set_depth_ > 0) {
        ROTOR_RETURN_IF_ERROR(in_set(c));
      } else if (c == '(' && peek(1) == '?') {
        ROTOR_RETURN_IF_ERROR(group());
      } else if (c == '}' && (peek(1) == '+' || peek(1) == '?')) {
        return refuse(in_.substr(at_, 2));
      } else {
        set_depth_ += c == '[' ? 1 : 0;
        take(1);
      }
    }
    return out_;
  }

 private:
  char peek(size_t ahead) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }

  void take(size_t n) {
    out_.append(in_, at_, n);
    at_ += n;
  }

  void replace(size_t n, std::string_view with) {
    out_ += with;
    at_ += n;
  }

  Status refuse(const std::string& construct) const {
    return unimplemented("regular expression " + printable(in_) + ": " + printable(construct) +
                         " is not supported")
        .with_reason("UNSUPPORTED_TOKENIZER");
  }

  Status in_set(char c) {
    if (c == '-' && peek(1) == '-') {
      return refuse("--");
    }
    set_depth_ += c == '[' ? 1 : c == ']' ? -1 : 0;
    take(1);
    return {};
  }

  Status escape() {
    const char c = peek(1);
    switch (c) {
      case 's':
      case 'd':
        replace(2, std::string("[\\") + c + "]");
        return {};
      case 'S':
        replace(2, "[^\\s]");
        return {};
      case 'D':
        replace(2, "[^\\d]");
        return {};
      case 'w':
        replace(2, "[" + std::string(kWord) + "]");
        return {};
      case 'W':
        replace(2, "[^" + std::string(kWord) + "]");
        return {};
      case 'v':
        replace(2, "\\x{B}");
        return {};
      case 'p':
      case 'P': {
        const size_t close = in_.find('}', at_);
        if (peek(2) != '{' || peek(3) == '^' || close == std::string::npos) {
          return refuse(in_.substr(at_, 4));
        }
        take(close + 1 - at_);
        return {};
      }
      default:
        break;
    }
    const bool letter_or_digit =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '\0';
    if (letter_or_digit && std::string_view("rntfxuAz").find(c) == std::string_view::npos) {
      return refuse(in_.substr(at_, 2));
    }
    take(2);
    return {};
  }

  Status group() {
    for (const std::string_view known : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"}) {
      if (std::string_view(in_).substr(at_).starts_with(known)) {
        take(known.size());
        return {};
      }
    }
    size_t end = at_ + 2;
    while (end < in_.size() && (in_[end] == 'i' || in_[end] == '-')) {
      ++end;
    }
    if (end == at_ + 2 || end == in_.size() || (in_[end] != ':' && in_[end] != ')')) {
      return refuse(in_.substr(at_, 4));
    }
    take(end + 1 - at_);
    return {};
  }

  const std::string& in_;
  std::string out_;
  size_t at_ = 0;
  int set_depth_ = 0;
};

}  // namespace

Result<std::string> icu_pattern_from_oniguruma(const std::string& pattern) {
  return Translator(pattern).run();
}

}  // namespace rotor
