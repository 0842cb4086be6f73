// The fixture of tests of kernels that need products.
#pragma once

#include <optional>
#include <utility>

#include "kernels/gemm.h"
#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {

class GemmTest : public CudaTest {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    Result<Gemm> gemm = Gemm::create(stream());
    ASSERT_OK(gemm);
    gemm_.emplace(std::move(gemm).value());
  }

  std::optional<Gemm> gemm_;  // on stream()
};

}  // namespace rotor::kernels
