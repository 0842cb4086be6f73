#include "proto/enum_names.h"

#include <gtest/gtest.h>

namespace rotor {
namespace {

TEST(EnumNames, AreThoseOfTheCommandLine) {
  EXPECT_EQ(cli_name(v1::FORMAT_NVFP4), "nvfp4");
  EXPECT_EQ(cli_name(v1::METHOD_MR_GPTQ), "mr-gptq");
  EXPECT_EQ(cli_name(v1::CALIBRATION_MODE_DOCUMENT), "document");
  EXPECT_EQ(cli_name(v1::LAYOUT_COMPRESSED_TENSORS), "compressed-tensors");
  EXPECT_EQ(cli_name(v1::METHOD_UNSPECIFIED), "");
  EXPECT_EQ(cli_name(static_cast<v1::Method>(99)), "");
}

TEST(EnumNames, StatesAreInCapitals) {
  EXPECT_EQ(state_name(v1::JOB_STATE_FINALIZING), "FINALIZING");
  EXPECT_EQ(state_name(v1::JOB_STATE_UNSPECIFIED), "UNSPECIFIED");
  EXPECT_EQ(state_name(static_cast<v1::JobState>(99)), "UNSPECIFIED");
}

TEST(EnumNames, AreReadBack) {
  const auto& type = *v1::Method_descriptor();
  EXPECT_EQ(enum_names(type), (std::vector<std::string>{"rtn", "gptq", "mr-gptq"}));
  EXPECT_EQ(enum_number(type, "gptq"), v1::METHOD_GPTQ);
  EXPECT_EQ(enum_number(type, "unspecified"), 0);
  EXPECT_EQ(enum_number(type, ""), 0);
}

}  // namespace
}  // namespace rotor
