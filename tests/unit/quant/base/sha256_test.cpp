#include "quant/base/sha256.h"

#include <gtest/gtest.h>

namespace rotor {
namespace {

// FIPS 180-2, appendix B.
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(Sha256, KnownDigests) {
  EXPECT_EQ(sha256_hex("abc"), kAbc);
  EXPECT_EQ(sha256_hex(""), kEmpty);
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, StreamsAndStartsAnew) {
  Sha256 sha;
  sha.update("a");
  sha.update("bc", 2);
  EXPECT_EQ(sha.hex(), kAbc);
  EXPECT_EQ(sha.hex(), kEmpty);
}

}  // namespace
}  // namespace rotor
