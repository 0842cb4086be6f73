#include "quant/base/json.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "quant/base/json_sax.h"
#include "quant/base/text.h"

namespace rotor {
namespace {

nlohmann::json* append(nlohmann::json& object, std::string&& key) {
  auto& map = object.get_ref<nlohmann::json::object_t&>();
  const auto [at, inserted] = map.try_emplace(std::move(key), nullptr);
  return inserted ? &at->second : nullptr;
}

// Does not look for the key, which would be quadratic: documents in order of their text are first
// checked for duplicates by a pass over a sorted one.
nlohmann::ordered_json* append(nlohmann::ordered_json& object, std::string&& key) {
  using Map = nlohmann::ordered_json::object_t;
  auto& members = static_cast<Map::Container&>(object.get_ref<Map&>());
  members.emplace_back(std::move(key), nullptr);
  return &members.back().second;
}

template <typename Json>
class TreeBuilder final : public StrictSax<Json> {
 public:
  TreeBuilder(const JsonLimits& limits, Json& root) : limits_(limits), root_(root) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(typename Json::number_integer_t value) override { return put(value); }
  bool number_unsigned(typename Json::number_unsigned_t value) override { return put(value); }
  bool number_float(typename Json::number_float_t value, const std::string& /*text*/) override {
    return put(value);
  }
  bool string(std::string& value) override { return put(std::move(value)); }
  bool start_object(size_t /*elements*/) override { return open(Json::object()); }
  bool start_array(size_t /*elements*/) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& value) override {
    member_ = append(*open_.back(), std::string(value));
    return member_ != nullptr || this->fail("duplicate key " + printable(value));
  }

 private:
  template <typename Value>
  bool put(Value&& value) {
    return place(std::forward<Value>(value)) != nullptr;
  }

  bool open(Json&& container) {
    if (open_.size() >= static_cast<size_t>(limits_.max_depth)) {
      return this->fail("nested deeper than " + std::to_string(limits_.max_depth) + " levels");
    }
    open_.push_back(place(std::move(container)));
    return open_.back() != nullptr;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  template <typename Value>
  Json* place(Value&& value) {
    if (++values_ > limits_.max_values) {
      this->fail("more than " + std::to_string(limits_.max_values) + " values");
      return nullptr;
    }
    if (open_.empty()) {
      root_ = std::forward<Value>(value);
      return &root_;
    }
    if (open_.back()->is_object()) {
      *member_ = std::forward<Value>(value);
      return member_;
    }
    auto& array = open_.back()->template get_ref<typename Json::array_t&>();
    array.emplace_back(std::forward<Value>(value));
    return &array.back();
  }

  const JsonLimits& limits_;
  Json& root_;
  std::vector<Json*> open_;  // containers from the root to the one being filled
  Json* member_ = nullptr;   // where the value of the last key goes
  size_t values_ = 0;
};

template <typename Json>
Result<Json> parse(std::string_view text, std::string_view path, const JsonLimits& limits) {
  Json root;
  TreeBuilder<Json> builder(limits, root);
  ROTOR_RETURN_IF_ERROR(run_json_sax(text, path, limits.max_bytes, builder));
  return root;
}

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, std::string_view path,
                                  const JsonLimits& limits) {
  return parse<nlohmann::json>(text, path, limits);
}

Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, std::string_view path,
                                                  const JsonLimits& limits) {
  ROTOR_ASSIGN_OR_RETURN(const nlohmann::json checked, parse_json(text, path, limits));
  return parse<nlohmann::ordered_json>(text, path, limits);
}

}  // namespace rotor
