#include "coordinator/access/token_table.h"

#include <array>
#include <charconv>
#include <sstream>
#include <string_view>
#include <utility>

#include "quant/base/sha256.h"
#include "quant/base/text.h"

namespace rotor::coordinator {
namespace {

constexpr std::string_view kToken = "sha256:";
constexpr std::string_view kCertificate = "cert:";
constexpr size_t kLongestName = 64;

constexpr std::array<std::pair<Role, const char*>, 4> kRoles = {{{Role::kRead, "read"},
                                                                 {Role::kSubmit, "submit"},
                                                                 {Role::kWorker, "worker"},
                                                                 {Role::kAdmin, "admin"}}};

bool is_secret(const std::string& text) {
  if (text.starts_with(kCertificate)) {
    return text.size() > kCertificate.size();
  }
  return text.starts_with(kToken) && text.size() == kToken.size() + 64 &&
         text.find_first_not_of("0123456789abcdef", kToken.size()) == std::string::npos;
}

/// Sets what one `key=value` says; what is wrong with it, or nothing.
std::string apply_limit(const std::string& word, Submitter* submitter) {
  const size_t equals = word.find('=');
  const std::string key = word.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
  if (key == "jobs") {
    const auto [end, error] =
        std::from_chars(value.data(), value.data() + value.size(), submitter->most_open_jobs);
    const bool number = error == std::errc() && end == value.data() + value.size();
    return number && submitter->most_open_jobs > 0 ? "" : "jobs= takes a number above 0";
  }
  if (key != "model-root" && key != "data-root" && key != "output-root") {
    return printable(word) + " is none of jobs=, model-root=, data-root= and output-root=";
  }
  if (!value.starts_with('/')) {
    return key + "= takes an absolute path";
  }
  if (key == "data-root") {
    submitter->data_roots.push_back(value);
  } else {
    (key == "model-root" ? submitter->model_root : submitter->output_root) = value;
  }
  return "";
}

/// What is wrong with the words of a line, or nothing.
std::string parse_line(std::istringstream words, std::string* secret, Caller* caller) {
  std::string role;
  words >> caller->submitter.owner >> role >> *secret;
  if (caller->submitter.owner.size() > kLongestName) {
    return "a name has at most 64 characters";
  }
  const Result<Role> parsed = parse_role(role);
  if (!parsed.ok()) {
    return parsed.status().message();
  }
  caller->role = *parsed;
  if (!is_secret(*secret)) {
    return "the third word must be sha256: with 64 hex digits, or cert: with a name; "
           "`rotor-coordinator make-token` writes such lines";
  }
  for (std::string word; words >> word;) {
    if (std::string wrong = apply_limit(word, &caller->submitter); !wrong.empty()) {
      return wrong;
    }
  }
  return "";
}

}  // namespace

std::string role_name(Role role) {
  for (const auto& [value, name] : kRoles) {
    if (value == role) {
      return name;
    }
  }
  return "";
}

Result<Role> parse_role(const std::string& name) {
  for (const auto& [value, known] : kRoles) {
    if (name == known) {
      return value;
    }
  }
  return invalid_argument(printable(name) + " is no role: read, submit, worker or admin")
      .with_reason("BAD_ROLE");
}

bool allows(Role role, Role needed) {
  return role == Role::kAdmin || role == needed || (role == Role::kSubmit && needed == Role::kRead);
}

Result<TokenTable> TokenTable::parse(const std::string& text, const std::string& path) {
  TokenTable table;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(" \t\r") == std::string::npos) {
      continue;
    }
    std::string secret;
    Caller caller;
    std::string wrong = parse_line(std::istringstream(line), &secret, &caller);
    if (wrong.empty() && !table.by_secret_.emplace(secret, std::move(caller)).second) {
      wrong = "the same secret is in an earlier line";
    }
    if (!wrong.empty()) {
      return failed_precondition(path + ":" + std::to_string(number) + ": " + wrong)
          .with_reason("BAD_TOKENS_FILE")
          .with_detail("file", path)
          .with_detail("line", std::to_string(number));
    }
  }
  return table;
}

const Caller* TokenTable::find_token(const std::string& token) const {
  const auto found = by_secret_.find(std::string(kToken) + sha256_hex(token));
  return found == by_secret_.end() ? nullptr : &found->second;
}

const Caller* TokenTable::find_certificate(const std::string& name) const {
  const auto found = by_secret_.find(std::string(kCertificate) + name);
  return found == by_secret_.end() ? nullptr : &found->second;
}

}  // namespace rotor::coordinator
