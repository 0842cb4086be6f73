#include "model/tokenizer/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
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

  Status apply(std::string& text) override {
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

/// Character by character, as the tokenizers library does: no rule looks at the neighbours.
class Lowercase final : public Normalizer {
 public:
  NormalizerPtr clone() const override { return std::make_unique<Lowercase>(); }

  Status apply(std::string& text) override {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
      const size_t length = utf8_length_at(text, at);
      if (length == 1) {
        const char c = text[at];
        out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      } else {
        icu::UnicodeString::fromUTF8(icu::StringPiece(text.data() + at, static_cast<int>(length)))
            .toLower(icu::Locale::getRoot())
            .toUTF8String(out);
      }
      at += length;
    }
    text = std::move(out);
    return {};
  }
};

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}

  NormalizerPtr clone() const override { return std::make_unique<Prepend>(prefix_); }

  Status apply(std::string& text) override {
    if (!text.empty()) {
      text.insert(0, prefix_);
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

  Status apply(std::string& text) override {
    std::string out;
    out.reserve(text.size());
    ROTOR_RETURN_IF_ERROR(pattern_->segments(text, [&](std::string_view segment, bool is_match) {
      out += is_match ? std::string_view(content_) : segment;
      return Status();
    }));
    text = std::move(out);
    return {};
  }

 private:
  std::unique_ptr<SplitPattern> pattern_;
  std::string content_;
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

  Status apply(std::string& text) override {
    for (const NormalizerPtr& step : steps_) {
      ROTOR_RETURN_IF_ERROR(step->apply(text));
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

Result<NormalizerPtr> parse_component(const JsonObject& object, bool may_nest) {
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
  if (type == "Sequence" && may_nest) {
    ROTOR_ASSIGN_OR_RETURN(const auto elements, object.array("normalizers"));
    std::vector<NormalizerPtr> steps;
    for (size_t i = 0; i < elements.size(); ++i) {
      const std::string where = object.full_key("normalizers[" + std::to_string(i) + "]");
      ROTOR_ASSIGN_OR_RETURN(const JsonObject element,
                             JsonObject::make(*elements[i], object.file(), where, object.reason()));
      ROTOR_ASSIGN_OR_RETURN(NormalizerPtr step, parse_component(element, false));
      steps.push_back(std::move(step));
    }
    return NormalizerPtr(std::make_unique<NormalizerSequence>(std::move(steps)));
  }
  return object.unsupported("type",
                            "normalizers supported are Sequence (not within itself), NFC, NFD, "
                            "NFKC, NFKD, Lowercase, Prepend and Replace",
                            "UNSUPPORTED_TOKENIZER");
}

}  // namespace

Result<NormalizerPtr> parse_normalizer(const JsonObject& tokenizer) {
  if (!tokenizer.has("normalizer")) {
    return NormalizerPtr();
  }
  ROTOR_ASSIGN_OR_RETURN(const JsonObject object, tokenizer.object("normalizer"));
  return parse_component(object, true);
}

}  // namespace rotor
