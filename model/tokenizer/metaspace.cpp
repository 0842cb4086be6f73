#include "model/tokenizer/metaspace.h"

#include <string>
#include <utility>

#include "model/tokenizer/utf8.h"

namespace rotor {
namespace {

enum class Prepend { kFirst, kAlways, kNever };

class Metaspace final : public PreTokenizer {
 public:
  Metaspace(std::string replacement, Prepend prepend, bool split)
      : replacement_(std::move(replacement)), prepend_(prepend), split_(split) {}

  std::unique_ptr<PreTokenizer> clone() const override {
    return std::make_unique<Metaspace>(replacement_, prepend_, split_);
  }

  Status split(const Piece& whole, const PieceSink& sink) override {
    std::string replaced;
    replaced.reserve(whole.text.size() + whole.text.size() / 2 + replacement_.size());
    const bool wanted =
        prepend_ == Prepend::kAlways || (prepend_ == Prepend::kFirst && whole.at_start);
    if (wanted && !whole.text.starts_with(' ') && !whole.text.starts_with(replacement_)) {
      replaced += replacement_;
    }
    for (const char c : whole.text) {
      if (c == ' ') {
        replaced += replacement_;
      } else {
        replaced += c;
      }
    }
    const Piece all{replaced, whole.at_start};
    if (!split_) {
      return sink(all);
    }
    for (size_t begin = 0; begin < replaced.size();) {
      // From one replacement to before the next.
      const size_t next = replaced.find(replacement_, begin + 1);
      const size_t end = next == std::string::npos ? replaced.size() : next;
      ROTOR_RETURN_IF_ERROR(sink(all.part(std::string_view(replaced).substr(begin, end - begin))));
      begin = end;
    }
    return {};
  }

 private:
  std::string replacement_;
  Prepend prepend_;
  bool split_;
};

Result<Prepend> parse_prepend(const JsonObject& object) {
  ROTOR_ASSIGN_OR_RETURN(const bool prefix, object.boolean_or("add_prefix_space", true));
  ROTOR_ASSIGN_OR_RETURN(const std::string name,
                         object.string_or("prepend_scheme", prefix ? "always" : "never"));
  if (!prefix && name != "never") {
    return object.error("prepend_scheme", "add_prefix_space is false, so it must be \"never\"");
  }
  if (name == "first") {
    return Prepend::kFirst;
  }
  if (name == "always") {
    return Prepend::kAlways;
  }
  if (name == "never") {
    return Prepend::kNever;
  }
  return object.error("prepend_scheme", "it must be first, always or never");
}

}  // namespace

Result<std::unique_ptr<PreTokenizer>> parse_metaspace(const JsonObject& object) {
  ROTOR_ASSIGN_OR_RETURN(std::string replacement, object.string("replacement"));
  if (replacement.empty() || utf8_length_at(replacement, 0) != replacement.size()) {
    return object.error("replacement", "it must be one character");
  }
  ROTOR_ASSIGN_OR_RETURN(const Prepend prepend, parse_prepend(object));
  ROTOR_ASSIGN_OR_RETURN(const bool split, object.boolean_or("split", true));
  return std::unique_ptr<PreTokenizer>(
      std::make_unique<Metaspace>(std::move(replacement), prepend, split));
}

}  // namespace rotor
