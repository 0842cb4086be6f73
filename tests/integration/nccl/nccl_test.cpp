// The group's collectives between GPUs, one rank a GPU, under mpirun:
//   rotor_nccl_test operations   every operation on tensors, against what each rank must hold then
//   rotor_nccl_test large        the same beyond 2^31 bytes
//   rotor_nccl_test hang         the last rank stays away from a broadcast; the others must end
//   with
//                                75 within ROTOR_COLLECTIVE_TIMEOUT_SECONDS, naming it
// Ends with 77 where there are not as many GPUs as ranks: the tests then did not run.
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "quant/base/exit_codes.h"
#include "worker/comm/mpi_environment.h"
#include "worker/program/device.h"

namespace rotor::worker {
namespace {

constexpr int kDidNotRun = 77;
constexpr int64_t kWidth = 4096;

/// Byte `at` of a row that belongs to `rank`.
uint8_t byte_of(int rank, int64_t row, int64_t at) {
  return static_cast<uint8_t>(rank * 101 + row * 7 + at * 3 + 1);
}

class Test {
 public:
  Test(Backend& backend, Communicator& comm) : backend_(backend), comm_(comm) {}

  /// `owner[r]`: the rank whose bytes row r is to hold; 0xEE where it is no rank's.
  Status fill(const Tensor& tensor, const std::vector<int>& owner) {
    std::vector<uint8_t> bytes(tensor.bytes());
    for (size_t row = 0; row < owner.size(); ++row) {
      for (size_t at = 0; at < kWidth; ++at) {
        bytes[row * kWidth + at] = expected(owner[row], row, at);
      }
    }
    return backend_.upload(bytes.data(), bytes.size(), tensor);
  }

  Status check(const Tensor& tensor, const std::vector<int>& owner, const std::string& what) {
    std::vector<uint8_t> bytes(tensor.bytes());
    ROTOR_RETURN_IF_ERROR(backend_.download(tensor, bytes.data(), bytes.size()));
    for (size_t row = 0; row < owner.size(); ++row) {
      for (size_t at = 0; at < kWidth; ++at) {
        if (bytes[row * kWidth + at] != expected(owner[row], row, at)) {
          return internal_error(what + ": rank " + std::to_string(comm_.rank()) +
                                " has a wrong byte at row " + std::to_string(row) + ", column " +
                                std::to_string(at));
        }
      }
    }
    return {};
  }

  Status operations(int64_t rows) {
    const auto ranks = static_cast<int64_t>(comm_.size());
    const auto count = static_cast<size_t>(rows);
    ROTOR_ASSIGN_OR_RETURN(const Tensor tensor, backend_.allocate(DType::kU8, rows, kWidth));
    const int last = comm_.size() - 1;

    ROTOR_RETURN_IF_ERROR(fill(tensor, std::vector<int>(count, comm_.rank())));
    ROTOR_RETURN_IF_ERROR(comm_.broadcast(tensor, last));
    ROTOR_RETURN_IF_ERROR(comm_.agree(check(tensor, std::vector<int>(count, last), "broadcast")));

    // Round the ring, all at once.
    const auto size = comm_.size();
    const int next = (comm_.rank() + 1) % size;
    const int previous = (comm_.rank() + size - 1) % size;
    ROTOR_ASSIGN_OR_RETURN(const Tensor other, backend_.allocate(DType::kU8, rows, kWidth));
    ROTOR_RETURN_IF_ERROR(fill(tensor, std::vector<int>(count, comm_.rank())));
    if (size > 1) {
      ROTOR_RETURN_IF_ERROR(comm_.exchange({{tensor, next}}, {{other, previous}}));
      ROTOR_RETURN_IF_ERROR(
          comm_.agree(check(other, std::vector<int>(count, previous), "exchange")));
    }

    // Uneven shares, the first rank's empty.
    std::vector<int64_t> begin = {0};
    std::vector<int> whole;
    std::vector<int> mine;
    for (int rank = 0; rank < comm_.size(); ++rank) {
      begin.push_back(rank == last ? rows : rows * rank / (2 * ranks));
      for (int64_t row = begin[static_cast<size_t>(rank)]; row < begin.back(); ++row) {
        whole.push_back(rank);
        mine.push_back(rank == comm_.rank() ? rank : -1);
      }
    }
    ROTOR_RETURN_IF_ERROR(fill(tensor, mine));
    ROTOR_RETURN_IF_ERROR(comm_.all_gather_rows(tensor, begin));
    return comm_.agree(check(tensor, whole, "all_gather_rows"));
  }

  Status hang() {
    ROTOR_ASSIGN_OR_RETURN(const Tensor tensor, backend_.allocate(DType::kU8, 64, kWidth));
    ROTOR_RETURN_IF_ERROR(operations(64));
    if (comm_.rank() == comm_.size() - 1) {
      sleep(600);  // mpirun ends it
      return internal_error("nobody ended the gang");
    }
    ROTOR_RETURN_IF_ERROR(comm_.broadcast(tensor, 0));
    return backend_.synchronize();
  }

 private:
  static uint8_t expected(int owner, size_t row, size_t at) {
    return owner < 0 ? 0xEE : byte_of(owner, static_cast<int64_t>(row), static_cast<int64_t>(at));
  }

  Backend& backend_;
  Communicator& comm_;
};

int main(const std::string& mode) {
  const MpiEnvironment mpi;
  Result<RankSetup> rank = set_up_rank(mpi, {.device = "cuda", .threads = 1}, 0);
  const std::string reason = rank.status().reason();
  if (reason == "CUDA_NO_DEVICE" || reason == "GPU_SHARED") {
    std::printf("did not run: %s\n", rank.status().to_string().c_str());
    return kDidNotRun;
  }
  Status status = rank.status();
  if (status.ok()) {
    Test test(*rank->backend, *rank->group);
    if (mode == "operations") {
      for (const int64_t rows : {1, 2, 3, 64, 1000}) {
        status = status.ok() ? test.operations(rows) : status;
      }
    } else if (mode == "large") {
      status = test.operations((int64_t{9} << 28) / kWidth);  // 2.25 GiB
    } else {
      status = test.hang();
    }
  }
  std::printf("rank %d: %s\n", mpi.world_rank(), status.to_string().c_str());
  return status.ok() ? kExitDone : kExitFailed;
}

}  // namespace
}  // namespace rotor::worker

int main(int argc, char** argv) {
  return rotor::worker::main(argc > 1 ? argv[1] : "operations");
}
