// Device code of RMS normalisation, forward and gradient.
//
// A row is worked on by blockDim.x threads: one warp for short rows (blockDim.y rows to a block), a block for
// long ones. A row is read twice, the second time from cache.

#include <algorithm>
#include <climits>

#include "common/device.cuh"

namespace tfwheel {
// Not anonymous: nvcc names what is in an anonymous namespace after paths and its process, so that no two builds agree.
namespace rms_norm {

constexpr int kMaxThreadsPerRow = 512;
constexpr int kMinThreads = 256;
constexpr int kPacksPerThread = 2;  // aimed at: enough loads in flight without idle threads
constexpr std::int64_t kMaxGradBlocks = 512;
constexpr std::size_t kMaxShared = 48 * 1024;  // what a kernel may use on every GPU without asking

// Writes y and inv_rms. A thread has packs threadIdx.x, threadIdx.x + blockDim.x, ... of its row.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kMaxThreadsPerRow)
    ForwardKernel(const T* x, const T* weight, float epsilon, T* y, float* inv_rms, std::int64_t rows,
                  std::int64_t cols) {
  const std::int64_t packs = cols / kWidth;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.y;
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; row < rows; row += step) {
    const auto* xs = AsPacks<T, kWidth>(x + row * cols);
    const auto* weights = AsPacks<T, kWidth>(weight);
    auto* ys = AsPacks<T, kWidth>(y + row * cols);
    float squares = 0.0f;
    for (std::int64_t i = threadIdx.x; i < packs; i += blockDim.x) {
      const Pack<T, kWidth> in = xs[i];
#pragma unroll
      for (int k = 0; k < kWidth; ++k) {
        const float value = ToFloat(in.lane[k]);
        squares += value * value;
      }
    }
    squares = RowSum(squares);
    const float inverse = rsqrtf(squares / static_cast<float>(max(cols, std::int64_t{1})) + epsilon);
    if (threadIdx.x == 0) inv_rms[row] = inverse;
    for (std::int64_t i = threadIdx.x; i < packs; i += blockDim.x) {
      const Pack<T, kWidth> in = xs[i];
      const Pack<T, kWidth> w = weights[i];
      Pack<T, kWidth> out;
#pragma unroll
      for (int k = 0; k < kWidth; ++k) {
        out.lane[k] = FromFloat<T>(ToFloat(in.lane[k]) * inverse * ToFloat(w.lane[k]));
      }
      ys[i] = out;
    }
  }
}

// Writes dx, and for each block the sum of dy * x * inv_rms over its rows.
//
// A sum is kept where only one thread touches it, in shared memory while it fits, else in its place in
// `partials`. Column i * kWidth + k has place k * packs + i, so that neighbouring threads use neighbouring words.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kMaxThreadsPerRow)
    GradientKernel(const T* dy, const T* x, const T* weight, const float* inv_rms, T* dx, float* partials,
                   std::int64_t rows, std::int64_t cols, bool use_shared) {
  extern __shared__ float shared[];
  const std::int64_t packs = cols / kWidth;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.y;
  float* of_block = partials + blockIdx.x * cols;
  float* sums = use_shared ? shared + threadIdx.y * cols : of_block;
  for (std::int64_t i = threadIdx.x; i < packs; i += blockDim.x) {
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sums[k * packs + i] = 0.0f;
  }
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; row < rows; row += step) {
    const auto* dys = AsPacks<T, kWidth>(dy + row * cols);
    const auto* xs = AsPacks<T, kWidth>(x + row * cols);
    const auto* weights = AsPacks<T, kWidth>(weight);
    auto* dxs = AsPacks<T, kWidth>(dx + row * cols);
    float dot = 0.0f;
    for (std::int64_t i = threadIdx.x; i < packs; i += blockDim.x) {
      const Pack<T, kWidth> d = dys[i];
      const Pack<T, kWidth> in = xs[i];
      const Pack<T, kWidth> w = weights[i];
#pragma unroll
      for (int k = 0; k < kWidth; ++k) dot += ToFloat(d.lane[k]) * ToFloat(w.lane[k]) * ToFloat(in.lane[k]);
    }
    dot = RowSum(dot);
    const float inverse = inv_rms[row];
    const float along_x = dot * inverse * inverse / static_cast<float>(cols);
    for (std::int64_t i = threadIdx.x; i < packs; i += blockDim.x) {
      const Pack<T, kWidth> d = dys[i];
      const Pack<T, kWidth> in = xs[i];
      const Pack<T, kWidth> w = weights[i];
      Pack<T, kWidth> out;
#pragma unroll
      for (int k = 0; k < kWidth; ++k) {
        const float d_value = ToFloat(d.lane[k]);
        const float x_value = ToFloat(in.lane[k]);
        out.lane[k] = FromFloat<T>(inverse * (d_value * ToFloat(w.lane[k]) - x_value * along_x));
        sums[k * packs + i] += d_value * x_value * inverse;
      }
      dxs[i] = out;
    }
  }
  if (!use_shared) return;
  __syncthreads();
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
  for (std::int64_t place = thread; place < cols; place += blockDim.x * blockDim.y) {
    float total = 0.0f;
    for (unsigned group = 0; group < blockDim.y; ++group) total += shared[group * cols + place];
    of_block[place] = total;
  }
}

