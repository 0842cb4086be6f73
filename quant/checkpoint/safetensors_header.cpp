#include "quant/checkpoint/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "quant/base/json_sax.h"
#include "quant/base/text.h"

namespace rotor {
namespace {

constexpr uint64_t kMaxNumber = (uint64_t{1} << 48) - 1;
constexpr size_t kMaxDepth = 4;
constexpr size_t kMaxDimensions = 64;  // bounds what a shape costs; no framework has as many
constexpr size_t kMaxEntryKeys = 64;   // keys of an entry that the format does not know are skipped

enum class Field { kDType, kShape, kOffsets, kOther };

Field field_of(const std::string& key) {
  if (key == "dtype") {
    return Field::kDType;
  }
  if (key == "shape") {
    return Field::kShape;
  }
  return key == "data_offsets" ? Field::kOffsets : Field::kOther;
}

const char* expected(Field field) {
  switch (field) {
    case Field::kDType:
      return "a dtype such as \"F32\"";
    case Field::kShape:
      return "a list of integers from 0 to 2^48 - 1";
    case Field::kOffsets:
      return "a list of two integers from 0 to 2^48 - 1";
    case Field::kOther:
      break;
  }
  return "a value";
}

// Depth 1 is the header, 2 an entry or __metadata__, 3 a list in an entry. What stands under a key
// that the format does not know is passed over, but for its depth and duplicate keys.
class HeaderReader final : public StrictSax<nlohmann::json> {
 public:
  explicit HeaderReader(SafetensorsHeader& header) : header_(header) {}

  bool null() override { return scalar("null"); }
  bool boolean(bool /*value*/) override { return scalar("a boolean"); }
  bool number_integer(int64_t value) override { return scalar(std::to_string(value)); }
  bool number_float(double /*value*/, const std::string& text) override {
    return scalar(printable(text));
  }

  bool number_unsigned(uint64_t value) override {
    if (depth_ != 3 || !in_list_ || value > kMaxNumber) {
      return scalar(std::to_string(value));
    }
    list_.push_back(static_cast<int64_t>(value));
    const size_t most = field_ == Field::kOffsets ? 2 : kMaxDimensions;
    return list_.size() <= most || refuse("more than " + std::to_string(most) + " numbers");
  }

  bool string(std::string& value) override {
    if (depth_ == 2 && in_metadata_) {
      header_.metadata[key_] = std::move(value);
      return true;
    }
    if (depth_ != 2 || field_ != Field::kDType) {
      return scalar("the string " + printable(value));
    }
    const std::optional<DType> dtype = dtype_from_name(value);
    entry_.spec.dtype = dtype.value_or(DType::kU8);
    return dtype.has_value() || refuse("unknown dtype " + printable(value));
  }

  bool start_object(size_t /*elements*/) override {
    return depth_ < 2 || skipping() ? enter() : refuse_found("an object");
  }

  bool start_array(size_t /*elements*/) override {
    in_list_ =
        depth_ == 2 && !in_metadata_ && (field_ == Field::kShape || field_ == Field::kOffsets);
    list_.clear();
    return in_list_ || skipping() ? enter() : refuse_found("a list");
  }

  bool end_object() override {
    const bool complete = depth_ != 2 || in_metadata_ || finish_entry();
    leave();
    return complete;
  }

  bool end_array() override {
    leave();
    if (std::exchange(in_list_, false)) {
      if (field_ == Field::kShape) {
        entry_.spec.shape = list_;
      } else if (list_.size() == 2) {
        entry_.begin = list_[0];
        entry_.end = list_[1];
      } else {
        return refuse_found(std::to_string(list_.size()) + " numbers");
      }
    }
    return true;
  }

  bool key(std::string& value) override {
    if (depth_ == 1) {
      return start_member(value);
    }
    key_ = value;
    if (depth_ == 2 && !in_metadata_) {
      field_ = field_of(value);
    }
    std::set<std::string>& seen = keys_.back();
    if (!seen.insert(value).second) {
      return refuse("a duplicate key");
    }
    return in_metadata_ || seen.size() <= kMaxEntryKeys || refuse("too many keys");
  }

 private:
  bool skipping() const { return depth_ >= 2 && !in_metadata_ && field_ == Field::kOther; }

  bool refuse(const std::string& what) {
    return fail("tensor " + printable(name_) + (key_.empty() ? "" : ", key " + printable(key_)) +
                ": " + what);
  }

  bool refuse_found(const std::string& found) {
    if (depth_ == 0) {
      return fail(found + ", where the header is one object");
    }
    if (depth_ == 1) {
      return refuse(found + ", where an object is needed");
    }
    return refuse(found + ", where " + (in_metadata_ ? "a string" : expected(field_)) +
                  " is needed");
  }

