#include "proto/transport/bearer_token.h"

#include <algorithm>
#include <utility>

#include "quant/io/file.h"

namespace rotor {
namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;

constexpr int64_t kLargestTokenFile = 4096;

class ShowToken final : public Interceptor {
 public:
  explicit ShowToken(const std::string& file) : file_(file) {}
  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      if (const Result<std::string> token = read_token_file(file_); token.ok()) {
        methods->GetSendInitialMetadata()->emplace(kAuthorizationKey, kBearerPrefix + *token);
      }
    }
    methods->Proceed();
  }

 private:
  const std::string& file_;
};

class Factory final : public ClientInterceptorFactoryInterface {
 public:
  explicit Factory(std::string file) : file_(std::move(file)) {}
  Interceptor* CreateClientInterceptor(ClientRpcInfo* /*info*/) override {
    return new ShowToken(file_);  // gRPC deletes it
  }

 private:
  std::string file_;
};

}  // namespace

Result<std::string> read_token_file(const std::string& path) {
  const auto bad = [&path](const std::string& what) {
    return failed_precondition(path + ": " + what)
        .with_reason("BAD_TOKEN_FILE")
        .with_detail("file", path);
  };
  const Result<std::string> text = read_whole_file(posix_file_system(), path, kLargestTokenFile);
  if (!text.ok()) {
    return bad(text.status().message());
  }
  const std::string token = text->substr(0, text->find_first_of("\r\n"));
  const bool plain =
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (token.empty() || !plain) {
    return bad("its first line is no token; `rotor-coordinator make-token` makes one");
  }
  return token;
}

std::unique_ptr<ClientInterceptorFactoryInterface> bearer_token_interceptor(
    std::string token_file) {
  return std::make_unique<Factory>(std::move(token_file));
}

}  // namespace rotor
