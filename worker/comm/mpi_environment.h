// MPI_Init and MPI_Finalize as an object, and the split of the world into worker groups.
#pragma once

#include <mpi.h>

#include <memory>
#include <optional>

#include "quant/base/status.h"
#include "worker/comm/communicator.h"
#include "worker/comm/rank_table.h"

namespace rotor::worker {

/// Exactly one a process, made at the start of main and destroyed at its end. Works without mpirun:
/// the world is then one rank.
class MpiEnvironment {
 public:
  MpiEnvironment();
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  int world_rank() const { return world_rank_; }
  int world_size() const { return world_size_; }
  /// Place of this rank among those on its host, and their number: for choosing a GPU and cores.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }

  /// The group of `group_size` consecutive ranks that this one belongs to; 0: the whole world. With
  /// `limits` its ranks watch over each other. Error: the world size is no multiple of it.
  Result<std::unique_ptr<Communicator>> make_group(
      int group_size, const std::optional<RankTable::Options>& limits = std::nullopt) const;

 private:
  int world_rank_ = 0;
  int world_size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
};

/// Collectives over host memory on `comm`, which it owns and frees; with `limits` the ranks watch
/// over each other (rank_monitor.h), and making it is collective.
std::unique_ptr<Communicator> make_mpi_communicator(
    MPI_Comm comm, const std::optional<RankTable::Options>& limits);

}  // namespace rotor::worker
