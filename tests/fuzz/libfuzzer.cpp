// The program of one target, ROTOR_FUZZ_TARGET: libFuzzer brings main and the inputs.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const rotor::fuzz::Target& target = *std::ranges::find(
      rotor::fuzz::targets(), std::string_view(ROTOR_FUZZ_TARGET), &rotor::fuzz::Target::name);
  target.run({reinterpret_cast<const char*>(data), size});
  return 0;
}
