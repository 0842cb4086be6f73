// The one error type of Rotor: a canonical code, a message for people, and key/value details for
// programs. Functions that can fail return Status or Result<T>; exceptions of libraries are caught
// where the library is called and translated there (CUDA, NCCL, MPI, SQLite, gRPC, JSON).
//
// Codes are those of gRPC, number for number, so a Status crosses an RPC unchanged. It is our own
// type, not absl::Status, because the build without the service must need no Abseil.
//
// Thread-safety: values, as safe as std::string. Cost: an OK status is one null pointer.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace rotor {

enum class Code : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

/// "INVALID_ARGUMENT" and so on.
std::string_view code_name(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message);

  static Status ok_status() { return {}; }

  bool ok() const { return rep_ == nullptr; }
  Code code() const { return rep_ ? rep_->code : Code::kOk; }
  const std::string& message() const;

  /// Machine-readable cause, UPPER_SNAKE_CASE ("SOURCE_CHANGED"); empty where none was given.
  const std::string& reason() const;
  /// The values concerned ("file", "key", ...); what google.rpc.ErrorInfo carries as metadata.
  const std::map<std::string, std::string>& details() const;

  /// Adds to an error; does nothing to an OK status.
  Status&& with_reason(std::string reason) &&;
  Status&& with_detail(std::string key, std::string value) &&;
  /// Puts "context: " before the message of an error.
  Status&& with_context(std::string_view context) &&;

  /// "INVALID_ARGUMENT: message", or "OK".
  std::string to_string() const;

 private:
  struct Rep {
    Code code;
    std::string message;
    std::string reason;
    std::map<std::string, std::string> details;
  };
  std::shared_ptr<Rep> rep_;  // null means OK
  Rep& mutable_rep();
};

Status invalid_argument(std::string message);
Status not_found(std::string message);
Status already_exists(std::string message);
Status failed_precondition(std::string message);
Status resource_exhausted(std::string message);
Status unavailable(std::string message);
Status internal_error(std::string message);
Status data_loss(std::string message);
Status aborted(std::string message);
Status cancelled(std::string message);
Status out_of_range(std::string message);
Status unimplemented(std::string message);
/// An error of a system call: "PATH: what: strerror"; the code follows from errno
/// (ENOENT not found, EACCES permission denied, ENOSPC resource exhausted, ...).
Status errno_error(int error_number, std::string_view what, std::string_view path);

/// A value or the error that stood in its way.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : rep_(std::in_place_index<1>, std::move(value)) {}  // NOLINT: implicit by design
  Result(Status status) : rep_(std::in_place_index<0>, std::move(status)) {}  // NOLINT

  bool ok() const { return rep_.index() == 1; }
  Status status() const { return ok() ? Status() : std::get<0>(rep_); }

  T& value() & { return std::get<1>(rep_); }
  const T& value() const& { return std::get<1>(rep_); }
  T&& value() && { return std::get<1>(std::move(rep_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<Status, T> rep_;
};

}  // namespace rotor

#define ROTOR_CONCAT_INNER(a, b) a##b
#define ROTOR_CONCAT(a, b) ROTOR_CONCAT_INNER(a, b)

/// Returns from the enclosing function with the error, if `expr` gave one.
#define ROTOR_RETURN_IF_ERROR(expr)                                    \
  do {                                                                 \
    if (::rotor::Status rotor_status_ = (expr); !rotor_status_.ok()) { \
      return rotor_status_;                                            \
    }                                                                  \
  } while (false)

/// `ROTOR_ASSIGN_OR_RETURN(auto x, f())`: x is f's value, or the enclosing function returns its
/// error.
#define ROTOR_ASSIGN_OR_RETURN(lhs, expr) \
  ROTOR_ASSIGN_OR_RETURN_IMPL(ROTOR_CONCAT(rotor_result_, __LINE__), lhs, expr)
#define ROTOR_ASSIGN_OR_RETURN_IMPL(result, lhs, expr) \
  auto result = (expr);                                \
  if (!result.ok()) {                                  \
    return result.status();                            \
  }                                                    \
  lhs = std::move(result).value()
