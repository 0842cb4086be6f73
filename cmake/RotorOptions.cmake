# Every switch of the build, with its default.
set(ROTOR_CUDA AUTO CACHE STRING "CUDA backend: AUTO (where nvcc is found), ON, OFF")
set_property(CACHE ROTOR_CUDA PROPERTY STRINGS AUTO ON OFF)
option(ROTOR_SERVICE "Coordinator, command line and RPC client (needs gRPC, protobuf, SQLite)" ON)
option(ROTOR_TESTS "Tests and benchmarks" ON)
option(ROTOR_WERROR "Warnings are errors" ON)
option(ROTOR_FUZZ "Fuzzers of the readers of files (needs Clang), and nothing else of the tests" OFF)
set(ROTOR_SANITIZE "" CACHE STRING "Sanitizers for every target, e.g. address,undefined")
set(ROTOR_CPU_ARCH "" CACHE STRING
    "-march of the build; empty: x86-64-v3 (AVX2, FMA) on x86-64, the compiler's own elsewhere")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
# RPATH and not RUNPATH: it holds for the libraries of libraries, too, which ops/package lays beside them.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib")
add_link_options(-Wl,--disable-new-dtags)

if(ROTOR_CPU_ARCH STREQUAL "" AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(ROTOR_CPU_ARCH_FLAG "-march=x86-64-v3")
elseif(NOT ROTOR_CPU_ARCH STREQUAL "")
  set(ROTOR_CPU_ARCH_FLAG "-march=${ROTOR_CPU_ARCH}")
endif()
if(ROTOR_CPU_ARCH_FLAG)
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${ROTOR_CPU_ARCH_FLAG}>")
endif()

if(ROTOR_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "ROTOR_FUZZ needs Clang's libFuzzer: -DCMAKE_CXX_COMPILER=clang++ (Debian: \
clang, libclang-rt-dev)")
  endif()
  set(ROTOR_SANITIZE "fuzzer-no-link,address,undefined")
endif()
if(ROTOR_SANITIZE)
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${ROTOR_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all>")
  add_link_options("-fsanitize=${ROTOR_SANITIZE}")
endif()

# For this directory and those below it: code that takes longer to compile well than it ever runs.
# Sanitizers double what a compiler optimizes, and so take it as it is.
macro(rotor_compile_quickly)
  if(ROTOR_SANITIZE)
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-O0>")
  elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-O1>")
  endif()
endmacro()
