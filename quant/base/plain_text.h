// Text that came from elsewhere, on its way to a terminal or a log: nothing in it may steer the one
// or pass for a line of the other. Thread-safety: plain functions.
#pragma once

#include <string>
#include <string_view>

namespace rotor {

/// Whether it holds no control character: of C0, DEL, or of C1 as UTF-8 writes it.
bool is_plain_text(std::string_view text);

/// `text` with every control character as \xNN; all else stays as it is, and so do those in
/// `allowed`.
std::string without_controls(std::string_view text, std::string_view allowed = "");

}  // namespace rotor