// dweight = the sum of the blocks' sums, in an order that does not depend on the GPU or its load.
template <typename T>
__global__ void __launch_bounds__(kWarp* kWarp)
    AddPartials(const float* partials, T* dweight, std::int64_t parts, std::int64_t cols, int width) {
  __shared__ float of_lane[kWarp][kWarp];
  const std::int64_t packs = cols / width;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kWarp;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kWarp; first < cols; first += step) {
    const std::int64_t place = first + threadIdx.x;
    float total = 0.0f;
    if (place < cols) {
#pragma unroll 4
      for (std::int64_t part = threadIdx.y; part < parts; part += kWarp) total += partials[part * cols + place];
    }
    of_lane[threadIdx.y][threadIdx.x] = total;
    __syncthreads();
    if (threadIdx.y == 0 && place < cols) {
      total = 0.0f;
      for (int lane = 0; lane < kWarp; ++lane) total += of_lane[lane][threadIdx.x];
      dweight[(place % packs) * width + place / packs] = FromFloat<T>(total);
    }
    __syncthreads();
  }
}

int Clamped(std::int64_t blocks, std::int64_t most) {
  return static_cast<int>(std::clamp<std::int64_t>(blocks, 1, most));
}

// Threads per row in x, rows per block in y.
dim3 BlockShape(std::int64_t cols, int width) {
  const std::int64_t wanted = (cols / width + kPacksPerThread - 1) / kPacksPerThread;
  const int warps = Clamped((wanted + kWarp - 1) / kWarp, kMaxThreadsPerRow / kWarp);
  return dim3(warps * kWarp, warps == 1 ? kMinThreads / kWarp : 1);
}

template <typename T, int kWidth>
void Forward(cudaStream_t stream, const T* x, const T* weight, float epsilon, T* y, float* inv_rms, std::int64_t rows,
             std::int64_t cols) {
  const dim3 block = BlockShape(cols, kWidth);
  const int blocks = Clamped((rows + block.y - 1) / block.y, INT_MAX);
  ForwardKernel<T, kWidth><<<blocks, block, 0, stream>>>(x, weight, epsilon, y, inv_rms, rows, cols);
}

template <typename T, int kWidth>
void Gradient(cudaStream_t stream, const T* dy, const T* x, const T* weight, const float* inv_rms, T* dx, T* dweight,
              float* partials, std::int64_t parts, std::int64_t rows, std::int64_t cols) {
  const dim3 block = BlockShape(cols, kWidth);
  const std::size_t shared = block.y * cols * sizeof(float);
  const bool use_shared = shared <= kMaxShared;
  if (parts > 0) {
    GradientKernel<T, kWidth><<<static_cast<int>(parts), block, use_shared ? shared : 0, stream>>>(
        dy, x, weight, inv_rms, dx, partials, rows, cols, use_shared);
  }
  AddPartials<T><<<Clamped((cols + kWarp - 1) / kWarp, INT_MAX), dim3(kWarp, kWarp), 0, stream>>>(partials, dweight,
                                                                                                  parts, cols, kWidth);
}

}  // namespace rms_norm

std::int64_t RmsNormGradParts(std::int64_t rows) { return std::min(rows, rms_norm::kMaxGradBlocks); }

template <typename T>
const char* LaunchRmsNorm(cudaStream_t stream, const T* x, const T* weight, float epsilon, T* y, float* inv_rms,
                          std::int64_t rows, std::int64_t cols) {
  if (cols % kFullWidth<T> == 0 && Aligned(x, weight, y)) {
    rms_norm::Forward<T, kFullWidth<T>>(stream, x, weight, epsilon, y, inv_rms, rows, cols);
  } else {
    rms_norm::Forward<T, 1>(stream, x, weight, epsilon, y, inv_rms, rows, cols);
  }
  return LaunchError();
}

template <typename T>
const char* LaunchRmsNormGrad(cudaStream_t stream, const T* dy, const T* x, const T* weight, const float* inv_rms,
                              T* dx, T* dweight, float* partials, std::int64_t parts, std::int64_t rows,
                              std::int64_t cols) {
  if (cols % kFullWidth<T> == 0 && Aligned(dy, x, weight, dx)) {
    rms_norm::Gradient<T, kFullWidth<T>>(stream, dy, x, weight, inv_rms, dx, dweight, partials, parts, rows, cols);
  } else {
    rms_norm::Gradient<T, 1>(stream, dy, x, weight, inv_rms, dx, dweight, partials, parts, rows, cols);
  }
  return LaunchError();
}

#define INSTANTIATE(T)                                                                                                \
  template const char* LaunchRmsNorm<T>(cudaStream_t, const T*, const T*, float, T*, float*, std::int64_t,            \
                                        std::int64_t);                                                                \
  template const char* LaunchRmsNormGrad<T>(cudaStream_t, const T*, const T*, const T*, const float*, T*, T*, float*, \
                                            std::int64_t, std::int64_t, std::int64_t)
INSTANTIATE(float);
INSTANTIATE(Half);
INSTANTIATE(Bfloat16);

}  // namespace tfwheel
