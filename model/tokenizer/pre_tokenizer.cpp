#include "model/tokenizer/pre_tokenizer.h"

#include <string>
#include <utility>
#include <vector>

#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/metaspace.h"
#include "model/tokenizer/split_behavior.h"
#include "model/tokenizer/split_pattern.h"

namespace rotor {
namespace {

using PreTokenizerPtr = std::unique_ptr<PreTokenizer>;

class SplitPreTokenizer final : public PreTokenizer {
 public:
  SplitPreTokenizer(std::unique_ptr<SplitPattern> pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  PreTokenizerPtr clone() const override {
    return std::make_unique<SplitPreTokenizer>(pattern_->clone(), behavior_, invert_);
  }

  Status split(const Piece& whole, const PieceSink& sink) override {
    SegmentJoiner joiner(behavior_, whole, sink);
    ROTOR_RETURN_IF_ERROR(
        pattern_->segments(whole.text, [&](std::string_view segment, bool is_match) {
          return joiner.add(segment, is_match != invert_);
        }));
    return joiner.finish();
  }

 private:
  std::unique_ptr<SplitPattern> pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class ByteLevelPreTokenizer final : public PreTokenizer {
 public:
  /// `splitter` may be null: the text is one piece.
  ByteLevelPreTokenizer(bool add_prefix_space, PreTokenizerPtr splitter)
      : add_prefix_space_(add_prefix_space), splitter_(std::move(splitter)) {}

  PreTokenizerPtr clone() const override {
    return std::make_unique<ByteLevelPreTokenizer>(add_prefix_space_,
                                                   splitter_ ? splitter_->clone() : nullptr);
  }

  Status split(const Piece& whole, const PieceSink& sink) override {
    Piece spaced = whole;
    std::string with_space;
    if (add_prefix_space_ && !whole.text.starts_with(' ')) {
      with_space.reserve(whole.text.size() + 1);
      with_space.append(" ").append(whole.text);
      spaced.text = with_space;
    }
    const auto translate = [&](const Piece& piece) {
      mapped_.clear();
      append_byte_level(piece.text, mapped_);
      return sink({mapped_, piece.at_start});
    };
    return splitter_ ? splitter_->split(spaced, translate) : translate(spaced);
  }

 private:
  bool add_prefix_space_;
  PreTokenizerPtr splitter_;
  std::string mapped_;
};

/// Each step cuts the pieces of the one before, piece by piece.
class SequencePreTokenizer final : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<PreTokenizerPtr> steps) : steps_(std::move(steps)) {}

  PreTokenizerPtr clone() const override {
    std::vector<PreTokenizerPtr> copies;
    for (const PreTokenizerPtr& step : steps_) {
      copies.push_back(step->clone());
    }
    return std::make_unique<SequencePreTokenizer>(std::move(copies));
  }

  Status split(const Piece& whole, const PieceSink& sink) override {
    return split_from(0, whole, sink);
  }

 private:
  Status split_from(size_t step, const Piece& whole, const PieceSink& sink) {
    if (step == steps_.size()) {
      return sink(whole);
    }
    return steps_[step]->split(
        whole, [&](const Piece& piece) { return split_from(step + 1, piece, sink); });
  }

