// The lines of a file, one at a time, without holding the file.
//
// Thread-safety: one thread at a time. Cost: one buffer of 1 MiB and the longest line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "quant/io/file.h"

namespace rotor {

/// What programs on Windows put before text in UTF-8. It is no part of the text.
inline constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
std::string_view without_mark(std::string_view text);

/// The line, counted from 1, that byte `offset` of `text` stands on.
int64_t line_at(std::string_view text, size_t offset);

class LineReader {
 public:
  /// `file` must outlive the reader.
  explicit LineReader(const RandomAccessFile& file) : file_(file) {}

  /// The next line without its line end (\n or \r\n), the first without a byte order mark; false at
  /// the end of the file. `line` holds
  /// until the next call. Errors: reading, and INVALID_ARGUMENT, reason LINE_TOO_LONG, over 256
  /// MiB.
  Result<bool> next(std::string_view& line);
  /// Of the line that next gave last, counted from 1.
  int64_t line_number() const { return line_number_; }

 private:
  Result<bool> fill();

  const RandomAccessFile& file_;
  std::string buffer_;
  size_t begin_ = 0;        // of what was not handed out yet, in buffer_
  int64_t file_size_ = -1;  // unknown until the first read
  int64_t offset_ = 0;      // in the file, of the byte behind buffer_
  int64_t line_number_ = 0;
};

}  // namespace rotor
