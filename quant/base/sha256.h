// Streaming SHA-256 (OpenSSL EVP, so hardware instructions where the machine has them).
//
// Thread-safety: one object, one thread at a time. Failure: none that a caller could mend; running
// out of memory ends the program.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace rotor {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(const void* data, size_t n);
  void update(std::string_view bytes) { update(bytes.data(), bytes.size()); }
  /// 64 lower-case hex digits of all bytes so far; starts anew.
  std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

/// The digest of one piece of memory.
std::string sha256_hex(std::string_view bytes);

}  // namespace rotor
