#include "worker/analyze/figures.h"

#include <algorithm>

namespace rotor::worker {

std::string_view to_string(StageFamily family) {
  switch (family) {
    case StageFamily::kQkv:
      return "qkv";
    case StageFamily::kOut:
      return "o";
    case StageFamily::kGateUp:
      return "gate_up";
    case StageFamily::kDown:
      break;
  }
  return "down";
}

StageFamily family_of(StageKind kind) {
  switch (kind) {
    case StageKind::kAttentionIn:
    case StageKind::kLatentIn:
    case StageKind::kLatentQuery:
    case StageKind::kLatentKeyValue:
    case StageKind::kDeltaIn:
      return StageFamily::kQkv;
    case StageKind::kAttentionOut:
      return StageFamily::kOut;
    case StageKind::kMlpIn:
    case StageKind::kExpertsIn:
      return StageFamily::kGateUp;
    case StageKind::kMlpOut:
    case StageKind::kSharedOut:
    case StageKind::kExpertsOut:
      break;
  }
  return StageFamily::kDown;
}

const FormatFigures* find_figures(const Figures& figures, size_t rotation, Format format) {
  const std::vector<FormatFigures>& formats = figures[rotation].formats;
  const auto found = std::find_if(formats.begin(), formats.end(),
                                  [&](const FormatFigures& one) { return one.format == format; });
  return found == formats.end() ? nullptr : &*found;
}

}  // namespace rotor::worker
