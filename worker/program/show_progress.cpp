#include "worker/program/show_progress.h"

#include <unistd.h>

#include <cstdio>

namespace rotor::worker {

void show_progress(int64_t done, int64_t total) {
  if (isatty(STDERR_FILENO) == 1) {
    std::fprintf(stderr, "\rlayer %lld of %lld%s", static_cast<long long>(done),
                 static_cast<long long>(total), done == total ? "\n" : "");
  }
}

}  // namespace rotor::worker
