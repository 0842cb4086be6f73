#include "tests/unit/worker/golden.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "quant/checkpoint/safetensors_reader.h"
#include "tests/support/status_matchers.h"

namespace rotor::worker::testing {
namespace {

template <typename T>
std::vector<T> read_all(const SafetensorsFile& file, const std::string& name) {
  const SafetensorsEntry* entry = file.find(name);
  if (entry == nullptr) {
    ADD_FAILURE() << file.path() << " lacks " << name;
    return {};
  }
  const auto bytes = static_cast<size_t>(entry->spec.byte_size());
  std::vector<T> values(bytes / sizeof(T));
  const Status status = file.read(*entry, 0, values.data(), bytes);
  EXPECT_OK(status);
  return values;
}

}  // namespace

Golden read_golden(const std::string& path) {
  Golden golden;
  auto file = SafetensorsFile::open(posix_file_system(), path);
  if (!file.ok()) {
    ADD_FAILURE() << file.status().to_string();
    return golden;
  }
  golden.input_ids = read_all<int32_t>(**file, "input_ids");
  golden.logits = read_all<float>(**file, "logits");
  for (int i = 0; (*file)->find("hidden." + std::to_string(i)) != nullptr; ++i) {
    golden.hidden.push_back(read_all<float>(**file, "hidden." + std::to_string(i)));
  }
  return golden;
}

double relative_distance(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double distance = 0.0;
  double norm = 0.0;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    distance += difference * difference;
    norm += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  const double relative = std::sqrt(distance / norm);
  return std::isfinite(relative) ? relative : std::numeric_limits<double>::infinity();
}

std::optional<std::string> data_dir() {
  const char* directory = std::getenv("ROTOR_DATA_DIR");
  return directory == nullptr ? std::nullopt : std::optional<std::string>(directory);
}

}  // namespace rotor::worker::testing
