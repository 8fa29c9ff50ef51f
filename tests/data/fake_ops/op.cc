#include "tensorflow/core/op.h"

extern "C" int tf_version(void);
extern "C" int op(void) { return tf_version() + FROM_THE_HEADER; }
