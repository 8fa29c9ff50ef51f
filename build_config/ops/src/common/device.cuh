// What kernels share: conversions to and from float, 16-byte packs, sums over the threads of a row.
//
// Kernels load and store elements of type T and compute in float.

#ifndef TFWHEEL_OPS_COMMON_DEVICE_CUH_
#define TFWHEEL_OPS_COMMON_DEVICE_CUH_

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "common/element.h"

namespace tfwheel {

constexpr int kWarp = 32;
constexpr int kPackBytes = 16;  // the widest load and store of one thread

__device__ inline float ToFloat(float value) { return value; }
__device__ inline float ToFloat(Half value) { return __half2float(__half(__half_raw{value.bits})); }
__device__ inline float ToFloat(Bfloat16 value) {
  return __uint_as_float(static_cast<std::uint32_t>(value.bits) << 16);
}

template <typename T>
__device__ T FromFloat(float value);
template <>
__device__ inline float FromFloat<float>(float value) {
  return value;
}
template <>
__device__ inline Half FromFloat<Half>(float value) {
  return Half{static_cast<__half_raw>(__float2half_rn(value)).x};
}
template <>
__device__ inline Bfloat16 FromFloat<Bfloat16>(float value) {
  return Bfloat16{static_cast<__nv_bfloat16_raw>(__float2bfloat16_rn(value)).x};
}

// kWidth neighbouring elements, moved by one instruction.
template <typename T, int kWidth>
struct alignas(sizeof(T) * kWidth) Pack {
  T lane[kWidth];
};

template <typename T>
constexpr int kFullWidth = kPackBytes / static_cast<int>(sizeof(T));

template <typename T, int kWidth>
__device__ inline const Pack<T, kWidth>* AsPacks(const T* elements) {
  return reinterpret_cast<const Pack<T, kWidth>*>(elements);
}
template <typename T, int kWidth>
__device__ inline Pack<T, kWidth>* AsPacks(T* elements) {
  return reinterpret_cast<Pack<T, kWidth>*>(elements);
}

// Whether every pointer may be read and written in full packs.
template <typename... Pointers>
bool Aligned(Pointers... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % kPackBytes == 0) && ...);
}

__device__ inline float WarpSum(float value) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, offset);
  }
  return value;
}

// The sum over the blockDim.x threads of one row, given to all of them; always added in the same order.
//
// blockDim.x is a multiple of the warp. Where it is more than one warp, the block works on one row
// (blockDim.y == 1) and all its threads must call.
__device__ inline float RowSum(float value) {
  value = WarpSum(value);
  if (blockDim.x == kWarp) return value;
  __shared__ float of_warp[kWarp];
  const unsigned lane = threadIdx.x % kWarp;
  __syncthreads();  // the sums of the row before have been read
  if (lane == 0) of_warp[threadIdx.x / kWarp] = value;
  __syncthreads();
  return WarpSum(lane < blockDim.x / kWarp ? of_warp[lane] : 0.0f);
}

// What went wrong with the launches since the last call, nullptr if nothing.
inline const char* LaunchError() {
  const cudaError_t status = cudaGetLastError();
  return status == cudaSuccess ? nullptr : cudaGetErrorString(status);
}

}  // namespace tfwheel

#endif  // TFWHEEL_OPS_COMMON_DEVICE_CUH_
