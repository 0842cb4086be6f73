#include "worker/comm/progress_board.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace rotor::worker {

Result<std::unique_ptr<ProgressBoard>> ProgressBoard::create(const std::string& name, int rank,
                                                             int size) {
  const std::string path = "/" + name;
  const size_t bytes = static_cast<size_t>(size) * sizeof(Slot);
  const int fd = shm_open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return errno_error(errno, "open shared memory", path);
  }
  // New bytes are zero, and a rank that finds the size right changes nothing.
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    const Status status = errno_error(errno, "size shared memory", path);
    close(fd);
    return status;
  }
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  const int error = errno;
  close(fd);
  if (memory == MAP_FAILED) {
    return errno_error(error, "map shared memory", path);
  }
  std::unique_ptr<ProgressBoard> board(
      new ProgressBoard(path, static_cast<Slot*>(memory), rank, size));
  board->enter(0);
  return board;
}

ProgressBoard::~ProgressBoard() {
  munmap(static_cast<void*>(slots_), static_cast<size_t>(size_) * sizeof(Slot));
}

void ProgressBoard::remove_name() const {
  shm_unlink(name_.c_str());  // another rank of this host may have been first
}

void ProgressBoard::enter(uint64_t number) {
  slots_[rank_].store(number + 1, std::memory_order_relaxed);
}

std::vector<int> ProgressBoard::behind(uint64_t number) const {
  std::vector<int> ranks;
  for (int rank = 0; rank < size_; ++rank) {
    const uint64_t value = slots_[rank].load(std::memory_order_relaxed);
    if (value != 0 && value <= number) {
      ranks.push_back(rank);
    }
  }
  return ranks;
}

}  // namespace rotor::worker
