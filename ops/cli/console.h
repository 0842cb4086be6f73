// Where a command writes: results on stdout, everything else on stderr. In the JSON formats stdout
// carries nothing but JSON, errors included.
//
// Thread-safety: one thread. Does not own its streams. Never fails: what a closed pipe drops is
// lost.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <string_view>

#include "quant/base/status.h"

namespace rotor::cli {

enum class OutputFormat {
  kHuman,
  kJson,       // one object
  kJsonLines,  // `watch`, `quantize`: an object for each event, then the result
};

struct Terminal {
  bool progress_bar = false;  // stderr is a terminal that can move its cursor
  bool color = false;         // stdout is a terminal and NO_COLOR is not set
  int width = 80;             // columns
};

/// Looks at the process's own stdout and stderr and at NO_COLOR, TERM and COLUMNS.
Terminal detect_terminal();

class Console {
 public:
  Console(std::ostream& out, std::ostream& err, OutputFormat format, Terminal terminal)
      : out_(out), err_(err), format_(format), terminal_(terminal) {}

  OutputFormat format() const { return format_; }
  bool json() const { return format_ != OutputFormat::kHuman; }
  const Terminal& terminal() const { return terminal_; }

  /// For people: only to be used when !json().
  std::ostream& out() { return out_; }
  std::ostream& err() { return err_; }

  /// The one JSON object of a command, or one of its JSON lines.
  void write_json(const nlohmann::ordered_json& object);
  /// A line on stderr; ends a progress bar's line first.
  void note(std::string_view line);
  /// Prints the error and returns the exit code that it stands for.
  int fail(const Status& status);

  /// `text` is drawn over the last bar; an empty one clears it. Without a terminal: nothing.
  void draw_bar(std::string_view text);

  std::string bold(std::string_view text) const;
  std::string red(std::string_view text) const;

 private:
  std::ostream& out_;
  std::ostream& err_;
  OutputFormat format_;
  Terminal terminal_;
  bool bar_shown_ = false;
};

}  // namespace rotor::cli
