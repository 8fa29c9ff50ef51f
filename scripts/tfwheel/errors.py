"""Every failure the project reports: one class each, with an exit code of its own and what to do next."""

from __future__ import annotations

from typing import ClassVar


class FactoryError(Exception):
    """Base of all reported failures; doors print it and exit with ``exit_code``.

    ``message`` says what is wrong and where; ``remedy`` says what to do next. A raise site that knows a
    better remedy than its class passes one.
    """

    exit_code: ClassVar[int] = 1
    default_remedy: ClassVar[str] = "Run again with the log above at hand; if it stays, open an issue with it."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        """Keep the two texts apart, so that a door can set them apart too."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy or self.default_remedy

    def __str__(self) -> str:
        """Both texts, for where no door prints them."""
        return f"{self.message}\n  remedy: {self.remedy}"


# --- configuration and selection -------------------------------------------------------------------------


class ConfigError(FactoryError):
    """A file under ``build_config/`` does not say what it must."""

    exit_code = 10
    default_remedy = "Correct the file named above; index/docs/customise.md lists the keys."


class UnknownTargetError(FactoryError):
    """A target id, line or selection word that the configuration does not define."""

    exit_code = 11
    default_remedy = "`nox -s plan` lists every target and line."


class EmptySelectionError(FactoryError):
    """The selection is well formed but matches no target."""

    exit_code = 12
    default_remedy = "`nox -s plan` lists every target and line."


class NoOfficialWheelError(FactoryError):
    """TensorFlow publishes no wheel for that version and Python."""

    exit_code = 13
    default_remedy = (
        "Take a Python that this TensorFlow supports, or add an [[exclude]] with its reason to targets.toml."
    )


class NotLockedError(FactoryError):
    """A target whose official wheel is not in ``bases.toml``."""

    exit_code = 14
    default_remedy = "Run `nox -s update-pins` and commit build_config/bases.toml."


class BuilderUnavailableError(FactoryError):
    """A line or target whose builder does not exist yet."""

    exit_code = 15
    default_remedy = "Use a line with the overlay builder: `nox -s build-cuda12` or `nox -s build-cpu`."


class UnknownTriggerError(FactoryError):
    """An event or a label that ``subsets.toml`` gives no meaning to."""

    exit_code = 16
    default_remedy = "build_config/subsets.toml has the events and says what a label may be."


class MatrixTooLargeError(FactoryError):
    """More jobs than GitHub starts of one matrix; names how many build and how many use a GPU."""

    exit_code = 17
    default_remedy = "Let the event select less in build_config/subsets.toml, or add an [[exclude]] to targets.toml."


class ChangesUnknownError(FactoryError):
    """Git cannot say which files changed since a revision."""

    exit_code = 18
    default_remedy = "Fetch the history (`git fetch --unshallow`, or `fetch-depth: 0` in CI) and give a revision of it."


class NotInCiError(FactoryError):
    """A step's output was asked for where there is no file for it."""

    exit_code = 19
    default_remedy = "Leave --github-output out on your own machine: the matrix is printed."


# --- downloads -------------------------------------------------------------------------------------------


class DownloadError(FactoryError):
    """The package index could not be reached, or the transfer broke off."""

    exit_code = 20
    default_remedy = "Check the network and pip's configuration (`pip config list`), then run again."


class HashMismatchError(FactoryError):
    """A downloaded or cached file is not the one that was locked (size or sha256 differ)."""

    exit_code = 21
    default_remedy = (
        "The file was cut short, altered on the way, or replaced upstream. Nothing was kept; run again. "
        "If it stays, compare the hash with the project's page before you update the lock."
    )


# --- toolchain and compilation ---------------------------------------------------------------------------


class NoCompilerError(FactoryError):
    """No usable compiler, and no right to install one."""

    exit_code = 30
    default_remedy = "Install one: `sudo apt-get install g++ clang-19`, or set CUDA_HOME to a matching CUDA toolkit."


class CompileError(FactoryError):
    """An op does not compile."""

    exit_code = 31
    default_remedy = "Correct the source named above; the compiler's own words are in the log."


