# rotor-bench.
target_sources(rotor_worker_test PRIVATE
  bench/layer_bench_test.cpp
  bench/make_checkpoint_test.cpp
  bench/random_values_test.cpp
  bench/shapes_test.cpp)
target_link_libraries(rotor_worker_test PRIVATE rotor_bench)
