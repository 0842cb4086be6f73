// A plan as the rules of engines see it (quant/engines).
//
// Thread-safety: a pure function.
#pragma once

#include "model/plan.h"
#include "quant/engines/served_checkpoint.h"

namespace rotor {

ServedCheckpoint served_checkpoint(const ModelPlan& plan);

}  // namespace rotor