class ToolchainError(FactoryError):
    """The CUDA parts could not be put together into a working toolchain."""

    exit_code = 32
    default_remedy = "Delete the toolchain folder named above and run `nox -s toolchain` again."


class FatbinError(FactoryError):
    """GPU code in a library that this program cannot read."""

    exit_code = 33
    default_remedy = (
        "A newer CUDA writes another container format: compare with `cuobjdump -lelf -lptx` and extend fatbin.py, "
        "or fetch or build the library again if it was cut."
    )


class ContainerEngineError(FactoryError):
    """No docker or podman, one that cannot start a container, or no cibuildwheel to drive it."""

    exit_code = 34
    default_remedy = "Install one (`sudo apt-get install podman`, or Docker from docs.docker.com), or start its daemon."


class ContainerImageError(FactoryError):
    """The image to build in is neither on this machine nor to be had."""

    exit_code = 35
    default_remedy = "Correct the name, or make an image from your distribution: tests/container/bootstrap-image NAME."


class ContainerBuildError(FactoryError):
    """A step of the build in the container failed, and not because an op does not compile."""

    exit_code = 36
    default_remedy = "Read the log; [tool.cibuildwheel] in build_config/ops/pyproject.toml says what each step does."

    def __init__(self, message: str, *, step: str = "", output: str = "", remedy: str | None = None) -> None:
        """Keep the step and what it printed, in which a caller may find a better name for the failure."""
        super().__init__(message, remedy=remedy)
        self.step = step
        self.output = output


# --- making wheels ---------------------------------------------------------------------------------------


class BadWheelError(FactoryError):
    """A wheel that is hostile, broken or not what its own directory says."""

    exit_code = 40
    default_remedy = "Nothing was written. Fetch or build the wheel again; never publish this one."


class PatchError(FactoryError):
    """A patch that does not apply exactly."""

    exit_code = 41
    default_remedy = "Make the patch anew against the TensorFlow version that its folder names."


class RepairError(FactoryError):
    """auditwheel could not make the wheel portable."""

    exit_code = 42
    default_remedy = "Link only against libtensorflow_framework.so.2, or name the library in repair.toml's `exclude`."


# --- retargeting -----------------------------------------------------------------------------------------


class PtxError(FactoryError):
    """Portable GPU code that ptxas does not take."""

    exit_code = 43
    default_remedy = (
        "Pin a newer ptxas (`tools` of the line's [retarget] in lines.toml), or leave the arch out of its lists."
    )


class UnknownArchError(FactoryError):
    """An arch that ptxas does not know, or that the library's portable code cannot give."""

    exit_code = 44
    default_remedy = "Correct `archs` or `generated` of the line's [retarget] in lines.toml, or pin a newer ptxas."


class NoGpuCodeError(FactoryError):
    """A library that was to be retargeted and has no GPU code."""

    exit_code = 45
    default_remedy = "Leave [retarget] out of a line whose base has no GPU code."


class DoesNotFitError(FactoryError):
    """GPU code for the wanted archs that is larger than what the library has room for."""

    exit_code = 46
    default_remedy = "Drop an arch from the line's [retarget] in lines.toml; the message above has their sizes."


class RelocationError(FactoryError):
    """A pointer to GPU code that this program does not know how to move."""

    exit_code = 47
    default_remedy = "Do not retarget this library: it was linked in a way that pointers.py has not seen."


class AlreadyRetargetedError(FactoryError):
    """A library whose GPU code was rewritten before, or is what the line asks for already."""

    exit_code = 48
    default_remedy = (
        "Start from the official library; if that has all that is wanted, leave [retarget] out of the line."
    )


class UnknownLayoutError(FactoryError):
    """A library whose sections are not those of the official ones that this program knows."""

    exit_code = 49
    default_remedy = "Fetch the library again if it was cut; otherwise do not retarget it."


# --- gates -----------------------------------------------------------------------------------------------


class ContentsGateError(FactoryError):
    """The wheel holds something other than its base plus the declared changes."""

    exit_code = 50
    default_remedy = "Declare the change in build_config/, or remove what brought the member in."


