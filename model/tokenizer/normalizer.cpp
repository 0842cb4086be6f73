#include "model/tokenizer/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <limits>
#include <string_view>
#include <utility>

#include "model/tokenizer/split_pattern.h"
#include "model/tokenizer/utf8.h"

namespace rotor {
namespace {

using NormalizerPtr = std::unique_ptr<Normalizer>;

class UnicodeForm final : public Normalizer {
 public:
  explicit UnicodeForm(const icu::Normalizer2* form) : form_(form) {}

  NormalizerPtr clone() const override { return std::make_unique<UnicodeForm>(form_); }

  Status apply(NormalizedText& section) override {
    std::string& text = section.text;
    if (text.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
      return resource_exhausted("a text of " + std::to_string(text.size()) +
                                " bytes is too long for the tokenizer's normalizer: cut the file "
                                "into files of less than 2 GiB")
          .with_reason("TEXT_TOO_LARGE");
    }
    UErrorCode code = U_ZERO_ERROR;
    // Nearly all text is normalized already; this spares the copy.
    if (form_->isNormalizedUTF8(text, code) != 0) {
      return {};
    }
    std::string out;
    icu::StringByteSink<std::string> sink(&out);
    form_->normalizeUTF8(0, text, sink, nullptr, code);
    if (U_FAILURE(code) != 0) {
      return internal_error(std::string("normalizing text: ") + u_errorName(code));
    }
    text = std::move(out);
    return {};
  }

 private:
  const icu::Normalizer2* form_;  // ICU's own, never freed
};

/// Rewrites character by character: `append(point, character, out)` says what becomes of each.
template <typename Append>
void rewrite_characters(std::string& text, const Append& append) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const std::string_view character = std::string_view(text).substr(at, utf8_length_at(text, at));
    append(static_cast<UChar32>(utf8_code_point_at(text, at)), character, out);
    at += character.size();
  }
  text = std::move(out);
}

/// As the tokenizers library does it: no rule looks at the neighbours.
class Lowercase final : public Normalizer {
 public:
  NormalizerPtr clone() const override { return std::make_unique<Lowercase>(); }

  Status apply(NormalizedText& section) override {
    rewrite_characters(section.text, [](UChar32 point, std::string_view, std::string& out) {
      if (point < 0x80) {
        out += static_cast<char>(point >= 'A' && point <= 'Z' ? point + 32 : point);
      } else {
        icu::UnicodeString(point).toLower(icu::Locale::getRoot()).toUTF8String(out);
      }
    });
    return {};
  }
};

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}

  NormalizerPtr clone() const override { return std::make_unique<Prepend>(prefix_); }

  Status apply(NormalizedText& section) override {
    if (!section.text.empty()) {
      section.text.insert(0, prefix_);
    }
    return {};
  }

 private:
  std::string prefix_;
};

class Replace final : public Normalizer {
 public:
  Replace(std::unique_ptr<SplitPattern> pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  NormalizerPtr clone() const override {
    return std::make_unique<Replace>(pattern_->clone(), content_);
  }

  Status apply(NormalizedText& section) override {
    std::string out;
    out.reserve(section.text.size());
    const auto append = [&](std::string_view segment, bool is_match) {
      if (is_match && content_.empty() && out.empty() && !segment.empty()) {
        section.at_start = false;
      }
      out += is_match ? std::string_view(content_) : segment;
      return Status();
    };
    ROTOR_RETURN_IF_ERROR(pattern_->segments(section.text, append));
    section.text = std::move(out);
    return {};
  }

 private:
  std::unique_ptr<SplitPattern> pattern_;
  std::string content_;
};

class Strip final : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  NormalizerPtr clone() const override { return std::make_unique<Strip>(left_, right_); }

  Status apply(NormalizedText& section) override {
    std::string& text = section.text;
    size_t begin = 0;
    size_t end = text.size();
    while (left_ && begin < end && is_space(text, begin)) {
      begin += utf8_length_at(text, begin);
    }
    for (size_t last = end; right_ && end > begin; end = last) {
      last = utf8_boundary_before(text, end - 1);
      if (!is_space(text, last)) {
        break;
      }
    }
    section.at_start = section.at_start && begin == 0;
    text = text.substr(begin, end - begin);
    return {};
  }

 private:
  static bool is_space(std::string_view text, size_t at) {
    return u_isUWhiteSpace(static_cast<UChar32>(utf8_code_point_at(text, at))) != 0;
  }

  bool left_;
  bool right_;
};

