// That the table of model/settings.h and the API say the same.
#include "model/settings.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "proto/enum_names.h"
#include "proto/spec_fields.h"
#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

/// The paths of all fields that are no messages, or are lists of them.
void collect(const Descriptor& type, const std::string& prefix, std::set<std::string>* paths) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.message_type() != nullptr && !field.is_repeated()) {
      collect(*field.message_type(), prefix + field.name() + ".", paths);
    } else {
      paths->insert(prefix + field.name());
    }
  }
}

TEST(Settings, EveryFieldOfAJobIsDeclaredOnce) {
  std::set<std::string> fields;
  collect(*v1::JobSpec::descriptor(), "", &fields);
  std::multiset<std::string> rows{"model", "output"};
  for (const Setting& row : settings()) {
    rows.emplace(row.path);
  }
  EXPECT_EQ(rows, std::multiset<std::string>(fields.begin(), fields.end()));
}

TEST(Settings, NoFlagAndNoKeyStandsForTwo) {
  std::set<std::string_view> keys;
  std::set<std::string_view> flags;
  for (const Setting& row : settings()) {
    EXPECT_TRUE(keys.insert(row.key).second) << row.key;
    EXPECT_TRUE(row.flag.empty() || flags.insert(row.flag).second) << row.flag;
    EXPECT_FALSE(row.help.empty() || row.group.empty()) << row.path;
  }
}

TEST(Settings, AMemberAndItsFieldHaveTheSameValues) {
  for (const Setting& row : settings()) {
    const FieldDescriptor& field = spec_field(row);
    if (row.has_member() && field.enum_type() != nullptr) {
      EXPECT_EQ(member_choices(row), enum_names(*field.enum_type())) << row.path;
    }
  }
}

TEST(Settings, AnOverrideReplacesSettingsOfTheSameNameAndType) {
  const Descriptor& type = *v1::Override::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->name() != "pattern") {
      EXPECT_EQ(spec_field(setting(type.field(i)->name())).cpp_type(), type.field(i)->cpp_type());
    }
  }
}

TEST(Settings, DefaultsAreValuesInTheirRange) {
  int found = 0;
  for (const Setting& row : settings()) {
    v1::JobSpec spec;
    if (const std::string text = default_text(row); !text.empty()) {
      EXPECT_OK(set_field(&spec, row, text));
      EXPECT_EQ(field_text(spec, row), text) << row.path;
      EXPECT_OK(check_field(spec, row));
      ++found;
    }
  }
  EXPECT_GT(found, 12);
}

TEST(Settings, RangesNameFieldValueAndBounds) {
  EXPECT_FAILS(check_range(setting("damping"), 0.0), Code::kInvalidArgument, "BAD_SPEC",
               "spec.damping: 0 is out of range: above 0, at most 1");
  EXPECT_FAILS(check_range(setting("max_shard_size"), 999999.0), Code::kInvalidArgument, "BAD_SPEC",
               "at least 1000000");
  EXPECT_FAILS(check_range(setting("limits.max_fallback_share"), std::nan("")),
               Code::kInvalidArgument, "BAD_SPEC", "0 to 1");
  EXPECT_OK(check_range(setting("damping"), 1.0));
  EXPECT_OK(check_range(setting("max_shard_size"), 1e15));
}

TEST(Settings, MembersTakeTextAndRefuseWhatIsNone) {
  QuantOptions options;
  for (const Setting& row : settings()) {
    if (row.has_member()) {
      EXPECT_OK(set_member(&options, row, member_text(options, row)));
    }
  }
  ASSERT_OK(set_member(&options, setting("method"), "rtn"));
  ASSERT_OK(set_member(&options, setting("damping"), "1e-3"));
  ASSERT_OK(set_member(&options, setting("act_order"), "off"));
  EXPECT_EQ(options.method, Method::kRtn);
  EXPECT_EQ(options.damping, 1e-3);
  EXPECT_FALSE(options.act_order);
  EXPECT_FAILS(set_member(&options, setting("method"), ""), Code::kInvalidArgument, "BAD_SPEC",
               "rtn|gptq|mr-gptq");
  EXPECT_FAILS(set_member(&options, setting("plan.lanes"), "8x"), Code::kInvalidArgument,
               "BAD_SPEC", "spec.plan.lanes");
}

}  // namespace
}  // namespace rotor
