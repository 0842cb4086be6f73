// The CUDA backend in the pipeline, held against the CPU's on the demo model.
#include "worker/backend/cuda/cuda_backend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/memory_sink.h"
#include "tests/support/status_matchers.h"
#include "tests/support/thread_group.h"
#include "tests/unit/worker/backend/factorize_alone.h"
#include "worker/pipeline/shard_runner.h"

namespace rotor::worker::cuda {
namespace {

using testing_support::MemorySink;
using testing_support::random_windows;
using testing_support::Store;

class CudaBackendTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (visible_devices() == 0) {
      GTEST_SKIP() << "no CUDA device on this machine: not run";
    }
  }

  static std::unique_ptr<Backend> make(bool cuda) {
    if (!cuda) {
      return make_cpu_backend(2);
    }
    Result<std::unique_ptr<CudaBackend>> backend = CudaBackend::create(0);
    EXPECT_OK(backend);
    return std::move(*backend);
  }

  /// Quantizes the demo model and measures it; results in `store`.
  static EvalResult run(bool cuda, const QuantOptions& options, Store& store) {
    Result<ModelFiles> model =
        open_model(posix_file_system(), std::string(ROTOR_SOURCE_DIR) + "/demo/model");
    EXPECT_OK(model);
    Result<ModelPlan> plan = make_plan(model->architecture, options);
    EXPECT_OK(plan);
    EvalResult measured;
    rotor::testing::run_ranks(1, [&](Communicator& comm) {
      const std::unique_ptr<Backend> backend = make(cuda);
      MemorySink sink(store);
      ShardTask task;
      task.end_layer = 4;
      task.calibration = random_windows(12, 200, 1);
      task.evaluation = random_windows(5, 100, 2);
      Result<std::optional<EvalResult>> result =
          ShardRunner(*backend, comm, *model, *plan, sink, std::move(task)).run();
      ASSERT_OK(result);
      measured = result->value();
    });
    return measured;
  }

  /// Random ids are no text, so BF16 activations move results more than they do in a real job;
  /// `tolerance` is what distinguishes that from a wrong operation, relative.
  static void compare(const QuantOptions& options, double tolerance) {
    Store cpu;
    Store cuda;
    const EvalResult expected = run(false, options, cpu);
    const EvalResult actual = run(true, options, cuda);
    EXPECT_NEAR(actual.perplexity / expected.perplexity, 1.0, tolerance);
    ASSERT_EQ(cuda.layers.size(), cpu.layers.size());
    for (size_t layer = 0; layer < cpu.layers.size(); ++layer) {
      const std::vector<ModuleResult>& wanted = cpu.layers[layer].modules;
      const std::vector<ModuleResult>& got = cuda.layers[layer].modules;
      ASSERT_EQ(got.size(), wanted.size());
      for (size_t i = 0; i < wanted.size(); ++i) {
        EXPECT_EQ(got[i].name, wanted[i].name);
        EXPECT_NEAR(got[i].relative_error / wanted[i].relative_error, 1.0, tolerance)
            << got[i].name;
        EXPECT_NEAR(got[i].rtn_relative_error / wanted[i].rtn_relative_error, 1.0, tolerance)
            << got[i].name;
      }
    }
    Store again;
    run(true, options, again);
    EXPECT_EQ(again.tensors.size(), cuda.tensors.size());
    for (const auto& [name, tensor] : cuda.tensors) {
      EXPECT_EQ(again.tensors.at(name).bytes, tensor.bytes) << name << ": not the same bytes again";
    }
  }
};

TEST_F(CudaBackendTest, Nvfp4ComesOutAsOnTheCpu) {
  compare({}, 0.05);
}

TEST_F(CudaBackendTest, Mxfp4WithQuantizedActivationsComesOutAsOnTheCpu) {
  QuantOptions options;
  Result<QuantScheme> scheme = make_scheme(Format::kMxfp4, 0, DType::kBf16);
  ASSERT_OK(scheme);
  options.scheme = *scheme;
  options.rotation = 128;
  options.activations = Activations::kA4;
  compare(options, 0.15);
}

TEST_F(CudaBackendTest, Int4WithoutRotationByBlockComesOutAsOnTheCpu) {
  QuantOptions options;
  Result<QuantScheme> scheme = make_scheme(Format::kInt4, 32, DType::kBf16);
  ASSERT_OK(scheme);
  options.scheme = *scheme;
  options.method = Method::kGptq;
  options.rotation = 0;
  options.sequential = Sequential::kBlock;
  compare(options, 0.05);
}

TEST_F(CudaBackendTest, SaysWhatMemoryItMissed) {
  const std::unique_ptr<Backend> backend = make(true);
  const Result<Tensor> tensor = backend->allocate(DType::kF32, int64_t{1} << 22, int64_t{1} << 22);
  ASSERT_FALSE(tensor.ok());
  EXPECT_EQ(tensor.status().code(), Code::kResourceExhausted);
  EXPECT_EQ(tensor.status().details().count("bytes_needed"), 1U);
  EXPECT_EQ(tensor.status().details().count("bytes_free"), 1U);
  // And goes on.
  EXPECT_OK(backend->allocate(DType::kF32, 16, 16));
}

TEST_F(CudaBackendTest, AHessianThatIsNotFiniteIsRefused) {
  const std::unique_ptr<Backend> backend = make(true);
  std::vector<float> values(32 * 32, 1.0F);
  values[77] = std::numeric_limits<float>::quiet_NaN();
  Result<Tensor> hessian = backend->allocate(DType::kF32, 32, 32);
  ASSERT_OK(hessian);
  ASSERT_OK(backend->upload(values.data(), hessian->bytes(), *hessian));
  EXPECT_EQ(testing::factorize_alone(*backend, *hessian).status().reason(), "NOT_FINITE");
}

TEST_F(CudaBackendTest, AnIndefiniteHessianClimbsTheLadder) {
  const std::unique_ptr<Backend> backend = make(true);
  // Off the diagonal larger than on it: no damping up to 1 makes this definite.
  std::vector<float> values(32 * 32, 40.0F);
  for (size_t i = 0; i < 32; ++i) {
    values[i * 33] = 1.0F;
  }
  Result<Tensor> hessian = backend->allocate(DType::kF32, 32, 32);
  ASSERT_OK(hessian);
  ASSERT_OK(backend->upload(values.data(), hessian->bytes(), *hessian));
  const Result<Factor> factor = testing::factorize_alone(*backend, *hessian);
  ASSERT_OK(factor);
  EXPECT_EQ(factor->kind, FactorKind::kDiagonal);
  std::fill(values.begin(), values.end(), 0.0F);
  ASSERT_OK(backend->upload(values.data(), hessian->bytes(), *hessian));
  const Result<Factor> none = testing::factorize_alone(*backend, *hessian);
  ASSERT_OK(none);
  EXPECT_EQ(none->kind, FactorKind::kFailed);
}

}  // namespace
}  // namespace rotor::worker::cuda