class StripAccents final : public Normalizer {
 public:
  NormalizerPtr clone() const override { return std::make_unique<StripAccents>(); }

  Status apply(NormalizedText& section) override {
    const auto keep = [&](UChar32 point, std::string_view character, std::string& out) {
      if ((U_GET_GC_MASK(point) & U_GC_M_MASK) == 0) {
        out += character;
      } else if (out.empty()) {
        section.at_start = false;
      }
    };
    rewrite_characters(section.text, keep);
    return {};
  }
};

class NormalizerSequence final : public Normalizer {
 public:
  explicit NormalizerSequence(std::vector<NormalizerPtr> steps) : steps_(std::move(steps)) {}

  NormalizerPtr clone() const override {
    std::vector<NormalizerPtr> copies;
    for (const NormalizerPtr& step : steps_) {
      copies.push_back(step->clone());
    }
    return std::make_unique<NormalizerSequence>(std::move(copies));
  }

  Status apply(NormalizedText& section) override {
    for (const NormalizerPtr& step : steps_) {
      ROTOR_RETURN_IF_ERROR(step->apply(section));
    }
    return {};
  }

 private:
  std::vector<NormalizerPtr> steps_;
};

/// Null for a type that is no Unicode form.
const icu::Normalizer2* find_form(const std::string& type) {
  UErrorCode code = U_ZERO_ERROR;
  if (type == "NFC") {
    return icu::Normalizer2::getNFCInstance(code);
  }
  if (type == "NFD") {
    return icu::Normalizer2::getNFDInstance(code);
  }
  if (type == "NFKC") {
    return icu::Normalizer2::getNFKCInstance(code);
  }
  if (type == "NFKD") {
    return icu::Normalizer2::getNFKDInstance(code);
  }
  return nullptr;
}

Result<NormalizerPtr> parse_component(const JsonObject& object) {
  ROTOR_ASSIGN_OR_RETURN(const std::string type, object.string("type"));
  if (const icu::Normalizer2* form = find_form(type); form != nullptr) {
    return NormalizerPtr(std::make_unique<UnicodeForm>(form));
  }
  if (type == "Lowercase") {
    return NormalizerPtr(std::make_unique<Lowercase>());
  }
  if (type == "Prepend") {
    ROTOR_ASSIGN_OR_RETURN(std::string prefix, object.string("prepend"));
    return NormalizerPtr(std::make_unique<Prepend>(std::move(prefix)));
  }
  if (type == "Replace") {
    ROTOR_ASSIGN_OR_RETURN(std::string content, object.string("content"));
    ROTOR_ASSIGN_OR_RETURN(auto pattern, parse_split_pattern(object));
    return NormalizerPtr(std::make_unique<Replace>(std::move(pattern), std::move(content)));
  }
  if (type == "Strip") {
    ROTOR_ASSIGN_OR_RETURN(const bool left, object.boolean_or("strip_left", true));
    ROTOR_ASSIGN_OR_RETURN(const bool right, object.boolean_or("strip_right", true));
    return NormalizerPtr(std::make_unique<Strip>(left, right));
  }
  if (type == "StripAccents") {
    return NormalizerPtr(std::make_unique<StripAccents>());
  }
  if (type == "Sequence") {
    ROTOR_ASSIGN_OR_RETURN(const auto elements, object.array("normalizers"));
    std::vector<NormalizerPtr> steps;
    for (size_t i = 0; i < elements.size(); ++i) {
      const std::string where = object.full_key("normalizers[" + std::to_string(i) + "]");
      ROTOR_ASSIGN_OR_RETURN(const JsonObject element,
                             JsonObject::make(*elements[i], object.file(), where, object.reason()));
      ROTOR_ASSIGN_OR_RETURN(NormalizerPtr step, parse_component(element));
      steps.push_back(std::move(step));
    }
    return NormalizerPtr(std::make_unique<NormalizerSequence>(std::move(steps)));
  }
  return object.unsupported("type",
                            "normalizers supported are Sequence, NFC, NFD, NFKC, NFKD, Lowercase, "
                            "Prepend, Replace, Strip and StripAccents; give calibration data as "
                            "JSON lines with \"input_ids\" instead",
                            "UNSUPPORTED_TOKENIZER");
}

}  // namespace

Result<NormalizerPtr> parse_normalizer(const JsonObject& tokenizer) {
  if (!tokenizer.has("normalizer")) {
    return NormalizerPtr();
  }
  ROTOR_ASSIGN_OR_RETURN(const JsonObject object, tokenizer.object("normalizer"));
  return parse_component(object);
}

}  // namespace rotor
