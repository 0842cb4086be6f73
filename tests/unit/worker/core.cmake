# Backend, decoder and evaluation.
target_sources(rotor_worker_test PRIVATE
  golden.cpp
  golden_model.cpp
  backend/cpu/attention_test.cpp
  backend/cpu/cpu_backend_test.cpp
  backend/cpu/cross_entropy_test.cpp
  backend/cpu/divergence_test.cpp
  backend/cpu/delta_net_test.cpp
  backend/cpu/elementwise_test.cpp
  backend/cpu/gemm_test.cpp
  backend/cpu/lanes_test.cpp
  backend/cpu/routing_test.cpp
  backend/cpu/solver_test.cpp
  eval/evaluate_test.cpp
  eval/runnable_checkpoint_test.cpp
  model/decoder_test.cpp
  model/families_test.cpp
  model/layer_weights_test.cpp
  model/merged_source_test.cpp
  model/rope_test.cpp
  model/tensor_loader_test.cpp)
if(ROTOR_HAVE_CUDA)
  target_sources(rotor_worker_test PRIVATE backend/cuda/cuda_backend_test.cpp
    backend/cuda/families_test.cpp)
endif()
