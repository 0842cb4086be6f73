#include "proto/transport/plain_log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <utility>

#include "quant/base/plain_text.h"

namespace rotor {
namespace {

class PlainMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm& /*time*/,
              spdlog::memory_buf_t& out) override {
    const std::string plain = without_controls({message.payload.data(), message.payload.size()});
    out.append(plain.data(), plain.data() + plain.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<PlainMessage>();
  }
};

}  // namespace

void set_log_pattern(const std::string& pattern) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<PlainMessage>('*').set_pattern(pattern);
  spdlog::set_formatter(std::move(formatter));
}

}  // namespace rotor
