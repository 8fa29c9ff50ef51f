// What OpKernels share: devices as tags, the CUDA stream, work on the CPU's thread pool, registration for every dtype.

#ifndef TFWHEEL_OPS_COMMON_KERNEL_H_
#define TFWHEEL_OPS_COMMON_KERNEL_H_

#include <cstdint>
#include <functional>

#include "Eigen/Core"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/element.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/util/work_sharder.h"
#include "xla/stream_executor/stream.h"

#ifdef __x86_64__
// The first expf of glibc: by default the linker takes that of 2.27, and the wheel could not keep TensorFlow's tag.
__asm__(".symver expf, expf@GLIBC_2.2.5");
#endif

namespace tfwheel {

struct Cpu {};
struct Gpu {};

// The type that device code uses for TensorFlow's T.
template <typename T>
struct DeviceType {
  using type = T;
};
template <>
struct DeviceType<Eigen::half> {
  using type = Half;
};
template <>
struct DeviceType<Eigen::bfloat16> {
  using type = Bfloat16;
};

// The elements of a tensor as host code sees them; a slice of another tensor need not be aligned.
template <typename T>
const T* Elements(const tensorflow::Tensor& tensor) {
  return tensor.unaligned_flat<T>().data();
}
template <typename T>
T* Elements(tensorflow::Tensor* tensor) {
  return tensor->unaligned_flat<T>().data();
}

// The elements of a tensor as device code sees them.
template <typename T>
auto DeviceElements(const tensorflow::Tensor& tensor) {
  return reinterpret_cast<const typename DeviceType<T>::type*>(Elements<T>(tensor));
}
template <typename T>
auto DeviceElements(tensorflow::Tensor* tensor) {
  return reinterpret_cast<typename DeviceType<T>::type*>(Elements<T>(tensor));
}

// Elements [start, start + size) as an array of floats that is never stored.
template <typename T>
auto Floats(const T* start, std::int64_t size) {
  return Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>(start, size).template cast<float>();
}

// Elements [start, start + size) to be assigned to.
template <typename T>
auto Slots(T* start, std::int64_t size) {
  return Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>(start, size);
}

inline Stream StreamOf(tensorflow::OpKernelContext* context) {
  return static_cast<Stream>(context->op_device_context()->stream()->platform_specific_handle().stream);
}

// Fails the op if a launch function returned a message.
inline void CheckLaunch(tensorflow::OpKernelContext* context, const char* error) {
  OP_REQUIRES(context, error == nullptr, absl::InternalError(absl::StrCat("CUDA launch failed: ", error)));
}

// Calls work(begin, end) on the op's threads until [0, total) is done; cost is that of one unit, in cycles.
inline void ParallelFor(tensorflow::OpKernelContext* context, std::int64_t total, std::int64_t cost,
                        const std::function<void(std::int64_t, std::int64_t)>& work) {
  const auto* threads = context->device()->tensorflow_cpu_worker_threads();
  tensorflow::Shard(threads->num_threads, threads->workers, total, cost, work);
}

}  // namespace tfwheel

#define TFWHEEL_REGISTER_ON(NAME, CLASS, DEVICE, TAG)                                                          \
  REGISTER_KERNEL_BUILDER(Name(NAME).Device(DEVICE).TypeConstraint<float>("T"), CLASS<::tfwheel::TAG, float>); \
  REGISTER_KERNEL_BUILDER(Name(NAME).Device(DEVICE).TypeConstraint<Eigen::half>("T"),                          \
                          CLASS<::tfwheel::TAG, Eigen::half>);                                                 \
  REGISTER_KERNEL_BUILDER(Name(NAME).Device(DEVICE).TypeConstraint<Eigen::bfloat16>("T"),                      \
                          CLASS<::tfwheel::TAG, Eigen::bfloat16>)

// Registers CLASS<device, T> for every dtype, on the CPU and, in a build with device code, on the GPU.
#ifdef TFWHEEL_OPS_GPU
#define TFWHEEL_REGISTER_KERNELS(NAME, CLASS)                      \
  TFWHEEL_REGISTER_ON(NAME, CLASS, ::tensorflow::DEVICE_CPU, Cpu); \
  TFWHEEL_REGISTER_ON(NAME, CLASS, ::tensorflow::DEVICE_GPU, Gpu)
#else
#define TFWHEEL_REGISTER_KERNELS(NAME, CLASS) TFWHEEL_REGISTER_ON(NAME, CLASS, ::tensorflow::DEVICE_CPU, Cpu)
#endif

#endif  // TFWHEEL_OPS_COMMON_KERNEL_H_
