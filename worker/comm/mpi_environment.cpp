#include "worker/comm/mpi_environment.h"

#include <string>

namespace rotor::worker {

MpiEnvironment::MpiEnvironment() {
  int provided = 0;
  // Besides the main thread, that of the rank monitor calls MPI; those of uploads never do.
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &world_size_);
  MPI_Comm local = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, world_rank_, MPI_INFO_NULL, &local);
  MPI_Comm_rank(local, &local_rank_);
  MPI_Comm_size(local, &local_size_);
  MPI_Comm_free(&local);
}

MpiEnvironment::~MpiEnvironment() {
  MPI_Finalize();
}

Result<std::unique_ptr<Communicator>> MpiEnvironment::make_group(
    int group_size, const std::optional<RankTable::Options>& limits) const {
  if (group_size == 0) {
    group_size = world_size_;
  }
  if (group_size < 0 || world_size_ % group_size != 0) {
    return invalid_argument("--group-size " + std::to_string(group_size) + " does not divide the " +
                            std::to_string(world_size_) +
                            " ranks that mpirun started: choose a divisor, or start more ranks")
        .with_reason("BAD_GROUP_SIZE");
  }
  MPI_Comm group = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, world_rank_ / group_size, world_rank_, &group);
  return make_mpi_communicator(group, limits);
}

}  // namespace rotor::worker
