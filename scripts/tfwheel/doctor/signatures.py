"""The failures of TensorFlow on Colab and Linux that are known: how a log shows each, its cause and its remedy.

The order is the order of blame: the first signature that a log shows is its cause. What ends a run comes before what
only warns, the special before the general, and "nothing was installed" comes last.

In a pattern a space stands for any white space, since installers wrap their lines. ``{name}`` in a cause or a remedy is
the group of that name. Sources are issue threads of colabtools, TensorFlow and others, and the installers themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

TENSORFLOW = r"tensorflow|tf[._-]keras|\bkeras\b|tfwheel|\bxla\b|\bydf_tf\b"  # a log that is about it
INSTALLER = r"\b(?:pip|uv)3? |Collecting |Downloading |Resolved \d|site-packages|dist-packages|Requirement already"
PROJECT = r"(?:tensorflow|tensorflow-cpu|tfwheel-ops)"
COMPANION = r"(?:tensorflow[-_]text|tf[-_]keras|ydf[-_]tf|tensorflow[-_]decision[-_]forests|tensorflow[-_]io)"

# Lines that are printed by healthy runs, or that say nothing of a cause: never looked at.
NOISE = (
    r"Unable to register cu(?:DNN|FFT|BLAS) factory",
    r"computation placer (?:already|is already) registered",
    r"All log messages before absl::InitializeLog",
    r"TF-TRT Warning",
    r"oneDNN custom operations are on",
    r"This TensorFlow binary is optimized",
    r"To enable the following instructions",
    r"NUMA node read from SysFS",
    r"could not open file to read NUMA node",
    r"Protobuf gencode version .* is exactly one major version older",
    r"exactly one major version older than the runtime version",
    r"failed call to cuInit: (?:UNKNOWN ERROR \(303\)|INTERNAL: CUDA error: Failed call to cuInit)",
    r"kernel driver does not appear to be running",
    r"Could not find cuda drivers on your machine",
    r"A new release of pip",
    r"Running pip as the 'root' user",
    r"Cache entry deserialization failed",
    r"Compiled cluster using XLA",
    r"Loaded cuDNN version",
)


@dataclass(frozen=True)
class Signature:
    """One known failure.

    ``shows`` are patterns, one of which a log must have. ``needs`` are patterns that it must have all of, anywhere, and
    ``unless`` none of.
    """

    name: str
    shows: tuple[str, ...]
    cause: str
    remedy: str
    needs: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


ABOUT = (TENSORFLOW,)
FOREIGN = (r"torch\.AcceleratorError|torch/csrc|c10::|site-packages/torch/|dist-packages/torch/",)

SIGNATURES = (
    # --- what ends an installation ---------------------------------------------------------------------
    Signature(
        "uv-constraints",
        (r"File not found: .?\./backend-container/containers/",),
        "Colab has set UV_CONSTRAINT or UV_BUILD_CONSTRAINT to a file that is not there.",
        "Run `import os; [os.environ.pop(k, None) for k in ('UV_CONSTRAINT', 'UV_BUILD_CONSTRAINT')]`, then install again.",
    ),
    Signature(
        "cell-syntax",
        (r"(?m)^ *(?:uv )?pip install .*\n *\^+\n *SyntaxError: invalid syntax",),
        "The command was typed as Python: a cell needs a sign before it.",
        "Write `%pip install …`, or `!uv pip install --system …`.",
    ),
    Signature(
        "uv-no-environment",
        (r"No virtual environment found",),
        "uv installs into a virtual environment unless told otherwise, and there is none.",
        "In Colab add `--system`; on your own machine run `uv venv` first.",
    ),
    Signature(
        "externally-managed",
        (r"externally[- ]managed[- ]environment", r"is externally managed"),
        "This Python belongs to the operating system, which forbids pip to change it.",
        "Make a virtual environment: `python3 -m venv tf && tf/bin/pip install …`.",
    ),
    Signature(
        "disk",
        (r"\[Errno 28\]", r"No space left on device"),
        "The disk is full. A TensorFlow wheel needs its size and 1.8 GB more.",
        "Delete what is not needed (`pip cache purge`), or start a new session; then install with `--no-cache-dir`.",
        needs=(INSTALLER,),
    ),
    Signature(
        "hash",
        (r"DO NOT MATCH THE HASHES", r"Hash mismatch for", r"Expected sha256 [0-9a-f]{64}"),
        "The file that came is not the one that was promised: damaged on its way, old in a cache, or replaced.",
        "Install again with `--no-cache-dir` (uv: `--refresh`). If it stays, do not install it: tell the owner of the index.",
    ),
    Signature(
        "tag",
        (
            r"is not a supported wheel on this platform",
            rf"only {PROJECT}==\S+ is available and {PROJECT}==\S+ has no wheels with a matching",
            r"wheel is incompatible with the current (?:Python|platform)",
            r"(?:is not compatible|incompatible) with the current (?:Python|platform|version of Python)",
        ),
        "The wheel is for another Python or another system, as its name says (cp312 is Python 3.12).",
        "Install by version from the index, not by file: the installer then takes the file for this Python.",
    ),
    Signature(
        "index-refused",
        (
            r"40[13] (?:Client Error|Forbidden|Unauthorized)",
            r"HTTP error 40[13]",
            r"lack of valid authentication credentials",
        ),
        "The index refuses to answer (403 or 401). uv stops there, and so does what is only on that index.",
        "Compare the URL with the page of the index, line and slash at its end included: a static host answers 403 for a page that is not there.",
        needs=(INSTALLER,),
    ),
    Signature(
        "file-gone",
        (r"404 (?:Client Error|Not Found)", r"HTTP error 404"),
        "The index names a file that is not there any more.",
        "Tell the owner of the index; until then take an older build.",
        needs=(INSTALLER, TENSORFLOW),
    ),
    Signature(
        "network",
        (
            r"Temporary failure in name resolution",
            r"Name or service not known",
            r"dns error",
            r"Failed to establish a new connection",
            r"failed to lookup address information",
        ),
        "The index cannot be reached from this machine.",
        "Check the URL and the network: `curl -I URL`.",
        needs=(INSTALLER,),
    ),
    Signature(
        "pin-without-index",
        (
            rf"No matching distribution found for {PROJECT}(?:\[[a-z,-]+\])?==[\d.]+\+[a-z0-9.]+",
            rf"there (?:is|are) no version(?:s)? of {PROJECT}(?:\[[a-z,-]+\])?==[\d.]+\+[a-z0-9.]+",
        ),
        "A version with a label (+cu125.3) is on the index that made it alone, and the command does not name that index.",
        "Copy the whole command from the page, with `--extra-index-url`.",
        unless=(r"(?:extra-index-url|--index|Looking in indexes: \S+,)", r"from versions: [^)]*\+cu"),
    ),
    Signature(
        "index-gave-nothing",
        (
            rf"from versions: [^)+]*\)\n(?:.*\n)*?.*No matching distribution found for {PROJECT}(?:\[[a-z,-]+\])?==[\d.]+\+",
        ),
        "The index that the command names has shown no TensorFlow: its URL is wrong, or it refused, which pip does not say.",
        "Copy the whole command from the page of the index, and open its URL in a browser.",
        needs=(r"Looking in indexes: \S+, *\S",),
    ),
    Signature(
        "pin-not-there",
        (
            rf"(?:Because )?{PROJECT}==[\d.]+\+[a-z0-9.]+ has no wheels with a matching Python",
            rf"No matching distribution found for {PROJECT}(?:\[[a-z,-]+\])?==[\d.]+\+[a-z0-9.]+",
            rf"there (?:is|are) no version(?:s)? of {PROJECT}(?:\[[a-z,-]+\])?==[\d.]+\+[a-z0-9.]+",
        ),
        "The index has no such build of TensorFlow for this Python.",
        "Ask the page of the index, or this program without --log, for the version for your Python.",
    ),
    Signature(
        "no-dist",
        (
            rf"No matching distribution found for {PROJECT}(?![\w-])",
            rf"there (?:is|are) no version(?:s)? of {PROJECT}(?![\w-])",
            rf"{PROJECT}(?:[<>=!~]=?[^ ]+)? (?:has|have) no wheels with a matching",
            rf"{PROJECT} was not found in the (?:package registry|cache)",
        ),
        "There is no TensorFlow of that version for this Python; the versions in the log are those that there are.",
        "Take one of the versions listed, or a Colab runtime with an older Python. Never change Python in place.",
    ),
    Signature(
        "conflict",
        (r"ResolutionImpossible", r"No solution found when resolving .*\n(?:.*\n){0,20}?.*depends? on"),
        "Two requirements contradict each other; the log names them.",
        "Drop the pin that is named last, or install TensorFlow alone, with the constraints file of your runtime.",
    ),
    Signature(
        "source-build",
        (r"Failed building wheel for", r"Failed to build (?:installable wheels|`)", r"Precompiled wheel not found"),
        "No wheel matched, so that the installer tried to compile the package.",
        "Add `--only-binary :all:`; then it says which versions there are for this Python.",
        needs=(r"Building wheels? for (?:tensorflow|tf[-_]|h5py|grpcio|numpy|ml[-_]dtypes)|Precompiled wheel",),
    ),
    Signature(
        "build-memory",
        (r"Server terminated abruptly \(error code: 14", r"Killed signal terminated program cc1plus"),
        "The compiler ran out of memory.",
        "Do not build TensorFlow in Colab: install a wheel.",
    ),
    Signature(
        "killed",
        (r"(?m)^.*\bKilled\b(?: +(?:pip|uv|python).*)?$", r"exit code 137", r"died with <Signals\.SIGKILL"),
        "The system ended the process because memory ran out.",
        "Restart the session to free memory; install before loading data, and with `--no-cache-dir`.",
        needs=(TENSORFLOW,),
    ),
    # --- what ends an import ---------------------------------------------------------------------------
    Signature(
        "illegal-instruction",
        (r"Illegal instruction", r"died with <Signals\.SIGILL", r"exit code 132"),
        "The program has instructions that this processor lacks: it was built for a newer one.",
        "Install a wheel for every x86_64 with AVX, as the official ones and those of this index are.",
        needs=ABOUT,
    ),
    Signature(
        "glibc",
        (
            r"(?P<library>\S+): version .(?P<wanted>(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+). not found"
            r" \(required by [^)]*(?:tensorflow|tfwheel|_pywrap|ydf|tf_)",
        ),
        "A library was built on a newer Linux: it needs {wanted}, which {library} here lacks.",
        "Install a wheel with a manylinux tag, which says the oldest glibc that it runs on.",
    ),
    Signature(
        "numpy-size",
        (r"numpy\.(?:dtype|ndarray) size changed, may indicate binary incompatibility",),
        "A module was built for another numpy than the one that is loaded; often that is an old one, still in memory.",
        "Restart the session. If it comes again, upgrade the package that fails, or keep to one major of numpy.",
    ),
    Signature(
        "numpy-too-new",
        (r"compiled using NumPy 1\.x cannot be run in", r"_ARRAY_API not found"),
        "A module was built for numpy 1, and numpy 2 is installed.",
        "Take TensorFlow 2.18 or newer, and the newest version of the package that fails; else numpy<2 in an environment of its own.",
    ),
    Signature(
        "protobuf-too-old",
        (
            r"Detected (?:incompatible|mismatched) Protobuf Gencode/Runtime.*?gencode (?P<made>[\d.]+).*?runtime (?P<has>[\d.]+)",
            r"Detected (?:incompatible|mismatched) Protobuf Gencode/Runtime",
            r"cannot import name 'runtime_version' from 'google\.protobuf'",
        ),
        "Code made by a newer protobuf meets an older protobuf.",
        "Take a TensorFlow made by the protobuf of your runtime or an older one (2.20: 5.28.3, 2.21: 6.31.1); the file in the log says whose code it is.",
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
        (r"No module named 'tensorflow'",),
        "The Python that ran has no TensorFlow: it was installed into another one, or not at all.",
        "Install with that Python: `python3 -m pip install …`, in a notebook `%pip install …`.",
    ),
    Signature(
        "op-of-another-tensorflow",
        (
            r"undefined symbol: _ZNK?St?\d*\w*10tensorflow",
            r"undefined symbol: _ZNK?(?:10tensorflow|3tsl|3xla|4absl12lts_)\w+",
            r"undefined symbol: _ZT[IV]\w*10tensorflow\w*",
        ),
        "A package with ops of its own was built for another TensorFlow.",
        "Install the version of that package for this TensorFlow minor; if TensorFlow was built differently, rebuild the package.",
        needs=ABOUT,
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
        "Take a wheel with native code for this GPU (this program without --log finds it); a driver of Colab cannot be changed.",
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
        "This TensorFlow has no code for this GPU that its driver can use: the official wheels fail so on RTX 50 and G4.",
        "Take a wheel with native code for compute capability 12.0; this program without --log finds it.",
        needs=ABOUT,
        unless=FOREIGN,
    ),
    Signature(
        "no-kernel",
        (r"no kernel image is available", r"cudaErrorNoKernelImageForDevice"),
        "A library has neither SASS nor usable PTX for this GPU.",
        "Take a wheel with code for this GPU; this program without --log finds it.",
        needs=ABOUT,
        unless=FOREIGN,
    ),
    Signature(
        "ptx-compiled",
        (r"not built with CUDA kernel binaries compatible with compute capability",),
        "There is no SASS for this GPU, so that the driver compiles PTX: 30 minutes at the first start.",
        "Wait once (the driver keeps the result), or take a wheel with native code for this GPU.",
    ),
    Signature(
        "ptxas",
        (
            r"Couldn't invoke ptxas",
            r"Couldn't get ptxas version",
            r"No PTX compilation provider is available",
            r"libdevice not found at",
            r"Can't find libdevice directory",
        ),
        "XLA does not find ptxas or libdevice, which are in CUDA's compiler package.",
        "Install `nvidia-cuda-nvcc-cu12` of the wheel's CUDA, or point XLA to one: `XLA_FLAGS=--xla_gpu_cuda_data_dir=/usr/local/cuda`.",
    ),
    Signature(
        "cudnn-too-old",
        (
            r"Loaded runtime CuDNN library: (?P<has>[\d.]+) but source was compiled with: (?P<wanted>[\d.]+)",
            r"DNN library initialization failed",
            r"CUDNN_STATUS_NOT_INITIALIZED",
        ),
        "An older cuDNN was loaded than the wheel needs: one of the system, or one that another package asked for.",
        "Run `pip install -U nvidia-cudnn-cu12`, see that LD_LIBRARY_PATH does not hide it, and restart the session.",
        needs=ABOUT,
        unless=FOREIGN,
    ),
    Signature(
        "cuda-of-another-major",
        (r"Could not load dynamic library '(?P<library>lib\w+\.so\.[\d.]+)'",),
        "This TensorFlow looks for {library}, of another CUDA than there is.",
        "Take a wheel for the CUDA of this machine.",
        unless=(r"libnvinfer",),
    ),
    Signature(
        "cuda-libraries",
        (r"Cannot dlopen some GPU libraries",),
        "One of CUDA's libraries is not found; this log does not say which.",
        "Run again with `TF_CPP_MAX_VLOG_LEVEL=3`, which names it; outside Colab install `tensorflow[and-cuda]`.",
    ),
    # --- what only warns, or does nothing --------------------------------------------------------------
    Signature(
        "kernel-packages",
        (r"Upgrading ipython, ipykernel, tornado, prompt-toolkit", r"Successfully installed .*\bipykernel-\d"),
        "The installation replaced packages of the notebook itself.",
        "Use `Disconnect and delete runtime`, and install with the constraints file of the runtime.",
    ),
    Signature(
        "other-version",
        (rf"Successfully installed .*\btensorflow-\d+\.\d+\.\d+(?![\d+])",),
        "pip takes the highest version of all indexes: with -U that is PyPI's newest.",
        "Install one exact version with its label, as in `==2.20.0+cu125.3`.",
        needs=(r"extra-index-url|Looking in indexes: \S+,", r" -U |--upgrade"),
    ),
    Signature(
        "companion",
        (rf"{COMPANION} \S+ (?:requires|has requirement) tensorflow[^\n]*, but you have tensorflow \S+",),
        "A package that was built for another TensorFlow minor is installed beside this one.",
        "Take a TensorFlow of the minor that the line names, or the version of that package for this TensorFlow.",
    ),
    Signature(
        "conflict-warning",
        (r"dependency resolver does not currently take into account",),
        "pip installed what you asked for, and other packages do not work with it; the lines below it say which.",
        "Go back, or take versions within what those lines ask for; for TensorFlow, one of the runtime's minor.",
    ),
    Signature(
        "backtracking",
        (r"pip is looking at multiple versions of", r"This is taking longer than usual"),
        "pip tries one version after the other, and downloads each.",
        "Stop it, and install with the constraints file of your runtime, or with uv.",
    ),
    Signature(
        "restart",
        (r"You must restart the runtime", r"packages were previously imported in this runtime"),
        "The old version is still in memory.",
        "Restart the session (Runtime > Restart session); what was installed stays.",
    ),
    Signature(
        "nothing-installed",
        (
            rf"Requirement already satisfied: {PROJECT}(?![\w-])",
            r"(?:Audited|Checked) \d+ packages? in",
        ),
        "TensorFlow is there already, so that nothing was installed.",
        "Ask for one exact version with its label, as in `==2.20.0+cu125.3`.",
        needs=(r"install [^\n]*\btensorflow",),
        unless=(r"Successfully installed [^\n]*\btensorflow-", r"(?m)^ \+ tensorflow=="),
    ),
)
