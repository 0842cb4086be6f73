// A map of layers and kinds of modules as a table of coloured cells.
//
// Thread-safety: a pure function.
#pragma once

#include <functional>
#include <string>

#include "proto/pages/error_map.h"

namespace rotor {

struct MapCell {
  std::string text;
  std::string colour;  // of CSS
  std::string title;   // shown where the pointer rests
};

/// `cell` is asked for each that has modules, with its layer's and its kind's place in the map.
/// Empty for a map without layers.
std::string map_table(const ErrorMap& map,
                      const std::function<MapCell(const ErrorCell&, size_t, size_t)>& cell);

}  // namespace rotor
