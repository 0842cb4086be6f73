#include "quant/base/config_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

TEST(ConfigJson, WritesWhatItReadNamesOfNumbersIncluded) {
  const std::string text = R"({
  "limit": [
    0.0,
    Infinity
  ],
  "least": -Infinity,
  "none": NaN,
  "Infinity": "NaN, and \"Infinity\" and \\",
  "last": 1
})";
  const auto config = parse_ordered_config_json(text, "config.json");
  ASSERT_OK(config);
  EXPECT_EQ(dump_config_json(*config), text);
  EXPECT_TRUE(config->at("none").is_string());
}

TEST(ConfigJson, RefusesWhatIsNoNameOfANumber) {
  for (const char* text :
       {"{\"a\": Infinit}", "{\"a\": nan}", "{\"a\": +Infinity}", "{Infinity}"}) {
    EXPECT_FAILS(parse_config_json(text, "config.json"), Code::kInvalidArgument, "BAD_JSON",
                 "config.json")
        << text;
  }
}

TEST(ConfigJson, WritesNoStringAsANumber) {
  const std::string text = "{\n  \"a\": \"\xEF\xA3\xBFNaN\",\n  \"b\": 1\n}";
  const auto config = parse_ordered_config_json(text, "config.json");
  ASSERT_OK(config);
  EXPECT_EQ(dump_config_json(*config), text);
}

}  // namespace
}  // namespace rotor
