# Files and checkpoint formats: safetensors, layouts, verification.
target_sources(rotor_quant PRIVATE
  base/json.cpp
  base/json_sax.cpp
  base/sha256.cpp
  base/text.cpp
  checkpoint/checkpoint_reader.cpp
  checkpoint/compressed_tensors.cpp
  checkpoint/compressed_tensors_config.cpp
  checkpoint/inspect.cpp
  checkpoint/layout.cpp
  checkpoint/memory_source.cpp
  checkpoint/quantization_info.cpp
  checkpoint/rotation_groups.cpp
  checkpoint/safetensors_header.cpp
  checkpoint/safetensors_plan.cpp
  checkpoint/safetensors_reader.cpp
  checkpoint/safetensors_writer.cpp
  checkpoint/sharding.cpp
  checkpoint/tensor_spec.cpp
  checkpoint/verify.cpp
  checkpoint/verify_files.cpp
  checkpoint/verify_json.cpp
  checkpoint/verify_module.cpp
  checkpoint/verify_names.cpp
  io/file.cpp
  io/posix_file.cpp
  io/rooted.cpp)
