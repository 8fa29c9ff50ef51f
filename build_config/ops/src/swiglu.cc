// SwiGLU: y = silu(gate) * up, elementwise, with silu(g) = g * sigmoid(g).
//
// N. Shazeer, "GLU Variants Improve Transformer", 2020, arXiv:2002.05202.

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/kernel.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tfwheel {

// In swiglu.cu. A signature that differs from the one there does not link.
template <typename T>
const char* LaunchSwiglu(Stream, const T* gate, const T* up, T* y, std::int64_t size);
template <typename T>
const char* LaunchSwigluGrad(Stream, const T* dy, const T* gate, const T* up, T* dgate, T* dup, std::int64_t size);

namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

constexpr std::int64_t kCyclesPerElement = 20;  // one exponential, vectorised
constexpr std::int64_t kChunk = 1024;           // sigmoids kept on the stack, to be used twice

template <typename T>
void Forward(Cpu, OpKernelContext* context, const Tensor& gate, const Tensor& up, Tensor* y) {
  const T* gates = Elements<T>(gate);
  const T* ups = Elements<T>(up);
  T* out = Elements<T>(y);
  ParallelFor(context, gate.NumElements(), kCyclesPerElement, [=](std::int64_t begin, std::int64_t end) {
    const auto g = Floats(gates + begin, end - begin);
    const auto u = Floats(ups + begin, end - begin);
    Slots(out + begin, end - begin) = (g / (1.0f + (-g).exp()) * u).template cast<T>();
  });
}

template <typename T>
void Forward(Gpu, OpKernelContext* context, const Tensor& gate, const Tensor& up, Tensor* y) {
  CheckLaunch(context, LaunchSwiglu(StreamOf(context), DeviceElements<T>(gate), DeviceElements<T>(up),
                                    DeviceElements<T>(y), gate.NumElements()));
}

template <typename T>
void Gradient(Cpu, OpKernelContext* context, const Tensor& dy, const Tensor& gate, const Tensor& up, Tensor* dgate,
              Tensor* dup) {
  const T* dys = Elements<T>(dy);
  const T* gates = Elements<T>(gate);
  const T* ups = Elements<T>(up);
  T* out_gate = Elements<T>(dgate);
  T* out_up = Elements<T>(dup);
  ParallelFor(context, gate.NumElements(), 2 * kCyclesPerElement, [=](std::int64_t begin, std::int64_t end) {
    Eigen::Array<float, Eigen::Dynamic, 1, Eigen::ColMajor, kChunk, 1> s;
    for (std::int64_t start = begin; start < end; start += kChunk) {
      const std::int64_t size = std::min(kChunk, end - start);
      const auto d = Floats(dys + start, size);
      const auto g = Floats(gates + start, size);
      const auto u = Floats(ups + start, size);
      s = 1.0f / (1.0f + (-g).exp());
      Slots(out_gate + start, size) = (d * u * s * (1.0f + g * (1.0f - s))).template cast<T>();
      Slots(out_up + start, size) = (d * g * s).template cast<T>();
    }
  });
}

template <typename T>
void Gradient(Gpu, OpKernelContext* context, const Tensor& dy, const Tensor& gate, const Tensor& up, Tensor* dgate,
              Tensor* dup) {
  CheckLaunch(context,
              LaunchSwigluGrad(StreamOf(context), DeviceElements<T>(dy), DeviceElements<T>(gate), DeviceElements<T>(up),
                               DeviceElements<T>(dgate), DeviceElements<T>(dup), gate.NumElements()));
}

// Whether a tensor has the shape of gate, which the others are measured against.
absl::Status CheckShape(const char* name, const Tensor& tensor, const Tensor& gate) {
  if (tensor.shape() == gate.shape()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("swiglu: gate and ", name, " must have the same shape, but gate is ",
                                                 gate.shape().DebugString(), " and ", name, " is ",
                                                 tensor.shape().DebugString()));
}

template <typename Device, typename T>
class SwigluOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& gate = context->input(0);
    const Tensor& up = context->input(1);
    OP_REQUIRES_OK(context, CheckShape("up", up, gate));
    Tensor* y = nullptr;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0, 1}, 0, gate.shape(), &y));
    if (gate.NumElements() > 0) Forward<T>(Device(), context, gate, up, y);
  }
};

template <typename Device, typename T>
class SwigluGradOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& dy = context->input(0);
    const Tensor& gate = context->input(1);
    const Tensor& up = context->input(2);
    OP_REQUIRES_OK(context, CheckShape("up", up, gate));
    OP_REQUIRES_OK(context, CheckShape("dy", dy, gate));
    Tensor* dgate = nullptr;
    Tensor* dup = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, gate.shape(), &dgate));
    OP_REQUIRES_OK(context, context->allocate_output(1, gate.shape(), &dup));
    if (gate.NumElements() > 0) Gradient<T>(Device(), context, dy, gate, up, dgate, dup);
  }
};

// All inputs and outputs have one shape.
absl::Status SameShape(InferenceContext* context) {
  ShapeHandle shape = context->input(0);
  for (int i = 1; i < context->num_inputs(); ++i) {
    TF_RETURN_IF_ERROR(context->Merge(shape, context->input(i), &shape));
  }
  for (int i = 0; i < context->num_outputs(); ++i) context->set_output(i, shape);
  return absl::OkStatus();
}

}  // namespace

REGISTER_OP("Tfwheel>Swiglu")
    .Input("gate: T")
    .Input("up: T")
    .Output("y: T")
    .Attr("T: {float, half, bfloat16}")
    .SetShapeFn(SameShape)
    .Doc("y = gate * sigmoid(gate) * up, computed in float32.");

REGISTER_OP("Tfwheel>SwigluGrad")
    .Input("dy: T")
    .Input("gate: T")
    .Input("up: T")
    .Output("dgate: T")
    .Output("dup: T")
    .Attr("T: {float, half, bfloat16}")
    .SetShapeFn(SameShape)
    .Doc("The gradient of Swiglu.");

TFWHEEL_REGISTER_KERNELS("Tfwheel>Swiglu", SwigluOp);
TFWHEEL_REGISTER_KERNELS("Tfwheel>SwigluGrad", SwigluGradOp);

}  // namespace tfwheel
