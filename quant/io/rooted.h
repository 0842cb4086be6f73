// Opening what a client names, without letting it name anything outside a root (model root, output
// root). The kernel resolves the path: openat2 with RESOLVE_BENEATH refuses "..", absolute symlinks
// and races in one step, which no check of strings can do.
//
// Thread-safety: free functions. Cost: a few system calls.
#pragma once

#include <string>

#include "quant/base/status.h"

namespace rotor {

enum class PathKind { kDirectory, kRegularFile };

/// Detail "why" of a PATH_REFUSED whose path is absolute and not below the root at all: where there
/// are several roots, another one may be meant.
inline constexpr char kOutsideRoot[] = "an absolute path outside the root";

/// Resolves `path`, relative to `root` or absolute and below it, to the absolute real path of an
/// existing directory or regular file below the root. Root and path may be spelt through symlinks.
/// Errors, all with the path and reason PATH_REFUSED unless said otherwise: empty, holds NUL,
/// leaves the root by "..", by an absolute path or by a symlink (INVALID_ARGUMENT); not of the kind
/// asked for (INVALID_ARGUMENT, NOT_A_DIRECTORY or NOT_A_REGULAR_FILE); does not exist (NOT_FOUND).
Result<std::string> resolve_beneath(const std::string& root, const std::string& path,
                                    PathKind kind = PathKind::kDirectory);

/// The same for something to be created: the parent must exist below the root, the last component
/// must be a plain name ("." and ".." refused), and may or may not exist. Returns the real parent
/// with the name appended. A symlink under that name is refused.
Result<std::string> resolve_new_beneath(const std::string& root, const std::string& path);

}  // namespace rotor
