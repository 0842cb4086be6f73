#include "worker/bench/kernel_timer.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "kernels/cuda_status.h"
#include "quant/format/bf16.h"

namespace rotor::worker::bench {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 23;
constexpr int kReplays = 7;
constexpr std::chrono::milliseconds kWarmUp(40);  // an idle GPU's clock rises meanwhile
constexpr int kLeastCalls = 20;

struct DestroyGraph {
  void operator()(cudaGraphExec_t graph) const { (void)cudaGraphExecDestroy(graph); }
};
using Graph = std::unique_ptr<CUgraphExec_st, DestroyGraph>;

struct DestroyEvent {
  void operator()(cudaEvent_t event) const { (void)cudaEventDestroy(event); }
};
using Event = std::unique_ptr<CUevent_st, DestroyEvent>;

Result<Event> make_event() {
  cudaEvent_t event = nullptr;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaEventCreate(&event)));
  return Event(event);
}

Result<Graph> capture(cudaStream_t stream, int calls, const std::function<Status(int)>& enqueue) {
  ROTOR_RETURN_IF_ERROR(
      ROTOR_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal)));
  Status status;
  for (int i = 0; i < calls && status.ok(); ++i) {
    status = enqueue(i);
  }
  cudaGraph_t graph = nullptr;
  const Status ended = ROTOR_CUDA(cudaStreamEndCapture(stream, &graph));
  ROTOR_RETURN_IF_ERROR(status);
  ROTOR_RETURN_IF_ERROR(ended);
  cudaGraphExec_t executable = nullptr;
  const Status made = ROTOR_CUDA(cudaGraphInstantiate(&executable, graph, 0));
  (void)cudaGraphDestroy(graph);
  ROTOR_RETURN_IF_ERROR(made);
  return Graph(executable);
}

}  // namespace

Result<KernelTimer> KernelTimer::create() {
  ROTOR_ASSIGN_OR_RETURN(kernels::Stream stream, kernels::Stream::create());
  int device = 0;
  int cache = 0;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaGetDevice(&device)));
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaDeviceGetAttribute(&cache, cudaDevAttrL2CacheSize, device)));
  return KernelTimer(std::move(stream), cache);
}

Result<std::string> KernelTimer::device_name() const {
  int device = 0;
  cudaDeviceProp properties{};
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaGetDevice(&device)));
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaGetDeviceProperties(&properties, device)));
  return std::string(properties.name);
}

int KernelTimer::sets_of(int64_t bytes) const {
  constexpr int64_t kMostSets = 64;
  const int64_t sets = 4 * cache_bytes_ / std::max<int64_t>(bytes, 1) + 1;
  return static_cast<int>(std::clamp<int64_t>(sets, 2, kMostSets));
}

Result<double> KernelTimer::seconds(int sets, const std::function<Status(int)>& enqueue) {
  // Whatever a first call prepares (algorithms, attributes, memory) is outside the graph.
  ROTOR_RETURN_IF_ERROR(enqueue(0));
  ROTOR_RETURN_IF_ERROR(stream_.synchronize());
  const int calls = (kLeastCalls + sets - 1) / sets * sets;
  ROTOR_ASSIGN_OR_RETURN(const Graph graph, capture(stream(), calls, enqueue));
  return median(calls, [&] { return ROTOR_CUDA(cudaGraphLaunch(graph.get(), stream())); });
}

Result<double> KernelTimer::median(int calls, const std::function<Status()>& enqueue) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point warm = Clock::now() + kWarmUp;
  while (Clock::now() < warm) {
    ROTOR_RETURN_IF_ERROR(enqueue());
    ROTOR_RETURN_IF_ERROR(stream_.synchronize());
  }
  ROTOR_ASSIGN_OR_RETURN(const Event begin, make_event());
  ROTOR_ASSIGN_OR_RETURN(const Event end, make_event());
  std::array<double, kReplays> times{};
  for (double& time : times) {
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaEventRecord(begin.get(), stream())));
    ROTOR_RETURN_IF_ERROR(enqueue());
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaEventRecord(end.get(), stream())));
    ROTOR_RETURN_IF_ERROR(stream_.synchronize());
    float milliseconds = 0.0F;
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaEventElapsedTime(&milliseconds, begin.get(), end.get())));
    time = double{milliseconds} * 1e-3 / calls;
  }
  std::nth_element(times.begin(), times.begin() + kReplays / 2, times.end());
  return times[kReplays / 2];
}

Result<double> KernelTimer::copy_rate() {
  constexpr int64_t kBytes = int64_t{1} << 30;
  ROTOR_ASSIGN_OR_RETURN(const kernels::Scratch from, random_bytes(kBytes, 1));
  ROTOR_ASSIGN_OR_RETURN(const kernels::Scratch to, random_bytes(kBytes, 2));
  constexpr int kCopies = 4;
  // Not through a graph, whose copies are made another, slower way.
  ROTOR_ASSIGN_OR_RETURN(
      const double time, median(kCopies, [&]() -> Status {
        for (int i = 0; i < kCopies; ++i) {
          ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(
              cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice, stream())));
        }
        return {};
      }));
  return 2.0 * static_cast<double>(kBytes) / time;
}

Result<kernels::Scratch> KernelTimer::repeated(int64_t bytes, const void* piece,
                                               int64_t piece_bytes) {
  ROTOR_ASSIGN_OR_RETURN(kernels::Scratch memory, kernels::Scratch::allocate(bytes, stream()));
  for (int64_t at = 0; at < bytes; at += piece_bytes) {
    const auto length = static_cast<size_t>(std::min(piece_bytes, bytes - at));
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(
        cudaMemcpyAsync(memory.as<char>() + at, piece, length, cudaMemcpyHostToDevice, stream())));
  }
  ROTOR_RETURN_IF_ERROR(stream_.synchronize());
  return memory;
}

Result<kernels::Scratch> KernelTimer::random_bf16(int64_t bytes, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> piece(static_cast<size_t>(std::min(kPieceBytes, bytes) / 2));
  for (uint16_t& value : piece) {
    value = f32_to_bf16(normal(generator));
  }
  return repeated(bytes, piece.data(), static_cast<int64_t>(piece.size()) * 2);
}

Result<kernels::Scratch> KernelTimer::random_bytes(int64_t bytes, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::vector<uint64_t> piece(static_cast<size_t>((std::min(kPieceBytes, bytes) + 7) / 8));
  for (uint64_t& value : piece) {
    value = generator();
  }
  return repeated(bytes, piece.data(), static_cast<int64_t>(piece.size()) * 8);
}

}  // namespace rotor::worker::bench
