// A stretch of text on its way from the input to the model.
#pragma once

#include <functional>
#include <string_view>

#include "quant/base/status.h"

namespace rotor {

struct Piece {
  std::string_view text;
  /// Whether its first character is the one that the whole input begins with, if in another form.
  bool at_start = false;

  /// A part of this piece: `part` must be a view into text.
  Piece part(std::string_view part) const { return {part, at_start && part.data() == text.data()}; }
};

/// Takes a piece; an error ends the work and is handed on.
using PieceSink = std::function<Status(Piece piece)>;

}  // namespace rotor
