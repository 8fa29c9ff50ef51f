"""What a value of the configuration may be: types that pydantic checks, each with words for a person."""

from __future__ import annotations

import argparse
import keyword
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion
from packaging.version import Version as Pep440
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from tfwheel.system import urls

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_REQUIREMENT = 500  # characters
MASKED = "masked"  # the type of an error whose value may hold one, so that all of it that may be is masked
MINOR = "{minor}"  # stands for the minor version of TensorFlow in a requirement
# The glibc versions (2.x) that auditwheel has a policy for, from CentOS 5 to now.
GLIBC = (5, 12, 17, 24, 26, 27, 28, 31, 34, 35, 36, 37, 38, 39, 40, 41)


def text_like(pattern: str, words: str) -> AfterValidator:
    """Return a validator for text that is all of ``pattern``; ``words`` say what it must be, with an example.

    A pattern says ``[0-9]``: the class of all digits has those of other scripts, too.
    """
    wanted = re.compile(pattern)

    def check(text: str) -> str:
        if not wanted.fullmatch(text):
            message = f"must be {words}"
            raise ValueError(message)
        return text

    return AfterValidator(check)


def _requirement(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        message = "not a requirement: it has characters that are no ASCII text"
        raise ValueError(message)
    try:
        Requirement(text)
    except (InvalidRequirement, ValueError, RecursionError) as error:
        message = f"not a requirement: {error}"
        raise ValueError(message) from error
    return text


# Distributions that bring the package `tensorflow`, so that another project's requirement of one is met by any.
TENSORFLOW = re.compile(r"(tensorflow|tf-nightly)(-(cpu|gpu|intel|aarch64|macos|rocm|cpu-aws|cuda\d+))?")


def _own_requirement(text: str) -> str:
    """Check a requirement that a wheel of ours gets: others must be able to install it, and find its extra."""
    requirement = Requirement(_requirement(text))
    marker = str(requirement.marker or "")
    if requirement.url:
        message = "a requirement is a name and versions, never a URL: others must be able to install it"
        raise ValueError(message)
    if TENSORFLOW.fullmatch(canonicalize_name(requirement.name)):
        message = "each wheel is a TensorFlow, or for the one that its target names: it requires no other"
        raise ValueError(message)
    named = re.findall(r"\bextra\b", marker)
    if named and (len(named) > 1 or " or " in marker or not re.search(r'\bextra == "[^"]+"', marker)):
        message = 'name one extra, alone or joined by `and`, as in `numpy<2; extra == "and-cuda"`'
        raise ValueError(message)
    return text


def _template(text: str) -> str:
    """Check a requirement in which ``{minor}`` stands for a minor version of TensorFlow."""
    filled = text.replace(MINOR, "2.20")
    if "{" in filled:
        message = f"`{MINOR}` is all that may be in braces, as in `tensorflow-text=={MINOR}.*`"
        raise ValueError(message)
    requirement = Requirement(_requirement(filled))
    if requirement.url or requirement.marker:
        message = f"a name and versions, without a URL and a marker, as in `tensorflow-text=={MINOR}.*`"
        raise ValueError(message)
    return text


def _pinned(text: str) -> str:
    requirement = Requirement(_requirement(text))
    (only, *more) = [*requirement.specifier] or [None]
    exact = only is not None and only.operator == "==" and not only.version.endswith("*")
    if more or not exact or requirement.url or requirement.marker:
        message = "must be an exact version, as in `nvidia-cuda-nvcc-cu12==12.9.86`"
        raise ValueError(message)
    return text


def _any_version(text: str) -> str:
    try:
        Pep440(text)
    except InvalidVersion as error:
        message = "must be a version (PEP 440), as in `2.20.0` or `0.0.1.dev0`"
        raise ValueError(message) from error
    return text


def _no_nightly(text: str) -> str:
    if re.search(r"[.-]?dev[0-9]*$", text):
        message = (
            "a nightly build is no base: PyPI removes each after some months, and its lock would name nothing; "
            "take a final version or a candidate, as in `2.20.0` or `2.22.0rc0`"
        )
        raise ValueError(message)
    return text


# Packages that are in each environment with TensorFlow: those of its requirements, and of what installs them.
TAKEN = {
    *("absl", "astunparse", "flatbuffers", "gast", "google", "grpc", "h5py", "keras", "libclang", "markdown"),
    *("ml_dtypes", "namex", "numpy", "nvidia", "opt_einsum", "optree", "packaging", "pip", "requests", "rich"),
    *("setuptools", "six", "tensorboard", "tensorflow", "termcolor", "tf_keras", "typing_extensions", "werkzeug"),
    *("wheel", "wrapt"),
}


def _package(text: str) -> str:
    """Check that a package shadows no other one that users of TensorFlow have."""
    if text.lower() in TAKEN or keyword.iskeyword(text):
        message = f"must be the name of a Python package of its own, as in `my_ops`; `{text}` is another one or no name"
        raise ValueError(message)
    return text


NUMBER = "(0|[1-9][0-9]{0,3})"  # without leading zeros: PEP 440 and file names would read 2.020 as 2.20


def _site_url(text: str) -> str:
    """Check a URL that pages, documents and commands to paste into a shell name."""
    if text and not (urls.is_plain(text) and text.endswith("/")):
        message = "must be a plain URL that ends with a slash, as in `https://example.org/index/`"
        raise ValueError(message)
    return text


BuilderName = Literal["overlay", "ops", "source"]
RELEASE = rf"{NUMBER}\.{NUMBER}\.{NUMBER}"
AnyVersion = Annotated[str, AfterValidator(_any_version)]
Version = Annotated[
    str,
    AfterValidator(_no_nightly),
    text_like(
        rf"{RELEASE}((a|b|rc){NUMBER})?",
        "a version of three numbers without leading zeros, as in `2.20.0`, or a pre-release, as in `2.22.0rc0`",
    ),
]
ToolkitVersion = Annotated[str, text_like(RELEASE, "a version of three numbers without leading zeros, as in `12.5.1`")]
PythonVersion = Annotated[str, text_like(r"3\.(0|[1-9][0-9]?)", "the minor version of a Python, as in `3.12`")]
CudaVersion = Annotated[str, text_like(rf"[1-9][0-9]?\.{NUMBER}", "a CUDA version of two numbers, as in `12.8`")]
Capability = Annotated[
    str, text_like("[1-9][0-9]{1,2}", "a compute capability without its dot, as in `89` for 8.9 (sm_89)")
]
GpuImage = Annotated[
    str,
    text_like("(sm|compute)_[1-9][0-9]{1,2}[af]?", "GPU code as NVIDIA's tools name it, as in `sm_80` or `compute_90`"),
]
Label = Annotated[
    str,
    text_like(
        r"(?=.{1,20}\Z)(0|[1-9][0-9]*|[0-9]*[a-z][a-z0-9]*)",
        "small letters and digits, at most 20, and no number with leading zeros (007 is 7 in a version), as in `cu125`",
    ),
]
LineName = Annotated[
    str,
    text_like("[a-z0-9]{1,30}", "small letters and digits only, at most 30, as in `cu12`: it is part of a URL"),
]
Project = Annotated[
    str, text_like("[a-z0-9]+(-[a-z0-9]+)*", "the normalised name of a project, as in `tensorflow-cpu`")
]
ProjectName = Annotated[
    str, text_like("[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "the name of a project, as in `tfwheel-ops`")
]
FileName = Annotated[
    str, text_like("[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}", "a file name without a path, as in `libtensorflow_cc.so.2`")
]


def _names_or_all(value: object) -> object:
    """Take the word "all" for a list of itself."""
    if value != "all" and not isinstance(value, (list, tuple)):
        message = 'must be a list of file names, or "all" for each library with GPU code'
        raise ValueError(message)
    return (value,) if isinstance(value, str) else value


LibraryNames = Annotated[tuple[FileName, ...], Field(min_length=1, strict=False), BeforeValidator(_names_or_all)]
WheelName = Annotated[
    str,
    text_like(
        r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}\.whl",
        "the file name of a wheel without a path, as in `tensorflow-2.20.0-cp312-cp312-manylinux_2_17_x86_64.whl`",
    ),
]
ProjectId = Annotated[
    str, text_like("[a-z0-9]+(-[a-z0-9]+)*", "small letters, digits and single hyphens, as in `my-ops`: it names logs")
]
PackageName = Annotated[
    str,
    text_like("[A-Za-z_][A-Za-z0-9_]{0,99}", "the name of a Python package, as in `my_ops`"),
    AfterValidator(_package),
]
RelativePath = Annotated[
    str,
    text_like(
        r"(?!/)[^\\\x00]{1,400}", "a path relative to its folder, with forward slashes, as in `my_ops/kernels/add.cc`"
    ),
]
PART = r"(?!\.{1,2}(/|$))[^/\\\x00]+"
# Written in one way alone: other modules compare these as text.
InnerPath = Annotated[
    str,
    Field(max_length=400),
    text_like(
        rf"\.|{PART}(/{PART})*",
        "a path inside the project, with single forward slashes and without `.` and `..`, as in `my_ops/add.cc`",
    ),
]
LibraryPattern = Annotated[
    str,
    text_like(
        r"lib[A-Za-z0-9_+-]+[A-Za-z0-9._+*?\[\]-]*", "the name of a library, or a pattern of it, as in `libgomp.so*`"
    ),
]
# As git-fetch(1) has them, but for what would carry a secret into records (a password, or with http any user), what is
# no address of a repository (a query), and what depends on where the build runs (a relative path).
GIT_URL = re.compile(
    r"https?://(?!-)[^\s@?#/]+/[^\s@?#]+|(ssh|git)://(?!-)([A-Za-z0-9_.-]+@)?(?!-)[^\s@:?#/]+(:[0-9]+)?/[^\s?#]+"
    r"|file:///[^\s?#]+|(?!-)([A-Za-z0-9_.-]+@)?(?!-)[A-Za-z0-9_.-]+:(?!//|-)[^\s:?#]+|/[^\x00-\x1f]+"
)


def _git_url(text: str) -> str:
    if not GIT_URL.fullmatch(text):
        words = (
            "must be the address of a git repository without a user or password, as in "
            "`https://github.com/owner/name`, `git@github.com:owner/name`, or an absolute path; "
            "git finds credentials as it always does"
        )
        raise PydanticCustomError(MASKED, words)
    return text


GitUrl = Annotated[str, AfterValidator(_git_url), Field(max_length=400)]
Commit = Annotated[str, text_like("[0-9a-f]{40}", "the full name of a commit, 40 digits, 0 to 9 and a to f")]
Word = Annotated[str, Field(min_length=1, max_length=1000)]
Sha256 = Annotated[str, text_like("[0-9a-f]{64}", "a sha256: 64 digits, 0 to 9 and a to f")]
Platform = Annotated[
    str,
    text_like(
        f"manylinux_2_({'|'.join(map(str, GLIBC))})_x86_64",
        f"a manylinux policy, as in `manylinux_2_35_x86_64` (known after the 2: {', '.join(map(str, GLIBC))})",
    ),
]
Repository = Annotated[
    str, text_like(r"([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)?", "empty, or a repository of GitHub, as in `owner/name`")
]
OfficialRequirement = Annotated[str, AfterValidator(_requirement)]
RequirementText = Annotated[str, Field(max_length=LONGEST_REQUIREMENT), AfterValidator(_own_requirement)]
RequirementTemplate = Annotated[str, Field(max_length=LONGEST_REQUIREMENT), AfterValidator(_template)]
PinnedText = Annotated[str, Field(max_length=LONGEST_REQUIREMENT), AfterValidator(_pinned)]
Reason = Annotated[str, Field(min_length=10)]
ColabRule = bool | Literal["warn"]
SiteUrl = Annotated[str, AfterValidator(_site_url)]
Build = Annotated[int, Field(ge=1, le=99_999)]


def _hex(text: str) -> str:
    try:
        bytes.fromhex(text)
    except ValueError as error:
        message = f"not bytes in hex: {error}"
        raise ValueError(message) from error
    return text


HexBytes = Annotated[str, Field(min_length=2), AfterValidator(_hex)]


def argument(kind: Any) -> Callable[[str], str]:  # noqa: ANN401 -- one of the annotated types of this module
    """Return a function that checks a word of a command line as the configuration is checked, for argparse."""
    adapter: TypeAdapter[str] = TypeAdapter(kind)

    def check(text: str) -> str:
        try:
            return adapter.validate_python(text)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            message = f"`{text}` {reason}"
            raise argparse.ArgumentTypeError(message) from error

    return check
