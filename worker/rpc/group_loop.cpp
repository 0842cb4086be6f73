#include "worker/rpc/group_loop.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <thread>
#include <utility>

#include "proto/convert.h"
#include "proto/errors.h"
#include "quant/base/exit_codes.h"
#include "worker/rpc/channel.h"
#include "worker/rpc/job_sink.h"
#include "worker/rpc/lease_runner.h"
#include "worker/rpc/reports.h"

namespace rotor::worker {
namespace {

using namespace std::chrono_literals;

constexpr auto kAttachTimeout = 5s;
constexpr auto kRetry = 500ms;
constexpr auto kPoll = 200ms;

/// What the first rank tells the others: an exit code, or a lease to run.
struct Command {
  int exit_code = -1;
  v1::Lease lease;

  std::string serialize() const {
    return exit_code >= 0 ? "exit " + std::to_string(exit_code)
                          : "lease" + lease.SerializeAsString();
  }
  static Command parse(const std::string& text) {
    Command command;
    if (text.starts_with("exit ")) {
      command.exit_code = std::stoi(text.substr(5));
    } else {
      command.lease.ParseFromString(text.substr(5));
    }
    return command;
  }
};

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

v1::Register registration(const Backend& backend, int ranks) {
  const DeviceInfo device = backend.info();
  v1::Register message;
  message.set_host(host_name());
  // A process id comes back after a reboot or in another container of the same name.
  message.set_group_id(message.host() + "-" + std::to_string(getpid()) + "-" +
                       std::to_string(std::random_device()()));
  message.set_ranks(ranks);
  message.set_device(device.name);
  message.set_memory_bytes(device.memory_bytes);
  message.set_version(ROTOR_VERSION);
  message.set_algorithm_version(kAlgorithmVersion);
  return message;
}

/// UNIMPLEMENTED: this address serves no workers, they have a listener of their own.
bool is_refusal(const Status& status) {
  return status.code() == Code::kUnauthenticated || status.code() == Code::kPermissionDenied ||
         status.code() == Code::kUnimplemented;
}

/// The first rank's side.
class Leader {
 public:
  Leader(Backend& backend, Communicator& comm, const GroupOptions& options, Drain& drain,
         std::shared_ptr<grpc::Channel> channel)
      : options_(options),
        comm_(comm),
        drain_(drain),
        channel_(std::move(channel)),
        registration_(registration(backend, comm.size())) {}

  AttachClient* client() { return client_.get(); }

  /// Waits for something to do.
  Command next() {
    auto last_contact = std::chrono::steady_clock::now();
    while (true) {
      if (drain_.requested()) {
        tell_draining();
        return {kExitInterrupted, {}};
      }
      if (client_ == nullptr) {
        const Status status = attach();
        if (status.code() == Code::kFailedPrecondition || (is_refusal(status) && !attached_)) {
          spdlog::error("{}", status.to_string());
          return {kExitConfiguration, {}};
        }
        if (!status.ok()) {
          if (status.message() != last_refusal_) {
            spdlog::warn("{}; trying again", status.to_string());
            last_refusal_ = status.message();
          }
          const auto away = std::chrono::steady_clock::now() - last_contact;
          if (options_.reconnect_seconds > 0 &&
              away > std::chrono::seconds(options_.reconnect_seconds)) {
            spdlog::error("coordinator {} is out of reach: {}", options_.coordinator.address,
                          status.message());
            return {kExitUnreachable, {}};
          }
          std::this_thread::sleep_for(kRetry);
          continue;
        }
      }
      last_contact = std::chrono::steady_clock::now();
      Result<std::optional<v1::CoordinatorMessage>> message = client_->next(kPoll);
      if (!message.ok()) {
        spdlog::warn("{}; attaching again", message.status().message());
        client_.reset();
        continue;
      }
      if (!message->has_value()) {
        continue;
      }
      if ((*message)->has_shutdown()) {
        spdlog::info("the coordinator ends the group: {}", (*message)->shutdown().reason());
        return {kExitDone, {}};
      }
      if ((*message)->has_lease()) {
        return {-1, (*message)->lease()};
      }
    }
  }

