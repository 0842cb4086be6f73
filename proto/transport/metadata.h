// Keys of a call's metadata that both sides know.
#pragma once

namespace rotor {

/// In the initial metadata of PutTensors: its header was accepted, tensors may follow.
inline constexpr char kUploadOpenKey[] = "rotor-upload-open";

}  // namespace rotor
