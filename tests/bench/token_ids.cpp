// rotor_token_ids TOKENIZER TEXTS IDS: turns texts into token ids, for comparison with another
// tokenizer, and prints how long that took.
//
// TOKENIZER: a tokenizer.json. TEXTS: JSON lines, each a string. IDS is written: for each text the
// number of ids, then the ids, all int32 in the machine's byte order. On stdout one JSON object:
// bytes (of text), ids, open_seconds, encode_seconds. Seconds are of the CPU, on one thread.
#include <cstdint>
#include <ctime>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/tokenizer/tokenizer.h"
#include "quant/base/json.h"

namespace rotor {
namespace {

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

Result<std::vector<std::string>> read_texts(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return not_found(path + ": cannot be opened");
  }
  std::vector<std::string> texts;
  for (std::string line; std::getline(file, line);) {
    const std::string place = path + ":" + std::to_string(texts.size() + 1);
    ROTOR_ASSIGN_OR_RETURN(const nlohmann::json value, parse_json(line, place));
    if (!value.is_string()) {
      return invalid_argument(place + ": not a JSON string");
    }
    texts.push_back(value.get<std::string>());
  }
  return texts;
}

Status run(const std::string& tokenizer_path, const std::string& texts_path,
           const std::string& ids_path) {
  ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> texts, read_texts(texts_path));
  double start = cpu_seconds();
  ROTOR_ASSIGN_OR_RETURN(const auto tokenizer, open_tokenizer(tokenizer_path));
  nlohmann::json report = {{"open_seconds", cpu_seconds() - start}};
  std::vector<int32_t> all;
  size_t bytes = 0;
  start = cpu_seconds();
  for (const std::string& text : texts) {
    ROTOR_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenizer->encode(text));
    bytes += text.size();
    all.push_back(static_cast<int32_t>(ids.size()));
    all.insert(all.end(), ids.begin(), ids.end());
  }
  report["encode_seconds"] = cpu_seconds() - start;
  report["bytes"] = bytes;
  report["ids"] = all.size() - texts.size();
  std::ofstream out(ids_path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(all.data()),
            static_cast<std::streamsize>(all.size() * sizeof(int32_t)));
  if (!out.flush()) {
    return unavailable(ids_path + ": cannot be written");
  }
  std::cout << report.dump() << "\n";
  return {};
}

}  // namespace
}  // namespace rotor

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: rotor_token_ids TOKENIZER TEXTS IDS\n";
    return 2;
  }
  const rotor::Status status = rotor::run(argv[1], argv[2], argv[3]);
  if (!status.ok()) {
    std::cerr << status.to_string() << "\n";
    return 1;
  }
  return 0;
}
