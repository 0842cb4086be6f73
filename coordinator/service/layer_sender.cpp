#include "coordinator/service/layer_sender.h"

#include <algorithm>
#include <string>

#include "coordinator/staging/damaged_layer.h"
#include "quant/base/sha256.h"
#include "quant/checkpoint/safetensors_reader.h"

namespace rotor::coordinator {
namespace {

constexpr int64_t kChunk = int64_t{256} << 10;

using Send = std::function<bool(const v1::FetchLayerResponse&)>;

Status client_gone() {
  return cancelled("the client of FetchLayer has gone");
}

Status send_tensor(const SafetensorsFile& file, int32_t layer, const v1::TensorInfo& info,
                   const Send& send) {
  const SafetensorsEntry* const entry = file.find(info.name());
  if (entry == nullptr) {
    return damaged_layer(layer, file.path() + " has no tensor " + info.name());
  }
  v1::FetchLayerResponse message;
  message.mutable_tensor()->set_name(info.name());
  message.mutable_tensor()->set_dtype(info.dtype());
  *message.mutable_tensor()->mutable_shape() = info.shape();
  if (!send(message)) {
    return client_gone();
  }
  Sha256 digest;
  const int64_t size = entry->end - entry->begin;
  for (int64_t offset = 0; offset < size; offset += kChunk) {
    std::string* const chunk = message.mutable_chunk();
    chunk->resize(static_cast<size_t>(std::min(kChunk, size - offset)));
    ROTOR_RETURN_IF_ERROR(
        damage_unless_passing(layer, file.read(*entry, offset, chunk->data(), chunk->size())));
    digest.update(*chunk);
    if (!send(message)) {
      return client_gone();
    }
  }
  if (digest.hex() != info.sha256()) {
    return damaged_layer(layer, "tensor " + info.name() + " does not have its digest any more");
  }
  message.mutable_end()->set_sha256(info.sha256());
  return send(message) ? Status() : client_gone();
}

}  // namespace

Status send_layer(FileSystem& fs, int32_t layer_index, const CommittedLayer& layer,
                  const Send& send) {
  if (layer.path.empty()) {
    return {};
  }
  Result<std::unique_ptr<SafetensorsFile>> file = SafetensorsFile::open(fs, layer.path);
  ROTOR_RETURN_IF_ERROR(damage_unless_passing(layer_index, file.status()));
  for (const v1::TensorInfo& info : layer.tensors) {
    ROTOR_RETURN_IF_ERROR(send_tensor(**file, layer_index, info, send));
  }
  return {};
}

}  // namespace rotor::coordinator
