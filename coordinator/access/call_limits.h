// How many calls of each kind may be under way, in all and for one caller, and how many it may make
// a second: a crowd of strangers must leave room for the others. Each call holds a thread.
//
// Thread-safety: from any thread. Errors: RESOURCE_EXHAUSTED, reason TOO_MANY_CALLS, which workers
// and command line take for a reason to try again.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "quant/base/status.h"

namespace rotor::coordinator {

enum class CallKind { kCall, kWatch, kKnock, kGroup, kTransfer };

class CallLimits {
 public:
  /// Threads that the largest allowed crowd needs.
  static constexpr int kMostThreads = 4800;

  /// Held while a call lasts.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(CallLimits* limits, CallKind kind, std::string caller)
        : limits_(limits), kind_(kind), caller_(std::move(caller)) {}
    Ticket(Ticket&& other) noexcept;
    Ticket& operator=(Ticket&& other) noexcept;
    ~Ticket();

   private:
    CallLimits* limits_ = nullptr;
    CallKind kind_ = CallKind::kCall;
    std::string caller_;
  };

  /// `caller`: the name of a token, or an address.
  Result<Ticket> enter(CallKind kind, const std::string& caller);

 private:
  using Time = std::chrono::steady_clock::time_point;
  using Counts = std::array<int, 5>;
  struct Caller {
    Counts under_way{};
    double credit = 0;  // calls that it may make at once
    Time seen;
  };

  void leave(CallKind kind, const std::string& caller);
  void forget_idle(Time now);

  std::mutex mutex_;
  Counts under_way_{};
  std::map<std::string, Caller> callers_;
};

}  // namespace rotor::coordinator
