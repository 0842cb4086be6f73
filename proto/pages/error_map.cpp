#include "proto/pages/error_map.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>

namespace rotor {
namespace {

std::optional<int64_t> number_of(std::string_view part) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
  const bool whole = error == std::errc() && end == part.data() + part.size();
  return whole ? std::optional(number) : std::nullopt;
}

/// Where `key` is in `list`, to which it is added if it is new.
template <typename Key>
size_t place_of(const Key& key, std::map<Key, size_t>* places, std::vector<Key>* list) {
  const auto [found, added] = places->emplace(key, list->size());
  if (added) {
    list->push_back(key);
  }
  return found->second;
}

void add(const v1::ModuleReport& module, ErrorCell* cell) {
  if (cell->modules == 0 || module.relative_error() > cell->worst->relative_error()) {
    cell->worst = &module;
  }
  cell->least_tokens =
      cell->modules == 0 ? module.tokens() : std::min(cell->least_tokens, module.tokens());
  cell->most_tokens = std::max(cell->most_tokens, module.tokens());
  ++cell->modules;
  cell->mean += (module.relative_error() - cell->mean) / static_cast<double>(cell->modules);
}

}  // namespace

ModulePlace module_place(const std::string& name) {
  ModulePlace place;
  std::string_view rest = name;
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    if (const std::optional<int64_t> number = number_of(part)) {
      if (!place.layer) {
        place.layer = number;
        place.kind.clear();  // what leads to the layers is the same for all
      }
    } else {
      place.kind += (place.kind.empty() ? "" : ".") + std::string(part);
    }
    if (dot == std::string_view::npos) {
      return place;
    }
    rest.remove_prefix(dot + 1);
  }
}

ErrorMap error_map(const std::vector<v1::ModuleReport>& modules) {
  ErrorMap map;
  std::map<std::string, size_t> kinds;
  std::map<int64_t, size_t> layers;
  for (const v1::ModuleReport& module : modules) {
    const ModulePlace place = module_place(module.name());
    if (!place.layer) {
      continue;
    }
    const size_t kind = place_of(place.kind, &kinds, &map.kinds);
    const size_t layer = place_of(*place.layer, &layers, &map.layers);
    map.cells.resize(map.layers.size());
    if (map.cells[layer].size() <= kind) {
      map.cells[layer].resize(kind + 1);
    }
    add(module, &map.cells[layer][kind]);
  }
  for (std::vector<ErrorCell>& row : map.cells) {
    row.resize(map.kinds.size());
  }
  return map;
}

}  // namespace rotor
