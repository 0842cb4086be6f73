#include "quant/checkpoint/safetensors_plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "quant/base/text.h"

namespace rotor {
namespace {

Status bad_spec(const TensorSpec& spec, const std::string& what) {
  return invalid_argument("tensor " + printable(spec.name) + ": " + what)
      .with_reason("BAD_TENSOR_SPEC")
      .with_detail("tensor", printable(spec.name));
}

bool stored_before(const TensorSpec& a, const TensorSpec& b) {
  const int64_t size_a = dtype_size(a.dtype);
  const int64_t size_b = dtype_size(b.dtype);
  return size_a != size_b ? size_a > size_b : a.name < b.name;
}

Status check_specs(const std::vector<TensorSpec>& specs) {
  std::vector<const TensorSpec*> by_name;
  by_name.reserve(specs.size());
  for (const TensorSpec& spec : specs) {
    if (spec.name == "__metadata__") {
      return bad_spec(spec, "safetensors keeps this name for itself: rename the tensor");
    }
    by_name.push_back(&spec);
  }
  std::sort(by_name.begin(), by_name.end(),
            [](const TensorSpec* a, const TensorSpec* b) { return a->name < b->name; });
  const auto twice =
      std::adjacent_find(by_name.begin(), by_name.end(),
                         [](const auto* a, const auto* b) { return a->name == b->name; });
  return twice == by_name.end() ? Status() : bad_spec(**twice, "named twice");
}

// Written by hand, because the order of keys is part of the bytes.
Result<std::string> entry_json(const SafetensorsEntry& entry) {
  std::string out;
  try {
    out = nlohmann::json(entry.spec.name).dump();
  } catch (const nlohmann::json::exception&) {
    return bad_spec(entry.spec, "the name is not UTF-8");
  }
  out += R"(:{"dtype":")" + std::string(dtype_name(entry.spec.dtype)) + R"(","shape":[)";
  for (size_t i = 0; i < entry.spec.shape.size(); ++i) {
    out += i == 0 ? "" : ",";
    out += std::to_string(entry.spec.shape[i]);
  }
  return out + R"(],"data_offsets":[)" + std::to_string(entry.begin) + "," +
         std::to_string(entry.end) + "]}";
}

std::string little_endian(uint64_t value) {
  std::string out;
  for (int shift = 0; shift < 64; shift += 8) {
    out += static_cast<char>((value >> shift) & 0xff);
  }
  return out;
}

}  // namespace

Result<SafetensorsPlan> plan_safetensors(std::vector<TensorSpec> specs) {
  ROTOR_RETURN_IF_ERROR(check_specs(specs));
  std::sort(specs.begin(), specs.end(), stored_before);
  SafetensorsPlan plan;
  plan.header.metadata = {{"format", "pt"}};
  std::string json = R"({"__metadata__":{"format":"pt"})";
  int64_t offset = 0;
  for (TensorSpec& spec : specs) {
    const auto bytes = checked_byte_size(spec.dtype, spec.shape);
    if (!bytes || *bytes > (int64_t{1} << 48) - 1 - offset) {
      return bad_spec(spec, describe(spec) + " ends beyond 2^48 - 1 bytes");
    }
    SafetensorsEntry entry{std::move(spec), offset, offset + *bytes};
    ROTOR_ASSIGN_OR_RETURN(const std::string text, entry_json(entry));
    json += "," + text;
    offset += *bytes;
    plan.header.entries.push_back(std::move(entry));
  }
  json += "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  if (json.size() > static_cast<size_t>(kMaxSafetensorsHeader)) {
    return invalid_argument("a safetensors header of " + std::to_string(json.size()) +
                            " bytes, over " + std::to_string(kMaxSafetensorsHeader) +
                            ": write more shards (--max-shard-size)")
        .with_reason("HEADER_TOO_LARGE");
  }
  plan.header_bytes = little_endian(json.size()) + json;
  plan.header.data_offset = static_cast<int64_t>(plan.header_bytes.size());
  plan.file_size = plan.header.data_offset + offset;
  return plan;
}

}  // namespace rotor
