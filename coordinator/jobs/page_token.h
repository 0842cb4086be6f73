// The opaque token of ListJobs: where the next page begins, bound to the filter it was made for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "rotor/v1/job.pb.h"

namespace rotor::coordinator {

std::string make_page_token(int64_t before, const std::vector<v1::JobState>& states);
/// 0 for an empty token. Error: INVALID_ARGUMENT, BAD_PAGE_TOKEN, for a token that was not made
/// here or for other states.
Result<int64_t> parse_page_token(const std::string& token, const std::vector<v1::JobState>& states);

}  // namespace rotor::coordinator
