// RMS normalisation over the last axis: y = x * weight / sqrt(mean(x^2) + epsilon).
//
// B. Zhang, R. Sennrich, "Root Mean Square Layer Normalization", 2019, arXiv:1910.07467.
// The gradients, with r = inv_rms and n columns:
//   dx = r * (weight * dy - x * r^2 / n * sum(dy * weight * x))      dweight = sum over rows of dy * x * r

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/kernel.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tfwheel {

// In rms_norm.cu. A signature that differs from the one there does not link.
std::int64_t RmsNormGradParts(std::int64_t rows);
template <typename T>
const char* LaunchRmsNorm(Stream, const T* x, const T* weight, float epsilon, T* y, float* inv_rms, std::int64_t rows,
                          std::int64_t cols);
template <typename T>
const char* LaunchRmsNormGrad(Stream, const T* dy, const T* x, const T* weight, const float* inv_rms, T* dx, T* dweight,
                              float* partials, std::int64_t parts, std::int64_t rows, std::int64_t cols);

namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

constexpr std::int64_t kCyclesPerElement = 4;
constexpr std::int64_t kMaxCpuParts = 64;  // fixed: the sums of dweight must not depend on the number of threads

// The shape of x without its last axis; only for x of rank 1 or more.
TensorShape Leading(const Tensor& x) {
  TensorShape shape = x.shape();
  shape.RemoveLastDims(1);
  return shape;
}

template <typename T>
void Forward(Cpu, OpKernelContext* context, const Tensor& x, const Tensor& weight, float epsilon, Tensor* y,
             Tensor* inv_rms) {
  const T* xs = Elements<T>(x);
  const T* weights = Elements<T>(weight);
  T* ys = Elements<T>(y);
  float* inverses = Elements<float>(inv_rms);
  const std::int64_t cols = weight.NumElements();
  ParallelFor(context, inv_rms->NumElements(), cols * kCyclesPerElement, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const auto in = Floats(xs + row * cols, cols);
      const float squares = in.square().sum();
      const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(std::max<std::int64_t>(cols, 1)) + epsilon);
      inverses[row] = inverse;
      Slots(ys + row * cols, cols) = (in * inverse * Floats(weights, cols)).template cast<T>();
    }
  });
}

template <typename T>
void Forward(Gpu, OpKernelContext* context, const Tensor& x, const Tensor& weight, float epsilon, Tensor* y,
             Tensor* inv_rms) {
  CheckLaunch(context, LaunchRmsNorm(StreamOf(context), DeviceElements<T>(x), DeviceElements<T>(weight), epsilon,
                                     DeviceElements<T>(y), Elements<float>(inv_rms), inv_rms->NumElements(),
                                     weight.NumElements()));
}

template <typename T>
void Gradient(Cpu, OpKernelContext* context, const Tensor& dy, const Tensor& x, const Tensor& weight,
              const Tensor& inv_rms, Tensor* dx, Tensor* dweight) {
  const T* dys = Elements<T>(dy);
  const T* xs = Elements<T>(x);
  const T* weights = Elements<T>(weight);
  const float* inverses = Elements<float>(inv_rms);
  T* dxs = Elements<T>(dx);
  const std::int64_t rows = inv_rms.NumElements();
  const std::int64_t cols = weight.NumElements();
  const std::int64_t parts = std::min(rows, kMaxCpuParts);
  Eigen::ArrayXXf partials = Eigen::ArrayXXf::Zero(cols, parts);
  const auto work = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      for (std::int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row) {
        const auto d = Floats(dys + row * cols, cols);
        const auto in = Floats(xs + row * cols, cols);
        const auto w = Floats(weights, cols);
        const float inverse = inverses[row];
        const float along_x = (d * w * in).sum() * inverse * inverse / static_cast<float>(cols);
        Slots(dxs + row * cols, cols) = (inverse * (d * w - in * along_x)).template cast<T>();
        partials.col(part) += d * in * inverse;
      }
    }
  };
  ParallelFor(context, parts, 3 * kCyclesPerElement * cols * (rows / std::max<std::int64_t>(parts, 1)), work);
  Slots(Elements<T>(dweight), cols) = partials.rowwise().sum().template cast<T>();
}

template <typename T>
void Gradient(Gpu, OpKernelContext* context, const Tensor& dy, const Tensor& x, const Tensor& weight,
              const Tensor& inv_rms, Tensor* dx, Tensor* dweight) {
  const std::int64_t rows = inv_rms.NumElements();
  const std::int64_t cols = weight.NumElements();
  const std::int64_t parts = RmsNormGradParts(rows);
  Tensor partials;
  OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT, TensorShape({parts, cols}), &partials));
  CheckLaunch(context, LaunchRmsNormGrad(StreamOf(context), DeviceElements<T>(dy), DeviceElements<T>(x),
                                         DeviceElements<T>(weight), Elements<float>(inv_rms), DeviceElements<T>(dx),
                                         DeviceElements<T>(dweight), Elements<float>(&partials), parts, rows, cols));
}

