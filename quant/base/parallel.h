// How the library uses more than one core without owning a thread: it cuts its work into pieces
// that depend only on the shapes, and hands them to a Parallel. Since a piece never depends on who
// runs it, results are the same bits for any number of threads.
//
// Thread-safety: for_each may be called from one thread at a time per object.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace rotor {

class Parallel {
 public:
  virtual ~Parallel() = default;
  /// Calls piece(i) once for every i in [0, pieces), in any order, and returns when all are done.
  /// Pieces must not throw and must not call for_each of the same object.
  virtual void for_each(int64_t pieces, const std::function<void(int64_t)>& piece) = 0;
  /// How many pieces run at the same time at most; >= 1. For sizing scratch memory only: never let
  /// the way work is cut depend on it.
  virtual int threads() const = 0;
};

/// Runs the pieces one after another on the caller's thread.
class SerialParallel final : public Parallel {
 public:
  void for_each(int64_t pieces, const std::function<void(int64_t)>& piece) override {
    for (int64_t i = 0; i < pieces; ++i) {
      piece(i);
    }
  }
  int threads() const override { return 1; }
};

/// A pool of `threads` threads, the caller's among them. Pieces are taken from a shared counter.
std::unique_ptr<Parallel> make_thread_pool(int threads);

}  // namespace rotor
