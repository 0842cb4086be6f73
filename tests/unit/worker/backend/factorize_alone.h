// Factorizes as a rank that is alone in its group.
#pragma once

#include "worker/backend/backend.h"
#include "worker/comm/solo_communicator.h"

namespace rotor::worker::testing {

inline Result<Factor> factorize_alone(Backend& backend, const Tensor& hessian) {
  SoloCommunicator alone;
  return backend.factorize(hessian, {}, alone, 0);
}

}  // namespace rotor::worker::testing
