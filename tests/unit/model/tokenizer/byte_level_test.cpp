#include "model/tokenizer/byte_level.h"

#include <gtest/gtest.h>

#include <set>

#include "model/tokenizer/utf8.h"

namespace rotor {
namespace {

TEST(ByteLevel, GivesEachByteItsOwnPrintableCharacter) {
  std::set<std::string> seen;
  for (int byte = 0; byte < 256; ++byte) {
    std::string out;
    append_byte_level(std::string(1, static_cast<char>(byte)), out);
    EXPECT_EQ(valid_utf8_prefix(out), out.size()) << byte;
    EXPECT_GT(out[0] & 0xFF, 0x20) << byte;
    EXPECT_TRUE(seen.insert(out).second) << byte;
  }
}

TEST(ByteLevel, MapsKnownBytes) {
  std::string out;
  append_byte_level("a \n\xAD\xFF!", out);
  EXPECT_EQ(out, "aĠĊŃÿ!");
}

}  // namespace
}  // namespace rotor
