// The readers of config.json and of calibration documents.
#include <string>

#include "model/architecture.h"
#include "model/calibration/documents.h"
#include "model/calibration/window_cutter.h"
#include "model/config.h"
#include "tests/fuzz/targets.h"
#include "tests/support/memory_file_system.h"

namespace rotor::fuzz {
namespace {

constexpr int64_t kVocabulary = 1000;

void documents(const std::string& path, std::string_view input) {
  testing::MemoryFileSystem fs(testing::MemoryFileSystem::Files{{path, std::string(input)}});
  WindowCutter cutter(4, 8);
  const Status status =
      read_documents(fs, path, kVocabulary, [&](const Document& document) -> Result<bool> {
        check(document.has_ids || document.ids.empty(), "ids of a document that has none");
        for (const int32_t id : document.ids) {
          check(id >= 0 && id < kVocabulary, "an id outside the vocabulary");
        }
        cutter.append(document.ids);
        return !cutter.full();
      });
  check_status(status);
  check(cutter.take().sequences() <= 8, "too many windows");
}

}  // namespace

void config(std::string_view input) {
  for (const bool allow_quantized : {false, true}) {
    const auto config = parse_model_config(std::string(input), "m/config.json", allow_quantized);
    check_status(config.status());
    if (!config.ok() || config->num_layers > 100) {
      continue;
    }
    const auto architecture = describe(*config);
    check_status(architecture.status());
    check(!architecture.ok() ||
              architecture->layers.size() == static_cast<size_t>(config->num_layers),
          "another number of layers");
  }
}

void json_lines(std::string_view input) {
  documents("c/lines.jsonl", input);
}

void json_array(std::string_view input) {
  documents("c/array.json", input);
}

}  // namespace rotor::fuzz
