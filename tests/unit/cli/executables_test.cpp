#include "ops/cli/executables.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/status_matchers.h"

namespace rotor::cli {
namespace {

TEST(FindMpirun, NamesThePackageThatIsMissing) {
  const std::string path = getenv("PATH");
  setenv("PATH", "/nowhere:", 1);
  const Result<std::string> found = find_mpirun();
  const Result<std::string> sibling = find_sibling("rotor-no-such-program");
  setenv("PATH", path.c_str(), 1);
  EXPECT_FAILS(found, Code::kFailedPrecondition, "MISSING_PROGRAM", "mpirun");
  EXPECT_NE(found.status().details().at("remedy").find("openmpi-bin"), std::string::npos);
  EXPECT_FAILS(sibling, Code::kFailedPrecondition, "MISSING_PROGRAM", "rotor-no-such-program");
}

}  // namespace
}  // namespace rotor::cli
