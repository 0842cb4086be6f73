// Exit codes of the program, as the command line's contract has them.
#pragma once

namespace rotor::coordinator {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitConfiguration = 78;

}  // namespace rotor::coordinator
