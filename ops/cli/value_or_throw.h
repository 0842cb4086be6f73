// From our errors to CLI11's, which it catches itself and prints with the option's name.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>

#include "quant/base/status.h"

namespace rotor::cli {

/// The value, or CLI::ValidationError naming `option`.
template <typename T>
T value_or_throw(const std::string& option, Result<T> result) {
  if (!result.ok()) {
    throw CLI::ValidationError(option, result.status().message());
  }
  return std::move(result).value();
}

}  // namespace rotor::cli
