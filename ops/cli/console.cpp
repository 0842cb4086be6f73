#include "ops/cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "ops/cli/exit_code.h"
#include "quant/base/plain_text.h"
#include "quant/base/status_json.h"

namespace rotor::cli {
namespace {

constexpr char kClearLine[] = "\r\x1b[K";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

/// At most `columns` code points of UTF-8 text; an escape sequence must not be in it.
std::string_view truncated(std::string_view text, int columns) {
  int count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool starts_character = (static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U;
    if (starts_character && count++ == columns) {
      return text.substr(0, i);
    }
  }
  return text;
}

}  // namespace

Terminal detect_terminal() {
  Terminal terminal;
  const std::string term = environment("TERM");
  const bool capable = !term.empty() && term != "dumb";
  terminal.progress_bar = capable && isatty(STDERR_FILENO) == 1;
  terminal.color = capable && isatty(STDOUT_FILENO) == 1 && environment("NO_COLOR").empty();
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.width = size.ws_col;
  } else if (const int columns = std::atoi(environment("COLUMNS").c_str()); columns > 0) {
    terminal.width = columns;
  }
  return terminal;
}

void Console::write_json(const nlohmann::ordered_json& object) {
  // Paths need not be UTF-8: replacing what is not keeps the output JSON.
  out_ << object.dump(format_ == OutputFormat::kJsonLines ? -1 : 2, ' ', false,
                      nlohmann::ordered_json::error_handler_t::replace)
       << std::endl;
}

void Console::note(std::string_view line) {
  draw_bar("");
  err_ << without_controls(line) << std::endl;
}

int Console::fail(const Status& status) {
  draw_bar("");
  const int code = exit_code(status);
  if (json()) {
    write_json({{"error", error_json(status)}});
    return code;
  }
  err_ << red("error:") << " " << without_controls(status.message(), "\n") << "\n";
  for (const auto& [key, value] : status.details()) {
    // A value of several lines (the end of a log) stands below its key.
    err_ << "  " << key << (value.find('\n') == std::string::npos ? ": " : ":\n")
         << without_controls(value, "\n\t") << "\n";
  }
  err_ << std::flush;
  return code;
}

void Console::draw_bar(std::string_view text) {
  if (!terminal_.progress_bar || (text.empty() && !bar_shown_)) {
    return;
  }
  const std::string plain = without_controls(text);
  err_ << kClearLine << truncated(plain, terminal_.width - 1) << std::flush;
  bar_shown_ = !text.empty();
}

std::string Console::bold(std::string_view text) const {
  return terminal_.color ? "\x1b[1m" + std::string(text) + "\x1b[0m" : std::string(text);
}

std::string Console::red(std::string_view text) const {
  // Errors go to stderr: colour only where that is a terminal too.
  return terminal_.color && terminal_.progress_bar ? "\x1b[31m" + std::string(text) + "\x1b[0m"
                                                   : std::string(text);
}

}  // namespace rotor::cli
