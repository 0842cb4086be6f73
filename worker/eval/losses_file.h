// The losses of an evaluation, token by token, in a file that numpy.load reads.
//
// Thread-safety: plain functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor::worker {

/// Bytes of an .npy file (format version 1.0) of F32 [sequences, losses.size() / sequences].
std::string losses_npy(std::span<const double> losses, int64_t sequences);

/// Writes it to `path`, over what is there. Errors: those of the file system.
Status write_losses(FileSystem& fs, const std::string& path, std::span<const double> losses,
                    int64_t sequences);

}  // namespace rotor::worker
