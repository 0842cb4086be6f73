// The status page's HTTP server: one page, read only.
//
// Owns: a server with two threads. Thread-safety: start() and the destructor from one thread.
// Errors: FAILED_PRECONDITION, LISTEN_FAILED; a view that fails is answered with 503, and logged.
// Cost: a view is a page of the store's jobs; the reports of one that has ended are read once.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "coordinator/jobs/core.h"
#include "coordinator/observe/status_html.h"

namespace rotor::coordinator {

/// The newest jobs, and all workers. Errors: the store's.
Result<StatusView> look_at(Core& core, const Clock& clock);

class StatusPage {
 public:
  /// Called for each view, by the server's threads.
  using Look = std::function<Result<StatusView>()>;
  static Result<std::unique_ptr<StatusPage>> start(Look look, const std::string& address);
  ~StatusPage();
  int port() const;

 private:
  StatusPage();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rotor::coordinator
