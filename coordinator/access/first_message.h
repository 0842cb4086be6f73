// A stream holds a thread from its first byte on, so its first message must come soon: streams that
// stay silent are cancelled.
//
// Thread-safety: from any thread. Cost: memory for each stream that has not spoken yet.
#pragma once

#include <grpcpp/server_context.h>

#include <chrono>
#include <map>
#include <mutex>

namespace rotor::coordinator {

class FirstMessageDeadlines {
 public:
  static constexpr std::chrono::seconds kPatience{5};

  /// From the call's begin to spoken(), or to its end.
  class Wait {
   public:
    Wait(FirstMessageDeadlines* deadlines, grpc::ServerContext* context);
    ~Wait() { spoken(); }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    void spoken();

   private:
    FirstMessageDeadlines* deadlines_;
    grpc::ServerContext* context_;
  };

  /// Cancels the streams whose time is over. To be called now and then.
  void cancel_silent();

 private:
  std::mutex mutex_;
  std::map<grpc::ServerContext*, std::chrono::steady_clock::time_point> waiting_;
};

}  // namespace rotor::coordinator
