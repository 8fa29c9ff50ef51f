"""Errors of the room `publish`, by kind."""

from __future__ import annotations

from tfwheel.errors import FactoryError, GateError, NoAnswerError, PublishError, UsageError, WrongBytesError
from tfwheel.index.errors import NameTakenError


class HostAnswerError(NoAnswerError):
    """The release host answers with an error, a rate limit, or something that cannot be read."""

    default_remedy = "Run again later: what was done is kept, and each step continues where it stopped."


class WheelChangedError(WrongBytesError):
    """A wheel is not, or not provably, the one that was built and tested."""

    default_remedy = "Download the artifacts again; if they still differ, build them again. Nothing was released."


class StoreError(PublishError):
    """The store of wheels rejects a file, or does not keep it unchanged."""

    default_remedy = "Make the store writable or free some space, and run the same command again."


class ForeignWheelError(GateError):
    """The wheel is not of this configuration: its target, version or inputs are not those of build_config/."""

    default_remedy = "Build its target again with this configuration, and publish that; or name the wheels to publish."


class ColabFitError(GateError):
    """The version breaks every runtime of Colab that users can choose, and its line is for Colab."""

    default_remedy = (
        "Change what the reason names (`requires` in targets.toml replaces a requirement), or say in "
        'build_config/index.toml that it is not for Colab: `colab_releases = { "2.20.0" = "warn" }`, or `colab_lines` '
        "for a whole line, publishes it with this as a warning."
    )


class ReleaseExistsError(NameTakenError):
    """A different release of that tag is already published, or a draft of it has files of another build."""

    default_remedy = "Raise `build` in targets.toml and release that; a published release is never changed."


# --- what is published -----------------------------------------------------------------------------------


class PublishedStateError(FactoryError):
    """Correct the published index or release: it is wrong, or depends on a name that anyone can register."""

    exit_code = 73


class VerifyError(PublishedStateError):
    """A page or file of the published index is missing or wrong."""

    default_remedy = "Correct what the message names, on the host or in what was published, and check again."


class InventoryError(PublishedStateError):
    """A released asset must not be listed, or contradicts the ledger."""

    default_remedy = "Delete the asset named above or upload it again, and check again."


class DeploymentError(PublishedStateError):
    """GitHub Pages does not take a deployment, or does not finish it."""

    default_remedy = (
        "Read the answer above; see that Pages is on (Settings, Pages: GitHub Actions), and run the job again."
    )


class AssetRenamedError(PublishedStateError):
    """The release host stored an asset under another name or with other bytes than were uploaded."""

    default_remedy = (
        "Run again: the asset was deleted from the draft, which nobody sees. If the host renames it again, use only "
        "plain characters in file names."
    )


class UnclaimedNameError(PublishedStateError):
    """A name that this index serves or depends on is unregistered on the ordinary index (dependency confusion)."""

    default_remedy = (
        "Register the name on the ordinary index, use a name that you own, or acknowledge it with a reason in "
        "build_config/index.toml ([[acknowledge]])."
    )


# --- accounts --------------------------------------------------------------------------------------------


class UploadAddressError(UsageError):
    """A password must not be sent to this URL, or the URL itself contains a password."""

    default_remedy = (
        "Give an https:// URL (http:// only on this machine) without a name and password; those come from "
        "TWINE_USERNAME and TWINE_PASSWORD, or a keyring. A typed password is in the shell's history: change it."
    )


class CredentialsError(FactoryError):
    """Supply credentials: a token, name or password is missing or was rejected."""

    exit_code = 119


class TokenMissingError(CredentialsError):
    """The environment has no GitHub token, or no repository is configured."""

    default_remedy = "Set $GITHUB_TOKEN to a token with write access to contents and pull requests of the repository."


class CredentialsMissingError(CredentialsError):
    """Neither the environment nor a keyring has a name and password for the private index; nothing was sent."""

    default_remedy = "Set TWINE_USERNAME and TWINE_PASSWORD, or store the password with `keyring set URL NAME`."


class CredentialsRefusedError(CredentialsError):
    """The private index rejects this name and password."""

    default_remedy = "Correct them, or give the account the right to upload; then run the same command again."


# --- releases --------------------------------------------------------------------------------------------


class NotReleasableError(FactoryError):
    """Prepare the release: the tag, the changelog or the CI run of the commit is not ready."""

    exit_code = 110


class ReleaseTagError(NotReleasableError):
    """The configuration does not build that version or tag, or the tag is not on this commit."""

    default_remedy = "Release a version of build_config/targets.toml, from a checkout of the tag's commit."


class ReleaseBranchError(NotReleasableError):
    """The tag's commit is not on the main branch, whose protection is what a release relies on."""

    default_remedy = "Merge the commit to main, let wheels.yml end green there, and move the tag to the merged commit."


class ChangelogError(NotReleasableError):
    """The changelog has no section for the version."""

    default_remedy = "Add a section `## VERSION` with notes for users to CHANGELOG.md, and tag that commit."


class NoGreenRunError(NotReleasableError):
    """No run of the wheels workflow for the commit on main is green; runs of forks and other branches do not count."""

    default_remedy = "Wait for the run of wheels.yml on that commit, or start one by hand; all its jobs must be green."


# --- attestations ----------------------------------------------------------------------------------------


class AttestationFileError(FactoryError):
    """Download it again: the wheel, the attestation bundle or the trusted root cannot be read."""

    exit_code = 121
    default_remedy = (
        "Download it again: `gh attestation download WHEEL --repo OWNER/REPO`, `gh attestation trusted-root`."
    )


class AttestationError(FactoryError):
    """Do not install the wheel: no attestation proves its origin."""

    exit_code = 122
    default_remedy = "Do not install the wheel: its signer is unknown. Download both again and compare."


class SignerError(AttestationError):
    """The attestation is valid, but was not signed by the workflow that releases these wheels."""

    default_remedy = "Do not install the wheel, unless you meant the signer named above (--repo, --ref)."


class SubjectError(AttestationError):
    """The attestation is valid and from the right signer, but covers other files or another claim."""

    default_remedy = "Do not install the wheel: it is not the one that was released. Download it again and compare."
