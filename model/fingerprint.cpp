#include "model/fingerprint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "quant/base/sha256.h"
#include "quant/checkpoint/checkpoint_reader.h"

namespace rotor {
namespace {

// Larger than any tokenizer.json or index that is in use; read whole.
constexpr int64_t kMostSmallFile = int64_t{1} << 28;

constexpr int64_t kSamples = 64;
constexpr int64_t kSampleBytes = 4096;
constexpr size_t kHexDigest = 64;

constexpr std::array<const char*, 3> kSmallFiles = {"config.json", "model.safetensors.index.json",
                                                    "tokenizer.json"};

std::string file_line(const FileFingerprint& file, int64_t mtime_ns) {
  return file.sha256 + " " + (file.samples.empty() ? "" : file.samples + " ") +
         std::to_string(file.size) + " " + std::to_string(mtime_ns) + " " + file.name + "\n";
}

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

bool is_small(std::string_view name) {
  return std::find(kSmallFiles.begin(), kSmallFiles.end(), name) != kSmallFiles.end();
}

/// Over blocks from the file's first byte to its last; over all of it where that is no more.
Result<std::string> digest_samples(const RandomAccessFile& file, int64_t size) {
  Sha256 digest;
  std::array<char, kSampleBytes> block{};
  const bool whole = size <= kSamples * kSampleBytes;
  const int64_t blocks = whole ? (size + kSampleBytes - 1) / kSampleBytes : kSamples;
  for (int64_t i = 0; i < blocks; ++i) {
    // The quotient first: the product of a file's size would overflow at 2^57 bytes.
    const int64_t span = size - kSampleBytes;
    const int64_t offset =
        whole ? i * kSampleBytes
              : span / (kSamples - 1) * i + span % (kSamples - 1) * i / (kSamples - 1);
    const auto n = static_cast<size_t>(std::min(kSampleBytes, size - offset));
    ROTOR_RETURN_IF_ERROR(file.read(offset, block.data(), n));
    digest.update(block.data(), n);
  }
  return digest.hex();
}

Result<FileFingerprint> fingerprint_small_file(FileSystem& fs, const std::string& directory,
                                               const std::string& name) {
  ROTOR_ASSIGN_OR_RETURN(const std::string bytes,
                         read_whole_file(fs, join_path(directory, name), kMostSmallFile));
  FileFingerprint file;
  file.name = name;
  file.sha256 = sha256_hex(bytes);
  file.size = static_cast<int64_t>(bytes.size());
  return file;
}

Result<FileFingerprint> fingerprint_shard(FileSystem& fs, const std::string& path,
                                          const std::string& header_digest) {
  ROTOR_ASSIGN_OR_RETURN(const auto opened, fs.open_for_reading(path));
  ROTOR_ASSIGN_OR_RETURN(const FileStat stat, opened->stat());
  FileFingerprint file;
  file.name = base_name(path);
  file.sha256 = header_digest;
  ROTOR_ASSIGN_OR_RETURN(file.samples, digest_samples(*opened, stat.size));
  file.size = stat.size;
  file.mtime_ns = stat.mtime_ns;
  return file;
}

/// Those that exist, but for the names in `but`.
Status add_small_files(FileSystem& fs, const std::string& directory, const ModelFingerprint& but,
                       ModelFingerprint* fingerprint) {
  for (const char* name : kSmallFiles) {
    const bool known = std::any_of(but.files.begin(), but.files.end(),
                                   [&](const FileFingerprint& file) { return file.name == name; });
    ROTOR_ASSIGN_OR_RETURN(const bool exists, path_exists(fs, join_path(directory, name)));
    if (exists && !known) {
      ROTOR_ASSIGN_OR_RETURN(FileFingerprint file, fingerprint_small_file(fs, directory, name));
      fingerprint->files.push_back(std::move(file));
    }
  }
  return {};
}

void sort_by_name(ModelFingerprint* fingerprint) {
  std::sort(fingerprint->files.begin(), fingerprint->files.end(),
            [](const FileFingerprint& a, const FileFingerprint& b) { return a.name < b.name; });
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
  if (!before.samples.empty() && before.samples != now.samples) {
    add("its content (sha256 of sampled blocks from " + before.samples.substr(0, 12) + "... to " +
        now.samples.substr(0, 12) + "...)");
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

bool FileFingerprint::same_content(const FileFingerprint& other) const {
  const bool sampled = !samples.empty() && !other.samples.empty();
  return name == other.name && size == other.size && sha256 == other.sha256 &&
         (sampled ? samples == other.samples : mtime_ns == other.mtime_ns);
}

Result<ModelFingerprint> fingerprint_model(FileSystem& fs, const std::string& directory) {
  ModelFingerprint fingerprint;
  ROTOR_RETURN_IF_ERROR(add_small_files(fs, directory, {}, &fingerprint));
  ROTOR_ASSIGN_OR_RETURN(const auto checkpoint, CheckpointReader::open(fs, directory));
  for (const auto& shard : checkpoint->shards()) {
    ROTOR_ASSIGN_OR_RETURN(FileFingerprint file,
                           fingerprint_shard(fs, shard->path(), shard->header_digest()));
    fingerprint.files.push_back(std::move(file));
  }
  sort_by_name(&fingerprint);
  return fingerprint;
}

Result<ModelFingerprint> fingerprint_again(FileSystem& fs, const std::string& directory,
                                           const ModelFingerprint& before) {
  ModelFingerprint now;
  for (const FileFingerprint& file : before.files) {
    if (is_small(file.name)) {
      ROTOR_ASSIGN_OR_RETURN(FileFingerprint again,
                             fingerprint_small_file(fs, directory, file.name));
      now.files.push_back(std::move(again));
      continue;
    }
    const std::string path = join_path(directory, file.name);
    ROTOR_ASSIGN_OR_RETURN(const auto shard, SafetensorsFile::open(fs, path));
    ROTOR_ASSIGN_OR_RETURN(FileFingerprint again,
                           fingerprint_shard(fs, path, shard->header_digest()));
    now.files.push_back(std::move(again));
  }
  ROTOR_RETURN_IF_ERROR(add_small_files(fs, directory, before, &now));
  sort_by_name(&now);
  return now;
}

Result<ModelFingerprint> parse_fingerprint(const std::string& text) {
  ModelFingerprint fingerprint;
  std::string_view rest = text;
  for (int line_number = 1; !rest.empty(); ++line_number) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    FileFingerprint file;
    file.sha256 = take_word(line);
    if (line.find(' ') == kHexDigest) {
      file.samples = take_word(line);
    }
    const bool numbers =
        parse_number(take_word(line), file.size) && parse_number(take_word(line), file.mtime_ns);
    file.name = line;
    if (end == std::string_view::npos || file.sha256.size() != kHexDigest || !numbers ||
        file.name.empty()) {
      return invalid_argument(
                 "stored fingerprint of a model, line " + std::to_string(line_number) +
                 ": must be \"sha256 [samples] size mtime_ns name\"; the record is damaged, "
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
      if (!old_file->same_content(*new_file)) {
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
