#include "model/tokenizer/split_pattern.h"

#include <utility>

namespace rotor {
namespace {

class LiteralPattern final : public SplitPattern {
 public:
  explicit LiteralPattern(std::string literal) : literal_(std::move(literal)) {}

  std::unique_ptr<SplitPattern> clone() const override {
    return std::make_unique<LiteralPattern>(literal_);
  }

  Status segments(std::string_view text, const SegmentSink& sink) override {
    size_t done = 0;
    while (done < text.size()) {
      const size_t found = text.find(literal_, done);
      const size_t end = found == std::string_view::npos ? text.size() : found;
      if (end > done) {
        ROTOR_RETURN_IF_ERROR(sink(text.substr(done, end - done), false));
      }
      if (end == text.size()) {
        break;
      }
      ROTOR_RETURN_IF_ERROR(sink(text.substr(end, literal_.size()), true));
      done = end + literal_.size();
    }
    return {};
  }

 private:
  std::string literal_;
};

}  // namespace

Result<std::unique_ptr<SplitPattern>> make_regex_pattern_of(const JsonObject& owner,
                                                            const std::string& oniguruma) {
  Result<std::unique_ptr<SplitPattern>> pattern = make_regex_pattern(oniguruma);
  if (!pattern.ok()) {
    return pattern.status().with_context(owner.file()).with_detail("file", owner.file());
  }
  return pattern;
}

Result<std::unique_ptr<SplitPattern>> parse_split_pattern(const JsonObject& owner) {
  ROTOR_ASSIGN_OR_RETURN(const JsonObject pattern, owner.object("pattern"));
  if (pattern.has("Regex")) {
    ROTOR_ASSIGN_OR_RETURN(const std::string regex, pattern.string("Regex"));
    return make_regex_pattern_of(owner, regex);
  }
  ROTOR_ASSIGN_OR_RETURN(std::string literal, pattern.string("String"));
  if (literal.empty()) {
    return pattern.error("String", "it must not be empty");
  }
  return std::unique_ptr<SplitPattern>(std::make_unique<LiteralPattern>(std::move(literal)));
}

}  // namespace rotor
