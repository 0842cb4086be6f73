#include "model/tokenizer/word_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rotor {
namespace {

TEST(WordCache, ForgetsRatherThanGrows) {
  WordCache cache;
  const std::vector<int32_t> ids = {1, 2, 3};
  cache.insert("word", ids);
  ASSERT_NE(cache.find("word"), nullptr);
  EXPECT_EQ(*cache.find("word"), ids);
  cache.insert(std::string(1000, 'a'), ids);
  EXPECT_EQ(cache.find(std::string(1000, 'a')), nullptr) << "too long to come again";
  for (int i = 0; i < 200'000; ++i) {
    cache.insert("w" + std::to_string(i), ids);
  }
  EXPECT_EQ(cache.find("word"), nullptr);
  EXPECT_NE(cache.find("w199999"), nullptr);
}

}  // namespace
}  // namespace rotor
