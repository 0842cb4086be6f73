#include "coordinator/jobs/page_token.h"

#include <charconv>

namespace rotor::coordinator {
namespace {

/// The filter as a bit set: the same for any order of the states.
uint64_t filter_bits(const std::vector<v1::JobState>& states) {
  uint64_t bits = 0;
  for (const v1::JobState state : states) {
    bits |= uint64_t{1} << static_cast<int>(state);
  }
  return bits;
}

}  // namespace

std::string make_page_token(int64_t before, const std::vector<v1::JobState>& states) {
  return "p1-" + std::to_string(before) + "-" + std::to_string(filter_bits(states));
}

Result<int64_t> parse_page_token(const std::string& token,
                                 const std::vector<v1::JobState>& states) {
  if (token.empty()) {
    return int64_t{0};
  }
  int64_t before = 0;
  const size_t second = token.find('-', 3);
  if (token.rfind("p1-", 0) == 0 && second != std::string::npos) {
    std::from_chars(token.data() + 3, token.data() + second, before);
  }
  if (before < 1 || make_page_token(before, states) != token) {
    return invalid_argument(
               "page_token is not one that ListJobs gave for these states; start over "
               "with an empty one")
        .with_reason("BAD_PAGE_TOKEN");
  }
  return before;
}

}  // namespace rotor::coordinator
