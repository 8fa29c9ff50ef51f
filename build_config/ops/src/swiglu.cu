// Device code of SwiGLU, forward and gradient: one pass over memory, 16 bytes per load where the pointers allow it.

#include <algorithm>

#include "common/device.cuh"

namespace tfwheel {
// Not anonymous: nvcc names what is in an anonymous namespace after paths and its process, so that no two builds agree.
namespace swiglu {

constexpr int kThreads = 256;
constexpr std::int64_t kMaxBlocks = 1 << 20;

// The quick division is off by 2 units in the last place at most, and gives 0 where the exponential is too large.
__device__ inline float Sigmoid(float value) { return __fdividef(1.0f, 1.0f + expf(-value)); }

template <typename T, int kWidth>
__device__ inline void ForwardPack(const T* gate, const T* up, T* y, std::int64_t i) {
  const Pack<T, kWidth> gates = AsPacks<T, kWidth>(gate)[i];
  const Pack<T, kWidth> ups = AsPacks<T, kWidth>(up)[i];
  Pack<T, kWidth> out;
#pragma unroll
  for (int k = 0; k < kWidth; ++k) {
    const float g = ToFloat(gates.lane[k]);
    out.lane[k] = FromFloat<T>(g * Sigmoid(g) * ToFloat(ups.lane[k]));
  }
  AsPacks<T, kWidth>(y)[i] = out;
}

template <typename T, int kWidth>
__device__ inline void GradientPack(const T* dy, const T* gate, const T* up, T* dgate, T* dup, std::int64_t i) {
  const Pack<T, kWidth> dys = AsPacks<T, kWidth>(dy)[i];
  const Pack<T, kWidth> gates = AsPacks<T, kWidth>(gate)[i];
  const Pack<T, kWidth> ups = AsPacks<T, kWidth>(up)[i];
  Pack<T, kWidth> out_gate, out_up;
#pragma unroll
  for (int k = 0; k < kWidth; ++k) {
    const float d = ToFloat(dys.lane[k]);
    const float g = ToFloat(gates.lane[k]);
    const float s = Sigmoid(g);
    out_gate.lane[k] = FromFloat<T>(d * ToFloat(ups.lane[k]) * s * (1.0f + g * (1.0f - s)));
    out_up.lane[k] = FromFloat<T>(d * g * s);
  }
  AsPacks<T, kWidth>(dgate)[i] = out_gate;
  AsPacks<T, kWidth>(dup)[i] = out_up;
}

template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads) ForwardKernel(const T* gate, const T* up, T* y, std::int64_t size) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  const std::int64_t packs = size / kWidth;
  for (std::int64_t i = first; i < packs; i += stride) ForwardPack<T, kWidth>(gate, up, y, i);
  for (std::int64_t i = packs * kWidth + first; i < size; i += stride) ForwardPack<T, 1>(gate, up, y, i);
}

template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    GradientKernel(const T* dy, const T* gate, const T* up, T* dgate, T* dup, std::int64_t size) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  const std::int64_t packs = size / kWidth;
  for (std::int64_t i = first; i < packs; i += stride) GradientPack<T, kWidth>(dy, gate, up, dgate, dup, i);
  for (std::int64_t i = packs * kWidth + first; i < size; i += stride) {
    GradientPack<T, 1>(dy, gate, up, dgate, dup, i);
  }
}

int Blocks(std::int64_t units) {
  return static_cast<int>(std::clamp<std::int64_t>((units + kThreads - 1) / kThreads, 1, kMaxBlocks));
}

}  // namespace swiglu

template <typename T>
const char* LaunchSwiglu(cudaStream_t stream, const T* gate, const T* up, T* y, std::int64_t size) {
  constexpr int kWidth = kFullWidth<T>;
  if (Aligned(gate, up, y)) {
    swiglu::ForwardKernel<T, kWidth><<<swiglu::Blocks(size / kWidth), swiglu::kThreads, 0, stream>>>(gate, up, y, size);
  } else {
    swiglu::ForwardKernel<T, 1><<<swiglu::Blocks(size), swiglu::kThreads, 0, stream>>>(gate, up, y, size);
  }
  return LaunchError();
}

template <typename T>
const char* LaunchSwigluGrad(cudaStream_t stream, const T* dy, const T* gate, const T* up, T* dgate, T* dup,
                             std::int64_t size) {
  constexpr int kWidth = kFullWidth<T>;
  if (Aligned(dy, gate, up, dgate, dup)) {
    swiglu::GradientKernel<T, kWidth>
        <<<swiglu::Blocks(size / kWidth), swiglu::kThreads, 0, stream>>>(dy, gate, up, dgate, dup, size);
  } else {
    swiglu::GradientKernel<T, 1><<<swiglu::Blocks(size), swiglu::kThreads, 0, stream>>>(dy, gate, up, dgate, dup, size);
  }
  return LaunchError();
}

#define INSTANTIATE(T)                                                                      \
  template const char* LaunchSwiglu<T>(cudaStream_t, const T*, const T*, T*, std::int64_t); \
  template const char* LaunchSwigluGrad<T>(cudaStream_t, const T*, const T*, const T*, T*, T*, std::int64_t)
INSTANTIATE(float);
INSTANTIATE(Half);
INSTANTIATE(Bfloat16);

}  // namespace tfwheel