class RunpathGateError(FactoryError):
    """A TensorFlow library lost or changed its RUNPATH, so CUDA would not be found at run time."""

    exit_code = 51
    default_remedy = "Never let a tool rewrite TensorFlow's own libraries; only the ops wheel is repaired."


class GraftGateError(FactoryError):
    """A CUDA or TensorFlow library was copied into the wheel."""

    exit_code = 52
    default_remedy = "Name the library in repair.toml's `exclude` and rebuild."


class PlatformGateError(FactoryError):
    """The wheel needs a newer platform than the policy ceiling allows."""

    exit_code = 53
    default_remedy = "Build the ops on an older distribution, or raise `ceiling` in repair.toml if every user has it."


class ArchGateError(FactoryError):
    """GPU code in the built libraries differs from what the line promises."""

    exit_code = 54
    default_remedy = "Compare `archs` and `ptx` of the line in lines.toml with the compiler's flags in the log."


class SizeGateError(FactoryError):
    """The wheel is larger than the limit."""

    exit_code = 55
    default_remedy = "Drop GPU archs of the line, or raise `max_bytes` in repair.toml (hosts refuse 2 GiB and more)."


class MetadataGateError(FactoryError):
    """METADATA, WHEEL or the file name are invalid or disagree."""

    exit_code = 56
    default_remedy = "Correct version, label or requirements in build_config/targets.toml."


class SbomGateError(FactoryError):
    """The bill of materials (SBOM) inside the wheel is missing, broken, or of another wheel."""

    exit_code = 120
    default_remedy = "Build the wheel again: the build writes the SBOM, nothing else may."


class XlaCeilingError(FactoryError):
    """A library whose built-in CUDA version for XLA is not where, or not what, the data of its TensorFlow says."""

    exit_code = 57
    default_remedy = (
        "Nothing was written. Fetch the library again if it was cut; for another TensorFlow make its file in "
        "build_config/xla/ anew, or leave `xla` out of the line's [retarget] in lines.toml."
    )


class RetargetGateError(FactoryError):
    """GPU code in a retargeted library is not what was promised, kept or compiled."""

    exit_code = 58
    default_remedy = "Never publish this library. Delete the cached parts of the retarget and build again."


class UntouchedGateError(FactoryError):
    """A retargeted library differs from the official one where it must not."""

    exit_code = 59
    default_remedy = "Never publish this library. Delete the cached parts of the retarget and build again."


# --- smoke -----------------------------------------------------------------------------------------------


class SmokeError(FactoryError):
    """The installed wheel does not do what it must."""

    exit_code = 60
    default_remedy = "Read the log named above; the wheel was not published."


class InterpreterMissingError(FactoryError):
    """The Python that a target is for is not on this machine."""

    exit_code = 61
    default_remedy = "Install it (`uv python install X.Y`, pyenv, or your distribution) and run again."


class GpuRequiredError(FactoryError):
    """``--require-gpu`` was given and no GPU did the work."""

    exit_code = 62
    default_remedy = "Run on a machine where `nvidia-smi` lists a GPU, or leave --require-gpu out."


# --- serving ---------------------------------------------------------------------------------------------


class IndexEntryError(FactoryError):
    """A file that must not enter the index, or one that contradicts what is there."""

    exit_code = 70
    default_remedy = "Raise `build` in targets.toml: a published file name is never used for other bytes."


class NothingToServeError(FactoryError):
    """There is no published wheel yet."""

    exit_code = 71
    default_remedy = "Build one first: `nox -s build-cuda12`."


class PublishError(FactoryError):
    """The index could not be brought to its new state; users see the old one."""

    exit_code = 72
    default_remedy = "Correct the cause and run the same command again: it goes on where it stopped."


class VerifyError(FactoryError):
    """What the published index shows or serves is not what it must be; names the address and the fault."""

    exit_code = 73
    default_remedy = "The last good index is in place again, where there was one. Correct the cause and publish again."


class StoreError(FactoryError):
    """The place for wheels does not take a file, or does not keep it as it was given."""

    exit_code = 74
    default_remedy = "Make the place writable or free some space, and run the same command again."