absl::Status CheckInputs(const Tensor& x, const Tensor& weight) {
  if (x.dims() < 1) {
    return absl::InvalidArgumentError("rms_norm: x must have at least 1 axis, but is a scalar");
  }
  if (weight.dims() != 1 || weight.dim_size(0) != x.dim_size(x.dims() - 1)) {
    return absl::InvalidArgumentError(absl::StrCat("rms_norm: weight must have the shape of the last axis of x, [",
                                                   x.dim_size(x.dims() - 1), "], but is ",
                                                   weight.shape().DebugString()));
  }
  return absl::OkStatus();
}

absl::Status CheckGradInputs(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& inv_rms) {
  TF_RETURN_IF_ERROR(CheckInputs(x, weight));
  if (dy.shape() != x.shape()) {
    return absl::InvalidArgumentError(absl::StrCat("rms_norm: dy must have the shape of x, ", x.shape().DebugString(),
                                                   ", but is ", dy.shape().DebugString()));
  }
  if (inv_rms.shape() != Leading(x)) {
    return absl::InvalidArgumentError(absl::StrCat("rms_norm: inv_rms must have the shape of x without its last axis, ",
                                                   Leading(x).DebugString(), ", but is ",
                                                   inv_rms.shape().DebugString()));
  }
  return absl::OkStatus();
}

template <typename Device, typename T>
class RmsNormOp : public OpKernel {
 public:
  explicit RmsNormOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &epsilon_));
    OP_REQUIRES(context, std::isfinite(epsilon_) && epsilon_ >= 0.0f,
                absl::InvalidArgumentError(
                    absl::StrCat("rms_norm: epsilon must be finite and not negative, but is ", epsilon_)));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const Tensor& weight = context->input(1);
    OP_REQUIRES_OK(context, CheckInputs(x, weight));
    Tensor* y = nullptr;
    Tensor* inv_rms = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, Leading(x), &inv_rms));
    if (inv_rms->NumElements() > 0) Forward<T>(Device(), context, x, weight, epsilon_, y, inv_rms);
  }

 private:
  float epsilon_;
};

template <typename Device, typename T>
class RmsNormGradOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& dy = context->input(0);
    const Tensor& x = context->input(1);
    const Tensor& weight = context->input(2);
    const Tensor& inv_rms = context->input(3);
    OP_REQUIRES_OK(context, CheckGradInputs(dy, x, weight, inv_rms));
    Tensor* dx = nullptr;
    Tensor* dweight = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &dx));
    OP_REQUIRES_OK(context, context->allocate_output(1, weight.shape(), &dweight));
    // Without rows dweight is still to be filled: with zeros.
    if (weight.NumElements() > 0) Gradient<T>(Device(), context, dy, x, weight, inv_rms, dx, dweight);
  }
};

// Merges the last axis of input `x` with that of input `weight`.
absl::Status InferInputs(InferenceContext* context, int x_index, int weight_index, ShapeHandle* x,
                         ShapeHandle* weight) {
  TF_RETURN_IF_ERROR(context->WithRankAtLeast(context->input(x_index), 1, x));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(weight_index), 1, weight));
  DimensionHandle cols;
  TF_RETURN_IF_ERROR(context->Merge(context->Dim(*x, -1), context->Dim(*weight, 0), &cols));
  TF_RETURN_IF_ERROR(context->ReplaceDim(*x, -1, cols, x));
  *weight = context->Vector(cols);
  return absl::OkStatus();
}

absl::Status ForwardShape(InferenceContext* context) {
  ShapeHandle x, weight, leading;
  TF_RETURN_IF_ERROR(InferInputs(context, 0, 1, &x, &weight));
  TF_RETURN_IF_ERROR(context->Subshape(x, 0, -1, &leading));
  context->set_output(0, x);
  context->set_output(1, leading);
  return absl::OkStatus();
}

absl::Status GradientShape(InferenceContext* context) {
  ShapeHandle x, weight;
  TF_RETURN_IF_ERROR(InferInputs(context, 1, 2, &x, &weight));
  TF_RETURN_IF_ERROR(context->Merge(x, context->input(0), &x));
  context->set_output(0, x);
  context->set_output(1, weight);
  return absl::OkStatus();
}

}  // namespace

REGISTER_OP("Tfwheel>RmsNorm")
    .Input("x: T")
    .Input("weight: T")
    .Output("y: T")
    .Output("inv_rms: float")
    .Attr("T: {float, half, bfloat16}")
    .Attr("epsilon: float = 1e-6")
    .SetShapeFn(ForwardShape)
    .Doc("y = x * weight * inv_rms with inv_rms = 1 / sqrt(mean(x^2) + epsilon) over the last axis, in float32.");

REGISTER_OP("Tfwheel>RmsNormGrad")
    .Input("dy: T")
    .Input("x: T")
    .Input("weight: T")
    .Input("inv_rms: float")
    .Output("dx: T")
    .Output("dweight: T")
    .Attr("T: {float, half, bfloat16}")
    .SetShapeFn(GradientShape)
    .Doc("The gradient of RmsNorm; the sums of dweight are added in a fixed order.");

TFWHEEL_REGISTER_KERNELS("Tfwheel>RmsNorm", RmsNormOp);
TFWHEEL_REGISTER_KERNELS("Tfwheel>RmsNormGrad", RmsNormGradOp);

}  // namespace tfwheel
