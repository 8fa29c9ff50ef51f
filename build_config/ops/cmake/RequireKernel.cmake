# cmake -DSOURCE=... -DOBJECT=... -P RequireKernel.cmake: fails where an object has no GPU code, which compilers pass over.

file(STRINGS "${OBJECT}" found REGEX "[.]nv_fatbin" LIMIT_COUNT 1)
if(NOT found)
  file(REMOVE "${OBJECT}")
  message(FATAL_ERROR "error: ${SOURCE} has no kernel: it would give the op no GPU code. Is all of it behind a macro?")
endif()
