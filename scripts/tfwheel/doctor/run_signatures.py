"""The known failures of an import, and on a GPU; the order is the order of blame.

``OWN`` begins what makes a message TensorFlow's own.
"""

from __future__ import annotations

from tfwheel.doctor.choice import JIT_TIME
from tfwheel.doctor.signatures import ABOUT, FOREIGN, NO_MEMORY, Signature

OWN = r"(?:tensorflow|tfwheel|\bxla|function_node|InternalError|\.(?:cc|h):\d)"

ENDS_A_RUN = (
    # --- what ends an import ---------------------------------------------------------------------------
    Signature(
        "illegal-instruction",
        (r"Illegal instruction(?! .*\./)", r"died with <Signals\.SIGILL", r"exit code:? 132\b"),
        "The program has instructions that this processor lacks: it was built for a newer one.",
        "Install a wheel for every x86_64 with AVX, as the official ones and those of this index are.",
        needs=(r"tensorflow/(?:core|compiler|python|tsl)|local_xla|import (?:tensorflow|keras)",),
        unless=(r"^\$ \./",),
    ),
    Signature(
        "glibc",
        (
            (
                r"(?P<library>[^\s:]{1,200}): version .(?P<wanted>(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+). not found"
                r" \(required by [^()]*(?:tensorflow|tfwheel|_pywrap|ydf|tf_)"
            ),
        ),
        "A library was built on a newer Linux: it needs {wanted}, which {library} here lacks.",
        "Install a wheel with a manylinux tag, which says the oldest glibc that it runs on.",
    ),
    Signature(
        "numpy-too-new",
        (r"compiled using NumPy 1\.x cannot be run in", r"_ARRAY_API not found"),
        "A module was built for numpy 1, and numpy 2 is installed.",
        (
            "Take TensorFlow 2.18 or newer, and the newest version of the package that fails; else numpy<2 in an "
            "environment of its own."
        ),
    ),
    Signature(
        "numpy-size",
        (
            r"numpy\.(?:dtype|ndarray) size changed, may indicate binary incompatibility",
            r"numpy\._?core\.(?:multiarray|umath|_multiarray_umath) failed to import",
        ),
        "A module was built for another numpy than the one that is loaded; often that is an old one, still in memory.",
        "Restart the session. If it comes again, upgrade the package that fails, or keep to one major of numpy.",
    ),
    Signature(
        "protobuf-too-old",
        (
            r"Detected (?:incompatible|mismatched) Protobuf Gencode/Runtime",
            r"cannot import name 'runtime_version' from 'google\.protobuf'",
        ),
        "Code made by a newer protobuf meets an older protobuf.",
        (
            "Take a TensorFlow made by the protobuf of your runtime or an older one (2.20: 5.28.3, 2.21: "
            "6.31.1); the file in the log says whose code it is."
        ),
    ),
    Signature(
        "protobuf-too-new",
        (r"'MessageFactory' object has no attribute 'GetPrototype'",),
        "TensorFlow up to 2.19 uses a function that protobuf 6.30 removed.",
        'Run `pip install "protobuf<6"`, or take TensorFlow 2.20.',
    ),
    Signature(
        "protobuf-very-old-code",
        (r"Descriptors can ?not be created directly",),
        "A package has code made by a very old protobuf.",
        "Upgrade the package whose file is above that line in the log.",
    ),
    Signature(
        "keras-3",
        (
            r"Your currently installed version of Keras is Keras 3",
            r"No module named 'keras\.src\.engine'",
            r"`?tf\.keras`? .*Keras 3.*tf-keras",
        ),
        "From 2.16 on TensorFlow has Keras 3, and this package needs Keras 2.",
        "Install `tf_keras` of TensorFlow's minor version, and set `TF_USE_LEGACY_KERAS=1` before the import.",
    ),
    Signature(
        "not-installed",
        (r"^(?:E )?ModuleNotFoundError: No module named 'tensorflow'",),
        "The Python that ran has no TensorFlow: it was installed into another one, or not at all.",
        "Install with that Python: `python3 -m pip install …`, in a notebook `%pip install …`.",
    ),
    Signature(
        "op-of-another-tensorflow",
        (
            r"undefined symbol: _Z\w{0,200}?(?:10tensorflow|3tsl|3xla)",
            r"/(?:tensorflow|tf_|tfwheel|ydf|keras)\S{0,200}: undefined symbol: _Z\w{0,200}?4absl12lts_",
        ),
        "A package with ops of its own was built for another TensorFlow.",
        (
            "Install the version of that package for this TensorFlow minor; if TensorFlow was built differently, "
            "rebuild the package."
        ),
        needs=ABOUT,
        unless=FOREIGN,
    ),
    # --- what goes wrong on a GPU ----------------------------------------------------------------------
    Signature(
        "driver-too-old",
        (
            r"CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
            r"Unsupported \.version [\d.]+; current version is",
            r"CUDA driver version is insufficient for CUDA runtime version",
        ),
        "The GPU code was made by a CUDA newer than the driver.",
        (
            "Take a wheel with native code for this GPU (this program without --log finds it); a driver of Colab "
            "cannot be changed."
        ),
        needs=ABOUT,
        unless=FOREIGN,
    ),
    Signature(
        "xla-ptx",
        (r"PTX version [\d.]+ does not support target .?sm_",),
        "XLA writes its PTX for the CUDA that it was built with, which does not know this GPU.",
        "Take a wheel made for this GPU: one with native code for compute capability 12.0.",
        unless=FOREIGN,
    ),
    Signature(
        "ptx-invalid",
        (r"CUDA_ERROR_INVALID_PTX", r"CUDA_ERROR_INVALID_HANDLE"),
        (
            "This TensorFlow has no code for this GPU that its driver can use: the official wheels fail so on "
            "RTX 50 and G4."
        ),
        "Take a wheel with native code for compute capability 12.0; this program without --log finds it.",
        needs=ABOUT,
        unless=FOREIGN,
    ),
    Signature(
        "no-kernel",
        (
            rf"{OWN}.*no kernel image is available",
            rf"{OWN}.*cudaErrorNoKernelImageForDevice",
        ),
        "A library has neither SASS nor usable PTX for this GPU.",
        "Take a wheel with code for this GPU; this program without --log finds it.",
        needs=ABOUT,
        unless=FOREIGN,
    ),
    Signature(
        "ptx-compiled",
        (r"not built with CUDA kernel binaries compatible with compute capability",),
        f"There is no SASS for this GPU, so that the driver compiles PTX at the first start. {JIT_TIME}",
        "Wait once (the driver keeps the result), or take a wheel with native code for this GPU.",
    ),
    Signature(
        "ptxas",
        (
            r"Couldn't invoke ptxas",
            r"Couldn't get ptxas version",
            r"bin/ptxas not found",
            r"No PTX compilation provider is available",
            r"libdevice not found at",
            r"Can't find libdevice directory",
        ),
        "XLA does not find ptxas or libdevice, which are in CUDA's compiler package.",
        (
            "Install `nvidia-cuda-nvcc-cu12` of the wheel's CUDA, or point XLA to one: "
            "`XLA_FLAGS=--xla_gpu_cuda_data_dir=/usr/local/cuda`."
        ),
    ),
    Signature(
        "cudnn-too-old",
        (
            r"Loaded runtime CuDNN library: [\d.]+(?: \(compatibility version \d+\))? but source was compiled with",
            r"DNN library initialization failed",
        ),
        "An older cuDNN was loaded than the wheel needs: one of the system, or one that another package asked for.",
        "Run `pip install -U nvidia-cudnn-cu12`, see that LD_LIBRARY_PATH does not hide it, and restart the session.",
        needs=ABOUT,
        unless=FOREIGN + NO_MEMORY,
    ),
    Signature(
        "cuda-of-another-major",
        (r"Could not load dynamic library '(?P<library>lib\w+\.so\.[\d.]+)'; dlerror: (?P=library): ",),
        "This TensorFlow looks for {library}, which is not here: it was built for another CUDA than there is.",
        "Take a wheel for the CUDA of this machine.",
        unless=(r"libnvinfer",),
    ),
    Signature(
        "cuda-libraries",
        (r"Cannot dlopen some GPU libraries",),
        "One of CUDA's libraries is not found; this log does not say which.",
        "Run again with `TF_CPP_MAX_VLOG_LEVEL=3`, which names it; outside Colab install `tensorflow[and-cuda]`.",
        unless=(r"CUDA_VISIBLE_DEVICES\W{1,4}-1",),
    ),
)
