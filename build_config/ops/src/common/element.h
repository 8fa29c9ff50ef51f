// Types that host code (.cc, TensorFlow) and device code (.cu, CUDA) share without seeing each other's headers.

#ifndef TFWHEEL_OPS_COMMON_ELEMENT_H_
#define TFWHEEL_OPS_COMMON_ELEMENT_H_

#include <cstdint>

struct CUstream_st;  // what cudaStream_t points to

namespace tfwheel {

using Stream = CUstream_st*;

// IEEE binary16, the bits of Eigen::half and __half.
struct Half {
  std::uint16_t bits;
};

// The upper half of an IEEE binary32, the bits of Eigen::bfloat16 and __nv_bfloat16.
struct Bfloat16 {
  std::uint16_t bits;
};

}  // namespace tfwheel

#endif  // TFWHEEL_OPS_COMMON_ELEMENT_H_
