#include "ops/cli/signals.h"

namespace rotor::cli {
namespace {

volatile std::sig_atomic_t signal_count = 0;

void on_signal(int /*number*/) {
  signal_count = signal_count + 1;
}

}  // namespace

StopSignals::StopSignals() {
  signal_count = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &action, &before_[i]);
  }
}

StopSignals::~StopSignals() {
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &before_[i], nullptr);
  }
}

int StopSignals::count() const {
  return signal_count;
}

}  // namespace rotor::cli
