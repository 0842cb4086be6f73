// EXPECT_OK, ASSERT_OK, and EXPECT_FAILS with a reason and words of the message.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "quant/base/status.h"

namespace rotor::testing {

inline Status status_of(const Status& status) {
  return status;
}
template <typename T>
Status status_of(const Result<T>& result) {
  return result.status();
}

inline ::testing::AssertionResult fails_with(const Status& status, Code code,
                                             const std::string& reason, const std::string& words) {
  if (status.code() == code && status.reason() == reason &&
      status.message().find(words) != std::string::npos) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure()
         << "wanted " << code_name(code) << " / " << reason << " with '" << words << "', got "
         << status.to_string() << " / " << status.reason();
}

}  // namespace rotor::testing

#define EXPECT_OK(expr)                                                  \
  do {                                                                   \
    const ::rotor::Status rotor_got = ::rotor::testing::status_of(expr); \
    EXPECT_TRUE(rotor_got.ok()) << rotor_got.to_string();                \
  } while (false)
#define ASSERT_OK(expr)                                                  \
  do {                                                                   \
    const ::rotor::Status rotor_got = ::rotor::testing::status_of(expr); \
    ASSERT_TRUE(rotor_got.ok()) << rotor_got.to_string();                \
  } while (false)
/// The error's code, reason, and words that its message must hold.
#define EXPECT_FAILS(expr, code, reason, words) \
  EXPECT_TRUE(::rotor::testing::fails_with(::rotor::testing::status_of(expr), code, reason, words))
