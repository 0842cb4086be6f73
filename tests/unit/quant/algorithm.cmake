# Tests of the algorithm, stem by stem as quant/algorithm.cmake lists the sources.
target_sources(rotor_quant_test PRIVATE
  analysis/distribution_test.cpp
  analysis/format_errors_test.cpp
  analysis/lemmas_test.cpp
  blas_environment.cpp
  error/quadratic_test.cpp
  format/activations_test.cpp
  format/bf16_test.cpp
  format/codes_test.cpp
  format/e2m1_test.cpp
  format/e4m3_test.cpp
  format/e8m0_test.cpp
  format/finite_test.cpp
  format/int4_test.cpp
  gptq/factor_test.cpp
  gptq/noisy_inputs_test.cpp
  gptq/refine_test.cpp
  gptq/solve_test.cpp
  reference/problems.cpp
  reference/solved_layer.cpp
  reference/textbook_gptq.cpp
  rotation/hadamard_test.cpp
  rotation/merge_test.cpp
  scales/scale_search_test.cpp)
