#include "coordinator/access/call_limits.h"

#include <algorithm>
#include <utility>

namespace rotor::coordinator {
namespace {

struct Bound {
  const char* what;
  int all;
  int each;  // of one caller
};

/// By CallKind.
constexpr std::array<Bound, 5> kBounds = {{{"calls", 512, 128},
                                           {"watches", 1024, 256},
                                           {"groups that have not registered yet", 256, 32},
                                           {"worker groups", 1024, 512},
                                           {"transfers", 2048, 1024}}};
constexpr double kCallsPerSecond = 500;
constexpr double kCallsAtOnce = 1000;
/// Callers remembered before those without calls are forgotten.
constexpr size_t kMostRemembered = 10'000;

Status too_many(const std::string& what) {
  return resource_exhausted(what + "; wait a little and try again").with_reason("TOO_MANY_CALLS");
}

}  // namespace

CallLimits::Ticket::Ticket(Ticket&& other) noexcept
    : limits_(std::exchange(other.limits_, nullptr)),
      kind_(other.kind_),
      caller_(std::move(other.caller_)) {}

CallLimits::Ticket& CallLimits::Ticket::operator=(Ticket&& other) noexcept {
  std::swap(limits_, other.limits_);
  std::swap(kind_, other.kind_);
  std::swap(caller_, other.caller_);
  return *this;
}

CallLimits::Ticket::~Ticket() {
  if (limits_ != nullptr) {
    limits_->leave(kind_, caller_);
  }
}

Result<CallLimits::Ticket> CallLimits::enter(CallKind kind, const std::string& caller) {
  const auto index = static_cast<size_t>(kind);
  const Bound& bound = kBounds[index];
  const std::lock_guard lock(mutex_);
  const Time now = std::chrono::steady_clock::now();
  forget_idle(now);
  const auto [found, fresh] = callers_.try_emplace(caller);
  Caller& known = found->second;
  const std::chrono::duration<double> away = now - known.seen;
  known.credit =
      fresh ? kCallsAtOnce : std::min(kCallsAtOnce, known.credit + away.count() * kCallsPerSecond);
  known.seen = now;
  if (kind == CallKind::kCall && known.credit < 1) {
    return too_many(caller + " makes more than " +
                    std::to_string(static_cast<int>(kCallsPerSecond)) + " calls a second");
  }
  if (known.under_way[index] >= bound.each || under_way_[index] >= bound.all) {
    const bool own = known.under_way[index] >= bound.each;
    return too_many((own ? caller + " has " : "there are ") +
                    std::to_string(own ? bound.each : bound.all) + " " + bound.what +
                    ", as many as may be");
  }
  known.credit -= kind == CallKind::kCall ? 1 : 0;
  ++known.under_way[index];
  ++under_way_[index];
  return Ticket(this, kind, caller);
}

void CallLimits::leave(CallKind kind, const std::string& caller) {
  const auto index = static_cast<size_t>(kind);
  const std::lock_guard lock(mutex_);
  --under_way_[index];
  --callers_.at(caller).under_way[index];  // one with calls under way is never forgotten
}

void CallLimits::forget_idle(Time now) {
  if (callers_.size() < kMostRemembered) {
    return;
  }
  std::erase_if(callers_, [now](const auto& entry) {
    const Counts& counts = entry.second.under_way;
    const bool idle = std::all_of(counts.begin(), counts.end(), [](int n) { return n == 0; });
    return idle && now - entry.second.seen > std::chrono::seconds(2);
  });
}

}  // namespace rotor::coordinator
