# rotor_warnings: what every target of the project is compiled with, nvcc's host compiler included.
# Include directories of imported targets are system directories, so libraries stay silent.
add_library(rotor_warnings INTERFACE)
set(rotor_warning_flags -Wall -Wextra -Wconversion -Wshadow)
if(ROTOR_WERROR)
  list(APPEND rotor_warning_flags -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlaps in plain std::string concatenation that are not there (its bug 105651).
  list(APPEND rotor_warning_flags -Wno-restrict)
endif()
list(JOIN rotor_warning_flags "," rotor_host_flags)
if(ROTOR_WERROR)
  set(rotor_device_flags -Werror=all-warnings)
endif()
target_compile_options(rotor_warnings INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:${rotor_warning_flags}>"
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${rotor_host_flags};${rotor_device_flags}>")
target_include_directories(rotor_warnings INTERFACE "${CMAKE_SOURCE_DIR}")
