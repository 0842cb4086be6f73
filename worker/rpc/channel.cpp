#include "worker/rpc/channel.h"

namespace rotor::worker {

Result<std::shared_ptr<grpc::Channel>> make_channel(const Endpoint& coordinator) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  // Processes of one host must not share a subchannel that another one's backoff holds down.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return open_channel(coordinator, arguments);
}

}  // namespace rotor::worker
