#include "tests/digests/record.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "model/algorithm_version.h"
#include "quant/base/json.h"
#include "quant/io/file.h"

namespace rotor::worker::digests {
namespace {

constexpr int64_t kMostBytes = 1 << 20;

}  // namespace

std::string record_path() {
  return ROTOR_SOURCE_DIR "/tests/data/digests.json";
}

Result<Record> read_record() {
  ROTOR_ASSIGN_OR_RETURN(const std::string text,
                         read_whole_file(posix_file_system(), record_path(), kMostBytes));
  ROTOR_ASSIGN_OR_RETURN(const nlohmann::json json, parse_json(text, record_path()));
  return Record{json.at("algorithm_version").get<int>(),
                json.at("kinds").get<std::map<std::string, Digests>>()};
}

Status add_to_record(const std::string& kind, const Digests& found) {
  Result<Record> read = read_record();
  Record record = read.ok() && read->algorithm_version == kAlgorithmVersion
                      ? std::move(*read)
                      : Record{kAlgorithmVersion, {}};
  Digests& digests = record.kinds[kind];
  for (const auto& [name, digest] : found) {
    const auto [place, added] = digests.emplace(name, digest);
    if (place->second != digest) {
      return failed_precondition(name + ": algorithm version " + std::to_string(kAlgorithmVersion) +
                                 " already has another digest; raise it "
                                 "(model/algorithm_version.h), with a line in CHANGELOG.md");
    }
  }
  const nlohmann::json json = {{"algorithm_version", record.algorithm_version},
                               {"kinds", record.kinds}};
  std::ofstream(record_path()) << json.dump(1) << "\n";
  return {};
}

}  // namespace rotor::worker::digests
