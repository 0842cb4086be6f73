// The table of model families. A row says what config.json leaves unsaid; that and the shared
// layout of decoder-only models is all that describe() needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rotor {

struct Family {
  std::string_view model_type;
  /// Whether `attention_bias` and `mlp_bias` of config.json count; else no linear has a bias.
  bool reads_bias_keys = false;
  /// Whether `sliding_window` counts; else every position sees all before it.
  bool reads_sliding_window = false;
  /// What a config.json without the key means; 0: no window.
  int64_t default_sliding_window = 0;
};

/// Null for a model type that has no row.
const Family* find_family(std::string_view model_type);

}  // namespace rotor
