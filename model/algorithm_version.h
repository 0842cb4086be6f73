// The version of everything that decides the bytes of a checkpoint.
#pragma once

namespace rotor {

/// Raised with every change that alters the bytes, once for all that are released together; a job
/// is never resumed under another one. Each has its line in CHANGELOG.md and its digests in
/// tests/data/digests.
inline constexpr int kAlgorithmVersion = 3;

}  // namespace rotor
