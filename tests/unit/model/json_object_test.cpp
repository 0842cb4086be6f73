#include "model/json_object.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

using nlohmann::json;

TEST(JsonObject, NamesFileKeyValueAndExpectation) {
  const json value = {{"a", {{"b", -1}}}};
  const auto root = JsonObject::make(value, "F", "", "R");
  ASSERT_OK(root);
  const auto inner = root->object("a");
  ASSERT_OK(inner);
  const Status status = inner->integer("b", 0, 9).status();
  EXPECT_FAILS(status, Code::kInvalidArgument, "R",
               "F: key \"a.b\" is -1; it must be an integer from 0 to 9");
  EXPECT_EQ(status.details().at("file"), "F");
  EXPECT_EQ(status.details().at("key"), "a.b");
}

TEST(JsonObject, TakesNullAsNotGiven) {
  const json value = {{"a", nullptr}};
  const auto root = JsonObject::make(value, "F", "", "R");
  EXPECT_FALSE(root->has("a"));
  EXPECT_TRUE(root->contains("a"));
  EXPECT_EQ(root->integer_or("a", 7, 0, 9).value(), 7);
  EXPECT_FAILS(root->string("a"), Code::kInvalidArgument, "R", "\"a\" is missing");
}

TEST(JsonObject, RefusesIntegersThatDoNotFit) {
  for (const json& bad : {json(UINT64_MAX), json(1.0), json("1"), json(true), json(10)}) {
    const json value = {{"a", bad}};
    EXPECT_FAILS(JsonObject::make(value, "F", "", "R")->integer("a", 0, 9), Code::kInvalidArgument,
                 "R", "integer")
        << bad;
  }
}

TEST(JsonObject, RefusesWhatIsNoObject) {
  EXPECT_FAILS(JsonObject::make(json("x"), "F", "", "R"), Code::kInvalidArgument, "R",
               "F: the file is \"x\"");
  EXPECT_FAILS(JsonObject::make(json::array(), "F", "k", "R"), Code::kInvalidArgument, "R",
               "key \"k\" is an array");
}

TEST(JsonObject, KeepsLongValuesOutOfMessages) {
  EXPECT_EQ(brief_json(json(std::string(5000, 'x'))), "a string of 5000 bytes");
  EXPECT_EQ(brief_json(json::object()), "an object");
}

}  // namespace
}  // namespace rotor
