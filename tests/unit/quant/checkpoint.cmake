# Tests of files and checkpoint formats, stem by stem as quant/checkpoint.cmake lists the sources.
target_sources(rotor_quant_test PRIVATE
  base/json_test.cpp
  base/sha256_test.cpp
  base/status_json_test.cpp
  base/text_test.cpp
  checkpoint/checkpoint_reader_test.cpp
  checkpoint/compressed_tensors_config_test.cpp
  checkpoint/compressed_tensors_test.cpp
  checkpoint/fp_quant_config_test.cpp
  checkpoint/fp_quant_test.cpp
  checkpoint/inspect_test.cpp
  checkpoint/layout_limits_test.cpp
  checkpoint/layout_test.cpp
  checkpoint/modelopt_test.cpp
  checkpoint/module_tensors_test.cpp
  checkpoint/rotation_groups_test.cpp
  checkpoint/safetensors_header_test.cpp
  checkpoint/safetensors_plan_test.cpp
  checkpoint/safetensors_reader_test.cpp
  checkpoint/safetensors_writer_test.cpp
  checkpoint/serving_modes_test.cpp
  checkpoint/sharding_test.cpp
  checkpoint/small_checkpoint.cpp
  checkpoint/verify_json_test.cpp
  checkpoint/verify_test.cpp
  io/file_test.cpp
  io/rooted_test.cpp)