  std::vector<PreTokenizerPtr> steps_;
};

Result<SplitBehavior> parse_behavior(const JsonObject& object, const char* fallback) {
  ROTOR_ASSIGN_OR_RETURN(const std::string name, object.string_or("behavior", fallback));
  if (name == "Removed") {
    return SplitBehavior::kRemoved;
  }
  if (name == "Isolated") {
    return SplitBehavior::kIsolated;
  }
  if (name == "MergedWithPrevious") {
    return SplitBehavior::kMergedWithPrevious;
  }
  if (name == "MergedWithNext") {
    return SplitBehavior::kMergedWithNext;
  }
  if (name == "Contiguous") {
    return SplitBehavior::kContiguous;
  }
  return object.error("behavior",
                      "it must be Removed, Isolated, MergedWithPrevious, MergedWithNext or "
                      "Contiguous");
}

Result<PreTokenizerPtr> make_regex_split(const JsonObject& object, const std::string& regex,
                                         SplitBehavior behavior, bool invert) {
  ROTOR_ASSIGN_OR_RETURN(auto pattern, make_regex_pattern_of(object, regex));
  return PreTokenizerPtr(std::make_unique<SplitPreTokenizer>(std::move(pattern), behavior, invert));
}

Result<PreTokenizerPtr> parse_split(const JsonObject& object) {
  ROTOR_ASSIGN_OR_RETURN(const SplitBehavior behavior, parse_behavior(object, ""));
  ROTOR_ASSIGN_OR_RETURN(const bool invert, object.boolean_or("invert", false));
  ROTOR_ASSIGN_OR_RETURN(auto pattern, parse_split_pattern(object));
  return PreTokenizerPtr(std::make_unique<SplitPreTokenizer>(std::move(pattern), behavior, invert));
}

Result<PreTokenizerPtr> parse_byte_level(const JsonObject& object) {
  ROTOR_ASSIGN_OR_RETURN(const bool prefix, object.boolean_or("add_prefix_space", true));
  ROTOR_ASSIGN_OR_RETURN(const bool use_regex, object.boolean_or("use_regex", true));
  PreTokenizerPtr splitter;
  if (use_regex) {
    ROTOR_ASSIGN_OR_RETURN(
        splitter, make_regex_split(object, kByteLevelPattern, SplitBehavior::kIsolated, false));
  }
  return PreTokenizerPtr(std::make_unique<ByteLevelPreTokenizer>(prefix, std::move(splitter)));
}

Result<PreTokenizerPtr> parse_component(const JsonObject& object);

Result<PreTokenizerPtr> parse_sequence(const JsonObject& object) {
  ROTOR_ASSIGN_OR_RETURN(const auto elements, object.array("pretokenizers"));
  std::vector<PreTokenizerPtr> steps;
  for (size_t i = 0; i < elements.size(); ++i) {
    const std::string where = object.full_key("pretokenizers[" + std::to_string(i) + "]");
    ROTOR_ASSIGN_OR_RETURN(const JsonObject element,
                           JsonObject::make(*elements[i], object.file(), where, object.reason()));
    ROTOR_ASSIGN_OR_RETURN(PreTokenizerPtr step, parse_component(element));
    steps.push_back(std::move(step));
  }
  return PreTokenizerPtr(std::make_unique<SequencePreTokenizer>(std::move(steps)));
}

Result<PreTokenizerPtr> parse_component(const JsonObject& object) {
  ROTOR_ASSIGN_OR_RETURN(const std::string type, object.string("type"));
  if (type == "Sequence") {
    return parse_sequence(object);
  }
  if (type == "Split") {
    return parse_split(object);
  }
  if (type == "ByteLevel") {
    return parse_byte_level(object);
  }
  if (type == "Metaspace") {
    return parse_metaspace(object);
  }
  if (type == "Digits") {
    ROTOR_ASSIGN_OR_RETURN(const bool single, object.boolean_or("individual_digits", false));
    return make_regex_split(object, "\\p{N}",
                            single ? SplitBehavior::kIsolated : SplitBehavior::kContiguous, false);
  }
  if (type == "Punctuation") {
    ROTOR_ASSIGN_OR_RETURN(const SplitBehavior behavior, parse_behavior(object, "Isolated"));
    return make_regex_split(object, R"([\p{P}!-/:-@\[-`\{-~])", behavior, false);
  }
  if (type == "Whitespace") {
    return make_regex_split(object,
                            R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]+)"
                            R"(|[^\s\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]+)",
                            SplitBehavior::kRemoved, true);
  }
  if (type == "WhitespaceSplit") {
    return make_regex_split(object, "\\s", SplitBehavior::kRemoved, false);
  }
  return object.unsupported("type",
                            "pre-tokenizers supported are Sequence, Split, ByteLevel, Metaspace, "
                            "Digits, Punctuation, Whitespace and WhitespaceSplit; give calibration "
                            "data as JSON lines with \"input_ids\" instead",
                            "UNSUPPORTED_TOKENIZER");
}

}  // namespace

Result<PreTokenizerPtr> parse_pre_tokenizer(const JsonObject& tokenizer) {
  if (!tokenizer.has("pre_tokenizer")) {
    return PreTokenizerPtr(std::make_unique<SequencePreTokenizer>(std::vector<PreTokenizerPtr>()));
  }
  ROTOR_ASSIGN_OR_RETURN(const JsonObject object, tokenizer.object("pre_tokenizer"));
  return parse_component(object);
}

}  // namespace rotor