  void report(const v1::Lease& lease, const Result<std::optional<EvalResult>>& result) {
    const Status status = result.status();
    client_->end_lease();
    if (status.reason() == kReasonDraining) {
      drain_.request();  // whichever rank the signal came to
    }
    if (status.ok() || status.reason() == kReasonPaused) {
      v1::WorkerMessage message;
      v1::ShardFinished* finished = message.mutable_finished();
      finished->set_job(lease.job());
      finished->set_fence(lease.fence());
      if (status.ok() && result->has_value()) {
        // The store keeps no NaN; a model whose loss is none is as bad as can be.
        const double perplexity = (*result)->perplexity;
        finished->set_perplexity(std::isnan(perplexity) ? std::numeric_limits<double>::infinity()
                                                        : perplexity);
        finished->set_perplexity_tokens((*result)->tokens);
      }
      send(message);
      return;
    }
    const bool gone = status.reason() == "LEASE_LOST" || status.reason() == "STALE_FENCE" ||
                      status.code() == Code::kUnavailable || status.code() == Code::kCancelled ||
                      status.code() == Code::kAborted;
    spdlog::log(gone ? spdlog::level::warn : spdlog::level::err, "lease {} of {}: {}",
                lease.fence(), lease.job(), status.to_string());
    if (gone) {
      // Whoever holds the lease now starts from the committed layers; a fresh stream makes sure
      // that the coordinator does not count on this group's old one.
      if (!drain_.requested()) {
        client_.reset();
      }
      return;
    }
    v1::WorkerMessage message;
    v1::ShardFailed* failed = message.mutable_failed();
    failed->set_job(lease.job());
    failed->set_fence(lease.fence());
    *failed->mutable_cause() = to_cause(status);
    send(message);
  }

 private:
  void send(const v1::WorkerMessage& message) {
    if (!client_->send(message).ok()) {
      client_.reset();  // the coordinator leases the shard again, and finds its layers committed
    }
  }

  Status attach() {
    Result<std::unique_ptr<AttachClient>> attached = AttachClient::attach(
        channel_, registration_, kAttachTimeout, [this] { return to_states(comm_.ranks()); });
    ROTOR_RETURN_IF_ERROR(attached.status());
    client_ = std::move(attached).value();
    attached_ = true;
    last_refusal_.clear();
    spdlog::info("attached to {} with {} ranks", options_.coordinator.address,
                 registration_.ranks());
    return {};
  }

  void tell_draining() {
    if (client_ != nullptr) {
      v1::WorkerMessage message;
      message.mutable_draining()->set_reason("signal");
      send(message);
    }
  }

  const GroupOptions& options_;
  Communicator& comm_;
  Drain& drain_;
  std::shared_ptr<grpc::Channel> channel_;
  v1::Register registration_;
  std::unique_ptr<AttachClient> client_;
  bool attached_ = false;     // once: a token that is refused later is being replaced
  std::string last_refusal_;  // said already
};

}  // namespace

int run_group(Backend& backend, Communicator& comm, const GroupOptions& options, Drain& drain) {
  const Result<std::shared_ptr<grpc::Channel>> opened = make_channel(options.coordinator);
  if (const Status agreed = comm.agree(opened.status()); !agreed.ok()) {
    spdlog::error("{}", agreed.to_string());
    return kExitConfiguration;
  }
  const std::shared_ptr<grpc::Channel>& channel = *opened;
  std::unique_ptr<Leader> leader;
  if (comm.rank() == 0) {
    leader = std::make_unique<Leader>(backend, comm, options, drain, channel);
  }
  while (true) {
    std::string text;
    if (leader != nullptr) {
      text = leader->next().serialize();
    }
    if (!comm.broadcast_idle(&text, 0).ok()) {
      return kExitConfiguration;
    }
    const Command command = Command::parse(text);
    if (command.exit_code >= 0) {
      return command.exit_code;
    }
    if (leader != nullptr) {
      leader->client()->begin_lease(command.lease.job(), command.lease.fence());
      spdlog::info("lease {} of {}: layers {} to {}, {} committed", command.lease.fence(),
                   command.lease.job(), command.lease.first_layer(), command.lease.end_layer() - 1,
                   command.lease.committed_layers_size());
    }
    const Result<std::optional<EvalResult>> result =
        run_lease(backend, comm, channel, leader != nullptr ? leader->client() : nullptr,
                  command.lease, [&drain] { return drain.requested(); });
    if (leader != nullptr) {
      leader->report(command.lease, result);
    }
  }
}

}  // namespace rotor::worker
