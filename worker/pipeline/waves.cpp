#include "worker/pipeline/waves.h"

#include <algorithm>

#include "model/plan.h"

namespace rotor::worker {

std::vector<Wave> cut_waves(int64_t experts, int64_t width, int64_t lanes) {
  int64_t sets = 3;  // of Hessians that sum_lanes may hold: log2(lanes) + 3
  for (int64_t span = 1; span < lanes; span *= 2) {
    ++sets;
  }
  const int64_t bytes = sets * width * width * int64_t{sizeof(float)};
  const int64_t most = std::clamp<int64_t>(kExpertHessianBytes / bytes, 1, experts);
  const int64_t waves = (experts + most - 1) / most;
  std::vector<Wave> cut;
  for (int64_t i = 0; i < waves; ++i) {
    cut.push_back(share(experts, waves, i));
  }
  return cut;
}

}  // namespace rotor::worker