class UnclaimedNameError(FactoryError):
    """A name that this index serves or depends on could be taken by a stranger on the ordinary index."""

    exit_code = 75
    default_remedy = (
        "Register the name on the ordinary index, choose one that is yours, or acknowledge it with its reason in "
        "build_config/index.toml ([[acknowledge]])."
    )


class LockError(FactoryError):
    """A lock of a version and all it needs could not be made."""

    exit_code = 76
    default_remedy = "Read uv's own words above: for that Python, published wheels must meet every requirement."


class ManifestError(FactoryError):
    """A file of a downloaded index is not the one that its manifest or its ledger names."""

    exit_code = 77
    default_remedy = "Do not install from this copy. Download the index again, and compare with the signed manifest."


class SiteError(FactoryError):
    """The folder of the index cannot be written, or is not one that this program made."""

    exit_code = 78
    default_remedy = "Make the folder writable and run again; readers see what was there before."


class LedgerDamagedError(FactoryError):
    """A line of the ledger that is malformed, altered by hand, cut or out of order."""

    exit_code = 100
    default_remedy = (
        "Restore the file from git (`git checkout index/ledger.jsonl`); change it with scripts/edit_ledger.py only."
    )


class LedgerConflictError(FactoryError):
    """Two statements about one file name, or a file that vanished from the ledger."""

    exit_code = 101
    default_remedy = "Raise `build` in targets.toml: a published file name is never used for other bytes."


class NotInLedgerError(FactoryError):
    """A file that the ledger does not have."""

    exit_code = 102
    default_remedy = "Give the whole file name, as the ledger and the index pages show it."


class InventoryError(FactoryError):
    """A published asset that must not be listed, or that the ledger contradicts."""

    exit_code = 103
    default_remedy = "Delete or upload again the asset named above; no page was written."


class UploadAddressError(FactoryError):
    """An address that a password must not be sent to, or one that has the password in it."""

    exit_code = 105
    default_remedy = (
        "Give an https:// address (http:// only on this machine) without a name and password in it; those come "
        "from TWINE_USERNAME and TWINE_PASSWORD, or a keyring. One that was typed is in the shell's history: change it."
    )


class CredentialsMissingError(FactoryError):
    """Neither the environment nor a keyring has a name and password for a private index; nothing was sent."""

    exit_code = 106
    default_remedy = "Set TWINE_USERNAME and TWINE_PASSWORD, or keep the password with `keyring set ADDRESS NAME`."


class CredentialsRefusedError(FactoryError):
    """A private index does not take this name and password."""

    exit_code = 107
    default_remedy = "Correct them, or have the account allowed to upload; then run the same command again."


class UploadConflictError(FactoryError):
    """A private index has other bytes under a wheel's name, or does not say which."""

    exit_code = 108
    default_remedy = "Raise `build` in targets.toml: a published file name is never used for other bytes."


class UploadError(FactoryError):
    """A private index did not take a wheel."""

    exit_code = 109
    default_remedy = "Correct the cause and run the same command again: what is there already is not sent twice."


class HostAnswerError(FactoryError):
    """The release host cannot be read: an error, a rate limit, or an answer that is not what it must be."""

    exit_code = 104
    default_remedy = "Run again later; nothing was written on half an answer."


# --- attestations: in the order in which a proof is made --------------------------------------------------


class AttestationFileError(FactoryError):
    """A wheel, a bundle of attestations or a trusted root that cannot be read as one."""

    exit_code = 121
    default_remedy = (
        "Download it again: `gh attestation download WHEEL --repo OWNER/REPO`, `gh attestation trusted-root`."
    )


class AttestationError(FactoryError):
    """An attestation whose signature, certificate or place in the transparency log does not hold."""

    exit_code = 122
    default_remedy = "Do not install the wheel: nobody is known to have signed this. Download both again and compare."


class SignerError(FactoryError):
    """A sound attestation, signed by another than the workflow that releases these wheels."""

    exit_code = 123
    default_remedy = "Do not install the wheel, unless the signer named above is the one you meant (--repo, --ref)."


