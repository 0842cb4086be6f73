# Backend, decoder and evaluation.
target_sources(rotor_worker_test PRIVATE
  golden.cpp
  eval/evaluate_test.cpp
  eval/runnable_checkpoint_test.cpp
  model/decoder_test.cpp)
