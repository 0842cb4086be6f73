// `rotor` from its arguments to its exit code, apart from main, so that tests can run it.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "ops/cli/console.h"

namespace rotor::cli {

/// `arguments`: without the program's name. Returns one of the codes of exit_code.h.
int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
        const Terminal& terminal);

}  // namespace rotor::cli
