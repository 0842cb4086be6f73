// The library's contract with OpenBLAS: one thread, set at program start.
#include <cblas.h>
#include <gtest/gtest.h>

namespace {

class OneBlasThread : public testing::Environment {
 public:
  void SetUp() override { openblas_set_num_threads(1); }
};

const testing::Environment* const kEnvironment =
    testing::AddGlobalTestEnvironment(new OneBlasThread);

}  // namespace
