#include "ops/cli/log_tail.h"

#include <algorithm>
#include <fstream>

namespace rotor::cli {

std::string log_tail(const std::filesystem::path& path, int lines) {
  constexpr std::streamoff kMostBytes = 64 << 10;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    return "";
  }
  const std::streamoff size = file.tellg();
  const std::streamoff start = std::max<std::streamoff>(0, size - kMostBytes);
  file.seekg(start);
  std::string text(static_cast<size_t>(size - start), '\0');
  file.read(text.data(), size - start);
  text.resize(static_cast<size_t>(file.gcount()));
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  size_t begin = text.size();
  for (int found = 0; found < lines && begin != std::string::npos && begin > 0; ++found) {
    begin = text.rfind('\n', begin - 1);
  }
  return begin == std::string::npos || begin == 0 ? text : text.substr(begin + 1);
}

}  // namespace rotor::cli
