// `rotor-coordinator make-token`: makes a token and the line of the --tokens file that knows it.
#pragma once

namespace rotor::coordinator {

/// Prints the token, and nothing else, on stdout; it is kept nowhere. Returns the exit code.
int make_token(int argc, const char* const* argv);

}  // namespace rotor::coordinator
