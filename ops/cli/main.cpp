#include <csignal>
#include <iostream>

#include "ops/cli/app.h"

int main(int argc, char** argv) {
  // A reader that goes away (`rotor jobs | head`) must not look like a crash.
  std::signal(SIGPIPE, SIG_IGN);
  return rotor::cli::run({argv + 1, argv + argc}, std::cout, std::cerr,
                         rotor::cli::detect_terminal());
}