  bool scalar(const std::string& found) { return skipping() || refuse_found(found); }

  bool enter() {
    if (depth_ == kMaxDepth) {
      return refuse("nested deeper than " + std::to_string(kMaxDepth) + " levels");
    }
    ++depth_;
    keys_.emplace_back();
    return true;
  }

  void leave() {
    --depth_;
    keys_.pop_back();
    if (depth_ == 1) {
      in_metadata_ = false;
    }
  }

  bool start_member(const std::string& name) {
    name_ = name;
    key_.clear();
    entry_ = {};
    in_metadata_ = name == "__metadata__";
    return !in_metadata_ || !std::exchange(metadata_seen_, true) || refuse("a duplicate key");
  }

  bool finish_entry() {
    for (const char* required : {"dtype", "shape", "data_offsets"}) {
      if (!keys_.back().contains(required)) {
        key_ = required;
        return refuse("missing");
      }
    }
    entry_.spec.name = name_;
    header_.entries.push_back(std::move(entry_));
    return true;
  }

  SafetensorsHeader& header_;
  size_t depth_ = 0;
  bool in_metadata_ = false;
  bool metadata_seen_ = false;
  bool in_list_ = false;
  std::string name_;  // of the entry being read
  std::string key_;   // the last key in it
  Field field_ = Field::kOther;
  SafetensorsEntry entry_;
  std::vector<int64_t> list_;
  std::vector<std::set<std::string>> keys_;  // of every open container
};

Status bad_entry(const std::string& path, const std::string& name, const std::string& key,
                 const std::string& what) {
  return invalid_argument(path + ": tensor " + printable(name) + ", key '" + key + "': " + what +
                          "; the file is damaged: fetch or convert it again")
      .with_detail("file", path)
      .with_detail("tensor", printable(name))
      .with_detail("key", key);
}

Status check_names(const SafetensorsHeader& header, const std::string& path) {
  std::vector<const std::string*> names;
  names.reserve(header.entries.size());
  for (const SafetensorsEntry& entry : header.entries) {
    names.push_back(&entry.spec.name);
  }
  const auto less = [](const std::string* a, const std::string* b) { return *a < *b; };
  const auto equal = [](const std::string* a, const std::string* b) { return *a == *b; };
  std::sort(names.begin(), names.end(), less);
  const auto twice = std::adjacent_find(names.begin(), names.end(), equal);
  return twice == names.end() ? Status() : bad_entry(path, **twice, **twice, "a duplicate key");
}

// Entries sorted by offset must follow one another from the first data byte to the file's last.
Status check_extents(const SafetensorsHeader& header, int64_t data_size, const std::string& path) {
  int64_t expected_begin = 0;
  const SafetensorsEntry* last = nullptr;
  for (const SafetensorsEntry& entry : header.entries) {
    const std::string span =
        std::string("[") + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]";
    const std::string& name = entry.spec.name;
    if (entry.begin > entry.end) {
      return bad_entry(path, name, "data_offsets", span + " runs backwards");
    }
    const std::optional<int64_t> bytes = checked_byte_size(entry.spec.dtype, entry.spec.shape);
    if (!bytes) {
      return bad_entry(path, name, "shape", "more than 2^48 - 1 bytes");
    }
    if (entry.end - entry.begin != *bytes) {
      return bad_entry(path, name, "data_offsets",
                       span + " does not hold the " + std::to_string(*bytes) + " bytes of " +
                           describe(entry.spec));
    }
    if (entry.begin != expected_begin) {
      return bad_entry(path, name, "data_offsets",
                       span + (entry.begin < expected_begin ? " overlaps the tensor before it"
                                                            : " leaves a hole before it"));
    }
    expected_begin = entry.end;
    last = &entry;
  }
  if (expected_begin == data_size) {
    return {};
  }
  return bad_entry(path, last == nullptr ? "" : last->spec.name, "data_offsets",
                   "the tensors end at data byte " + std::to_string(expected_begin) +
                       ", the file at " + std::to_string(data_size));
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors_header(std::string_view text, int64_t file_size,
                                                   const std::string& path) {
  SafetensorsHeader header;
  HeaderReader reader(header);
  Status status =
      run_json_sax(text, path + ": header", static_cast<size_t>(kMaxSafetensorsHeader), reader);
  if (status.ok()) {
    header.data_offset = 8 + static_cast<int64_t>(text.size());
    std::stable_sort(header.entries.begin(), header.entries.end(),
                     [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
                       return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
                     });
    status = check_names(header, path);
  }
  if (status.ok()) {
    status = check_extents(header, file_size - header.data_offset, path);
  }
  if (!status.ok()) {
    return std::move(status).with_reason("BAD_SAFETENSORS").with_detail("file", path);
  }
  return header;
}

}  // namespace rotor
