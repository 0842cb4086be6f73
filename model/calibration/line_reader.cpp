#include "model/calibration/line_reader.h"

#include <algorithm>

namespace rotor {

std::string_view without_mark(std::string_view text) {
  return text.substr(text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0);
}
namespace {

constexpr int64_t kChunkBytes = int64_t{1} << 20;
constexpr size_t kMostLineBytes = size_t{1} << 28;

}  // namespace

int64_t line_at(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  return 1 + std::count(before.begin(), before.end(), '\n');
}

Result<bool> LineReader::fill() {
  if (file_size_ < 0) {
    ROTOR_ASSIGN_OR_RETURN(const FileStat stat, file_.stat());
    file_size_ = stat.size;
  }
  buffer_.erase(0, begin_);
  begin_ = 0;
  const int64_t count = std::min(kChunkBytes, file_size_ - offset_);
  if (count <= 0) {
    return false;
  }
  const size_t old_size = buffer_.size();
  buffer_.resize(old_size + static_cast<size_t>(count));
  ROTOR_RETURN_IF_ERROR(file_.read(offset_, buffer_.data() + old_size, static_cast<size_t>(count)));
  if (offset_ == 0) {
    begin_ = buffer_.size() - without_mark(buffer_).size();
  }
  offset_ += count;
  return true;
}

Result<bool> LineReader::next(std::string_view& line) {
  size_t searched = begin_;
  size_t end = buffer_.find('\n', searched);
  while (end == std::string::npos) {
    const size_t pending = buffer_.size() - begin_;
    if (pending > kMostLineBytes) {
      return invalid_argument(file_.path() + ":" + std::to_string(line_number_ + 1) +
                              ": the line is longer than " + std::to_string(kMostLineBytes) +
                              " bytes; each line must hold one JSON object")
          .with_reason("LINE_TOO_LONG")
          .with_detail("file", file_.path())
          .with_detail("line", std::to_string(line_number_ + 1));
    }
    ROTOR_ASSIGN_OR_RETURN(const bool more, fill());
    if (!more) {
      break;
    }
    searched = pending;
    end = buffer_.find('\n', searched);
  }
  if (end == std::string::npos && begin_ == buffer_.size()) {
    return false;
  }
  const size_t stop = std::min(end, buffer_.size());
  line = std::string_view(buffer_).substr(begin_, stop - begin_);
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  begin_ = end == std::string::npos ? buffer_.size() : end + 1;
  ++line_number_;
  return true;
}

}  // namespace rotor