class SubjectError(FactoryError):
    """A sound attestation of the right signer, made for other files or with another claim."""

    exit_code = 124
    default_remedy = "Do not install the wheel: it is not what the release built. Download it again and compare."


# --- releases --------------------------------------------------------------------------------------------


class ReleaseTagError(FactoryError):
    """A version or tag that the configuration does not build, or a tag that is not on this commit."""

    exit_code = 110
    default_remedy = "Release what build_config/targets.toml says, from a checkout of the tag's commit."


class ChangelogError(FactoryError):
    """A release of which the changelog says nothing."""

    exit_code = 111
    default_remedy = "Add a section `## VERSION` with a few words for users to CHANGELOG.md, and tag that commit."


class BuildNumberUsedError(FactoryError):
    """A version that was published before."""

    exit_code = 112
    default_remedy = "Raise `build` in targets.toml: a published file name is never used for other bytes."


class ProposalError(FactoryError):
    """A change that could not be brought to the repository."""

    exit_code = 113
    default_remedy = "Correct the cause and run again: what was pushed already is found and kept."


class NoGreenRunError(FactoryError):
    """A commit for which no run of the wheels workflow has ended well with every wheel."""

    exit_code = 114
    default_remedy = "Wait for the run of wheels.yml on that commit, or start one by hand; all its jobs must be green."


class WheelMissingError(FactoryError):
    """A wheel that belongs to a release and is not among what was built for it."""

    exit_code = 115
    default_remedy = "Build the target named above, or download all artifacts of the run, and run again."


class WheelChangedError(FactoryError):
    """A wheel that is not, or not provably, the one that was built and tested."""

    exit_code = 116
    default_remedy = "Nothing was released. Download the artifacts again; where they differ still, build them again."


class AssetRenamedError(FactoryError):
    """An asset that the release host keeps under another name, or with other bytes, than it was given."""

    exit_code = 117
    default_remedy = "Nothing was published. Use plain characters only in file names, and run again."


class ReleaseExistsError(FactoryError):
    """A release of that tag which is published already and is another one, or a draft that is not ours."""

    exit_code = 118
    default_remedy = "Raise `build` in targets.toml and release that; a published release is never changed."


class CredentialsError(FactoryError):
    """No token, or no repository, to release with."""

    exit_code = 119
    default_remedy = "Set $GITHUB_TOKEN to a token that may write contents and pull requests of the repository."


# --- the machine -----------------------------------------------------------------------------------------


class DiskFullError(FactoryError):
    """No space left on the device."""

    exit_code = 80
    default_remedy = "Free some space (an overlay build needs about 5 GB) and run again; nothing was half-written."


class TargetBusyError(FactoryError):
    """Another build of the same target is running."""

    exit_code = 81
    default_remedy = "Wait for it to end, then run again."


class CommandError(FactoryError):
    """A program that ran and failed, where no better name for the failure is known.

    ``output`` is what it printed; ``returncode`` is negative where a signal ended it, None where it never started.
    """

    exit_code = 82
    default_remedy = "Read its output above."

    def __init__(
        self, message: str, *, output: str = "", returncode: int | None = None, remedy: str | None = None
    ) -> None:
        """Keep what happened, in which a caller may find a better name for the failure."""
        super().__init__(message, remedy=remedy)
        self.output = output
        self.returncode = returncode


class WorkflowError(FactoryError):
    """A workflow that is not as GitHub reads it, or that has what cannot be rehearsed here."""

    exit_code = 86
    default_remedy = "Correct the file in .github/workflows/; `nox -s lint` checks all of them."


class RehearsalError(FactoryError):
    """A job of a workflow that failed when it was run on this machine."""

    exit_code = 87
    default_remedy = "Read what the step printed above: it would fail in CI the same way."


class UnexpectedError(FactoryError):
    """A fault of this program itself."""

    exit_code = 90
    default_remedy = "This is a bug: open an issue with the traceback above."


class InterruptedRunError(FactoryError):
    """Stopped by the user."""

    exit_code = 130
    default_remedy = "Nothing half-written was kept; run the same command to go on."
