# The algorithm: number formats, rotation, scale search, GPTQ, error measures.
target_sources(rotor_quant PRIVATE
  analysis/distribution.cpp
  analysis/format_errors.cpp
  error/quadratic.cpp
  format/activations.cpp
  format/bf16.cpp
  format/codes.cpp
  format/e4m3.cpp
  format/e8m0.cpp
  format/finite.cpp
  gptq/column_order.cpp
  gptq/factor.cpp
  gptq/factor_sweep.cpp
  gptq/noisy_inputs.cpp
  gptq/refine.cpp
  gptq/solve.cpp
  rotation/hadamard.cpp
  rotation/merge.cpp
  rotation/rotate_hessian.cpp
  rotation/walsh_hadamard.cpp
  scales/candidates.cpp
  scales/scale_search.cpp)
# GCC takes a division or a comparison for something that may trap, and then leaves loops that choose
# between two values scalar. Nothing here reads the floating-point exception flags. No value changes.
set_source_files_properties(
  format/activations.cpp
  gptq/refine.cpp
  gptq/solve.cpp
  scales/scale_search.cpp
  PROPERTIES COMPILE_OPTIONS "-fno-trapping-math;-fno-math-errno")
