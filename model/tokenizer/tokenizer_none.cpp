// Stands in for tokenizer.cpp in a build without ICU.
#include "model/tokenizer/tokenizer.h"

namespace rotor {

Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::string& path) {
  return parse_tokenizer("", path);
}

Result<std::unique_ptr<Tokenizer>> parse_tokenizer(std::string_view /*text*/,
                                                   const std::string& path) {
  return unimplemented(path +
                       ": this build has no tokenizer, because ICU was not found when it was "
                       "configured: build with libicu-dev, or give calibration data as "
                       "JSON lines with \"input_ids\"")
      .with_reason("UNSUPPORTED_TOKENIZER")
      .with_detail("file", path);
}

}  // namespace rotor
