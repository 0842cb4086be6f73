// The kind of machine that a digest holds for: what decides the bytes of a result besides the
// source. Thread-safety: plain functions.
#pragma once

#include <string>

#include "worker/backend/backend.h"

namespace rotor::worker::digests {

/// "OpenBLAS 0.3.21 Haswell, GNU 12 Release -march=x86-64-v3": the kernels that OpenBLAS has chosen
/// for this CPU, or was told to take by OPENBLAS_CORETYPE, and what compiled the rest. Of a GPU
/// "cuda sm_90 NVIDIA H100 80GB HBM3, CUDA 12.8".
std::string kind_of(const DeviceInfo& device);

}  // namespace rotor::worker::digests
