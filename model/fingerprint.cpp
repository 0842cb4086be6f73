#include "model/fingerprint.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "quant/base/sha256.h"
#include "quant/checkpoint/checkpoint_reader.h"

namespace rotor {
namespace {

// Larger than any tokenizer.json or index that is in use; read whole.
constexpr int64_t kMostSmallFile = int64_t{1} << 28;

std::string file_line(const FileFingerprint& file, int64_t mtime_ns) {
  return file.sha256 + " " + std::to_string(file.size) + " " + std::to_string(mtime_ns) + " " +
         file.name + "\n";
}

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

/// Takes what is before the next space off the front of `line`.
std::string_view take_word(std::string_view& line) {
  const size_t space = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(std::min(space + 1, line.size()));
  return word;
}

bool parse_number(std::string_view word, int64_t& out) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), out);
  return error == std::errc() && end == word.data() + word.size();
}

void describe_change(const FileFingerprint& before, const FileFingerprint& now, std::string& out) {
  std::string changes;
  const auto add = [&](const std::string& change) {
    changes += (changes.empty() ? "" : ", ") + change;
  };
  if (before.size != now.size) {
    add("its size from " + std::to_string(before.size) + " to " + std::to_string(now.size) +
        " bytes");
  }
  if (before.sha256 != now.sha256) {
    add(std::string(now.mtime_ns != 0 ? "its header" : "its content") + " (sha256 from " +
        before.sha256.substr(0, 12) + "... to " + now.sha256.substr(0, 12) + "...)");
  }
  if (before.mtime_ns != now.mtime_ns) {
    add("its modification time from " + std::to_string(before.mtime_ns) + " to " +
        std::to_string(now.mtime_ns) + " ns");
  }
  out += now.name + " changed " + changes + ". ";
}

}  // namespace

std::string ModelFingerprint::to_text() const {
  std::string text;
  for (const FileFingerprint& file : files) {
    text += file_line(file, file.mtime_ns);
  }
  return text;
}

std::string ModelFingerprint::digest() const {
  return sha256_hex(to_text());
}

std::string ModelFingerprint::portable_digest() const {
  std::string text;
  for (const FileFingerprint& file : files) {
    text += file_line(file, 0);
  }
  return sha256_hex(text);
}

Result<ModelFingerprint> fingerprint_model(FileSystem& fs, const std::string& directory) {
  ModelFingerprint fingerprint;
  for (const char* name : {"config.json", "model.safetensors.index.json", "tokenizer.json"}) {
    const std::string path = join_path(directory, name);
    ROTOR_ASSIGN_OR_RETURN(const bool exists, path_exists(fs, path));
    if (!exists) {
      continue;
    }
    ROTOR_ASSIGN_OR_RETURN(const std::string bytes, read_whole_file(fs, path, kMostSmallFile));
    fingerprint.files.push_back({.name = name,
                                 .sha256 = sha256_hex(bytes),
                                 .size = static_cast<int64_t>(bytes.size()),
                                 .mtime_ns = 0});
  }
  ROTOR_ASSIGN_OR_RETURN(const auto checkpoint, CheckpointReader::open(fs, directory));
  for (const auto& shard : checkpoint->shards()) {
    ROTOR_ASSIGN_OR_RETURN(const FileStat stat, fs.stat(shard->path()));
    fingerprint.files.push_back({.name = base_name(shard->path()),
                                 .sha256 = shard->header_digest(),
                                 .size = stat.size,
                                 .mtime_ns = stat.mtime_ns});
  }
  std::sort(fingerprint.files.begin(), fingerprint.files.end(),
            [](const FileFingerprint& a, const FileFingerprint& b) { return a.name < b.name; });
  return fingerprint;
}

Result<ModelFingerprint> parse_fingerprint(const std::string& text) {
  ModelFingerprint fingerprint;
  std::string_view rest = text;
  for (int line_number = 1; !rest.empty(); ++line_number) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    FileFingerprint file;
    file.sha256 = take_word(line);
    const bool numbers =
        parse_number(take_word(line), file.size) && parse_number(take_word(line), file.mtime_ns);
    file.name = line;
    if (end == std::string_view::npos || file.sha256.size() != 64 || !numbers ||
        file.name.empty()) {
      return invalid_argument("stored fingerprint of a model, line " + std::to_string(line_number) +
                              ": must be \"sha256 size mtime_ns name\"; the record is damaged, "
                              "begin the job anew")
          .with_reason("BAD_FINGERPRINT")
          .with_detail("line", std::to_string(line_number));
    }
    fingerprint.files.push_back(std::move(file));
    rest.remove_prefix(end + 1);
  }
  return fingerprint;
}

std::string describe_difference(const ModelFingerprint& before, const ModelFingerprint& now) {
  std::string text;
  auto old_file = before.files.begin();
  auto new_file = now.files.begin();
  while (old_file != before.files.end() || new_file != now.files.end()) {
    const bool only_old = new_file == now.files.end() ||
                          (old_file != before.files.end() && old_file->name < new_file->name);
    const bool only_new =
        !only_old && (old_file == before.files.end() || new_file->name < old_file->name);
    if (only_old) {
      text += old_file->name + " was removed. ";
      ++old_file;
    } else if (only_new) {
      text += new_file->name + " was added. ";
      ++new_file;
    } else {
      if (*old_file != *new_file) {
        describe_change(*old_file, *new_file, text);
      }
      ++old_file;
      ++new_file;
    }
  }
  if (!text.empty()) {
    text.pop_back();
  }
  return text;
}

}  // namespace rotor
