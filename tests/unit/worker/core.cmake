# Backend, decoder and evaluation.
target_sources(rotor_worker_test PRIVATE
  golden.cpp
  model/decoder_test.cpp)
