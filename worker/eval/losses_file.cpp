#include "worker/eval/losses_file.h"

#include <bit>
#include <memory>

namespace rotor::worker {

static_assert(std::endian::native == std::endian::little, "'<f4' are this machine's floats");

std::string losses_npy(std::span<const double> losses, int64_t sequences) {
  const int64_t columns = std::ssize(losses) / sequences;
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" +
                       std::to_string(sequences) + ", " + std::to_string(columns) + "), }";
  // Magic, version and length take 10 bytes; the values begin at a multiple of 64.
  constexpr size_t kPreamble = 10;
  header.resize((kPreamble + header.size() + 1 + 63) / 64 * 64 - kPreamble - 1, ' ');
  header += '\n';

  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xFF);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  for (const double loss : losses) {
    const auto value = static_cast<float>(loss);
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  return bytes;
}

Status write_losses(FileSystem& fs, const std::string& path, std::span<const double> losses,
                    int64_t sequences) {
  ROTOR_ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file,
                         fs.open_for_writing(path, OpenMode::kTruncate));
  ROTOR_RETURN_IF_ERROR(file->append(losses_npy(losses, sequences)));
  return file->close();
}

}  // namespace rotor::worker
