"""What a signature is: how a log shows a known failure, its cause and its remedy; and which lines are never blamed.

The order is the order of blame: the first signature that a log shows is its cause. What ends a run comes before what
only warns, the special before the general, and "nothing was installed" comes last.

A pattern sees one message at a time, a line and what is wrapped below it, where a space stands for any white space.
``{name}`` in a cause is the group of that name. Sources are issue threads of colabtools, TensorFlow and others, and the
installers themselves.

``INSTALLER`` is what an installer alone begins a message with, ``INSTALLED`` what it ends with if it succeeded.
``ERROR`` is the last line of a traceback, ``OWN_ERROR`` what makes it TensorFlow's own, or one that a failed import of
it ends with. ``NOISE`` are lines that are printed by healthy runs, or that say nothing of a cause: they are never
looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TENSORFLOW = r"(?i:tensorflow|tf[._-]keras|\bkeras\b|tfwheel|\bydf_tf\b)|\bxla\b"  # a log that is about it
PROJECT = r"(?:tensorflow|tensorflow-cpu|tfwheel-ops)"
COMPANION = r"(?:tensorflow[-_]text|tf[-_]keras|ydf[-_]tf|tensorflow[-_]decision[-_]forests|tensorflow[-_]io)"

INSTALLER = re.compile(
    r"(?:[$!%>] ?)?(?:\S+ -m )?(?:uv |pip3? |\S*/pip3? )|Looking in indexes|Collecting \S|Requirement already|Resolved "
    r"|Using C?Python|Because |hint: |error: (?!RPC)|(?:ERROR: |WARNING: |\W )?(?:Could not |No matching|HTTP error|"
    r"Exception:|Cannot |Failed |No solution|THESE |Hash|Retrying|\S+\.whl|[Rr]esolution)"
)
INSTALLED = re.compile(r"Successfully (?:in|down)|Installed \d+ package|(?:Audited|Checked) \d+ package")
ERROR = re.compile(r"(?:E )?[A-Za-z_][\w.]{0,99}(?:Error|Exception)(?::|$)")
OWN_ERROR = re.compile(
    r"tensorflow|function_node|^(?:Import|Internal|FailedPrecondition|NotFound|Unavailable|Unknown|CalledProcess|Syntax)Error"
)

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
FOREIGN = (
    r"torch\.AcceleratorError|torch/csrc|c10::|-packages/torch/",
    r"jaxlib|-packages/jax/|\bjax\.|\bcupy[._]|numba\.",
)
NO_MEMORY = (
    r"ran out of memory|out of memory|OUT_OF_MEMORY|RESOURCE_EXHAUSTED|failed to allocate|with \d{1,3} MB memory",
)
