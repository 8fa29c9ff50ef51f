"""What a signature is: how a log shows a known failure, its cause and its remedy; and which lines are never blamed.

The order is the order of blame: the first signature that a log shows is its cause. What ends a run comes before what
only warns, the special before the general, and "nothing was installed" comes last.

In a pattern a space stands for any white space, since installers wrap their lines. ``{name}`` in a cause or a remedy is
the group of that name. Sources are issue threads of colabtools, TensorFlow and others, and the installers themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

TENSORFLOW = r"(?i:tensorflow|tf[._-]keras|\bkeras\b|tfwheel|\bydf_tf\b)|\bxla\b"  # a log that is about it
INSTALLER = (
    r"\b(?:pip|uv)3? |Collecting |Downloading |Resolved \d|site-packages|dist-packages|Requirement already|pip\._vendor"
    r"|Could not (?:install packages|find a version|fetch URL)|No matching distribution"
    r"|(?:Failed to fetch: |Retrying \(Retry)[^\n]*/(?:tensorflow|tfwheel)"
)
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
FOREIGN = (r"torch\.AcceleratorError|torch/csrc|c10::|-packages/torch/", r"jaxlib|-packages/jax/|\bjax\.")
