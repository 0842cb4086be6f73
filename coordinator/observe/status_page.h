// The status page's HTTP server: one page, read only.
//
// Owns: a server with two threads. Thread-safety: start() and the destructor from one thread.
// Errors: FAILED_PRECONDITION, LISTEN_FAILED. Cost: a view is a page of the store's jobs and, of
// those that have ended, their layers.
#pragma once

#include <memory>
#include <string>

#include "coordinator/jobs/core.h"

namespace rotor::coordinator {

class StatusPage {
 public:
  /// `core` must outlive it.
  static Result<std::unique_ptr<StatusPage>> start(Core& core, const Clock& clock,
                                                   const std::string& address);
  ~StatusPage();
  int port() const;

 private:
  StatusPage();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rotor::coordinator
