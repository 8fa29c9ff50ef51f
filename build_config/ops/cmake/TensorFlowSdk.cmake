# Defines the target TensorFlow::framework, and OPS_PREFIX_MAP: options that keep this machine's paths out of the
# library, so that every machine builds the same bytes.

if(NOT TENSORFLOW_SDK)
  find_package(Python REQUIRED COMPONENTS Interpreter)
  # Looked up, not imported: an import takes seconds and writes to the terminal.
  set(lookup "
from importlib.util import find_spec
from pathlib import Path
spec = find_spec('tensorflow')
print(Path(spec.origin).parents[1] if spec else '', end='')
")
  execute_process(COMMAND "${Python_EXECUTABLE}" -c "${lookup}" OUTPUT_VARIABLE found COMMAND_ERROR_IS_FATAL ANY)
  if(NOT found)
    message(FATAL_ERROR "${Python_EXECUTABLE} has no TensorFlow. Install it there, or set TENSORFLOW_SDK.")
  endif()
  set(TENSORFLOW_SDK "${found}")
endif()
foreach(path tensorflow/include tensorflow/libtensorflow_framework.so.2)
  if(NOT EXISTS "${TENSORFLOW_SDK}/${path}")
    message(FATAL_ERROR "TENSORFLOW_SDK=${TENSORFLOW_SDK} has no ${path}")
  endif()
endforeach()
file(REAL_PATH "${TENSORFLOW_SDK}" sdk)
message(STATUS "TensorFlow: ${sdk}")

# The options are those of tf.sysconfig.get_compile_flags() and get_link_flags(). Device code also links this library:
# it exports the CUDA runtime, as stubs that find the real one when there is a GPU.
add_library(TensorFlow::framework SHARED IMPORTED)
set_target_properties(
  TensorFlow::framework PROPERTIES
  IMPORTED_LOCATION "${sdk}/tensorflow/libtensorflow_framework.so.2"
  IMPORTED_SONAME libtensorflow_framework.so.2
  INTERFACE_INCLUDE_DIRECTORIES "${sdk}/tensorflow/include"
  INTERFACE_COMPILE_DEFINITIONS "_GLIBCXX_USE_CXX11_ABI=1;EIGEN_MAX_ALIGN_BYTES=64"
)

set(OPS_PREFIX_MAP
  "-ffile-prefix-map=${OPS_ROOT}=."
  "-ffile-prefix-map=${CMAKE_CURRENT_BINARY_DIR}=build"
  "-ffile-prefix-map=${sdk}=."
)
