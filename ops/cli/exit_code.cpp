#include "ops/cli/exit_code.h"

#include <string_view>

namespace rotor::cli {
namespace {

struct ReasonRow {
  std::string_view reason;
  int exit_code;
};

constexpr ReasonRow kByReason[] = {
    {kReasonUsage, kExitUsage},
    {kReasonUnreachable, kExitUnreachable},
    {kReasonInterrupted, kExitInterrupted},
    {kReasonJobFailed, kExitFailed},
    {kReasonJobCancelled, kExitFailed},
    {kReasonNoProgress, kExitFailed},
    {kReasonMissingProgram, kExitConfiguration},
    {kReasonConfiguration, kExitConfiguration},
    {"BAD_TLS_FILES", kExitConfiguration},
    {"BAD_TOKEN_FILE", kExitConfiguration},
    {"TOKEN_IN_THE_CLEAR", kExitConfiguration},
    {kReasonAlreadyRunning, kExitUsage},
    {kReasonInvalidCheckpoint, kExitFailed},
};

}  // namespace

int exit_code(const Status& status) {
  for (const ReasonRow& row : kByReason) {
    if (status.reason() == row.reason) {
      return row.exit_code;
    }
  }
  return exit_code_of(status.code());
}

}  // namespace rotor::cli
