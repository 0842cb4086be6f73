// What is fuzzed: each target gives any bytes to a reader of files that may be hostile. One entry
// point serves libFuzzer (libfuzzer.cpp) and the replay of the corpus in the unit tests
// (replay_test.cpp).
//
// A target checks more than that nothing crashes: see check_status, and the checks in each target.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "quant/base/status.h"

namespace rotor::fuzz {

struct Target {
  std::string_view name;  // also of its folder below corpus/
  void (*run)(std::string_view input);
};

/// Every target of the build.
std::span<const Target> targets();

/// What a check that fails throws: nothing in the readers catches it.
struct Finding : std::logic_error {
  using std::logic_error::logic_error;
};

/// Throws a Finding unless `holds`.
void check(bool holds, const std::string& what);
/// What holds for the error that any file may give: it blames the file and not the program, names a
/// reason, and its message and details can be printed on a terminal and sent as protobuf strings.
void check_status(const Status& status);

void safetensors(std::string_view input);
void index(std::string_view input);
void config(std::string_view input);
void json_lines(std::string_view input);
void json_array(std::string_view input);
void tokenizer(std::string_view input);
void encode(std::string_view input);

}  // namespace rotor::fuzz
