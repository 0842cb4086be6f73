// The SHA-256 of every file of a directory, by name: two that are equal hold the same bytes.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "quant/base/sha256.h"
#include "tests/support/temporary_directory.h"

namespace rotor::testing {

inline std::map<std::string, std::string> digests(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    files[entry.path().filename().string()] = sha256_hex(file_bytes(entry.path()));
  }
  return files;
}

}  // namespace rotor::testing
