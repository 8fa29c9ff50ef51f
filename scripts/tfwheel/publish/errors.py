"""Errors of the room `publish`, by kind."""

from __future__ import annotations

from tfwheel.errors import FactoryError, NoAnswerError, PublishError, UsageError, WrongBytesError
from tfwheel.index.errors import NameTakenError


class HostAnswerError(NoAnswerError):
    """The release host answers with an error, a rate limit, or something that cannot be read."""

    default_remedy = "Run again later; nothing was written on half an answer."


class WheelChangedError(WrongBytesError):
    """A wheel is not, or not provably, the one that was built and tested."""

    default_remedy = "Download the artifacts again; where they differ still, build them again. Nothing was released."


class StoreError(PublishError):
    """The store of wheels does not take a file, or does not keep it unchanged."""

    default_remedy = "Make the store writable or free some space, and run the same command again."


class ReleaseExistsError(NameTakenError):
    """A different release of that tag is published already, or a draft of it is not ours."""

    default_remedy = "Raise `build` in targets.toml and release that; a published release is never changed."


# --- what is published -----------------------------------------------------------------------------------


class PublishedStateError(FactoryError):
    """Correct what is published: the index or a release is wrong, or depends on a name that anyone can register."""

    exit_code = 73


class VerifyError(PublishedStateError):
    """A page or file of the published index is missing or wrong."""

    default_remedy = "Correct the cause and publish again. The last good index is in place again, where there was one."


class InventoryError(PublishedStateError):
    """A released asset must not be listed, or contradicts the ledger."""

    default_remedy = "Delete or upload again the asset named above; no page was written."


class AssetRenamedError(PublishedStateError):
    """The release host keeps an asset under another name, or with other bytes, than it was given."""

    default_remedy = "Use plain characters only in file names, and run again. Nothing was published."


class UnclaimedNameError(PublishedStateError):
    """A name that this index serves or depends on is free on the ordinary index (dependency confusion)."""

    default_remedy = (
        "Register the name on the ordinary index, choose one that is yours, or acknowledge it with its reason in "
        "build_config/index.toml ([[acknowledge]])."
    )


# --- accounts --------------------------------------------------------------------------------------------


class UploadAddressError(UsageError):
    """A password must not be sent to this URL, or the URL itself has a password in it."""

    default_remedy = (
        "Give an https:// URL (http:// only on this machine) without a name and password in it; those come from "
        "TWINE_USERNAME and TWINE_PASSWORD, or a keyring. One that was typed is in the shell's history: change it."
    )


class CredentialsError(FactoryError):
    """Supply credentials: a token, name or password is missing or was refused."""

    exit_code = 119


class TokenMissingError(CredentialsError):
    """The environment has no GitHub token, or no repository is configured."""

    default_remedy = "Set $GITHUB_TOKEN to a token that may write contents and pull requests of the repository."


class CredentialsMissingError(CredentialsError):
    """Neither the environment nor a keyring has a name and password for the private index; nothing was sent."""

    default_remedy = "Set TWINE_USERNAME and TWINE_PASSWORD, or keep the password with `keyring set URL NAME`."


class CredentialsRefusedError(CredentialsError):
    """The private index refuses this name and password."""

    default_remedy = "Correct them, or have the account allowed to upload; then run the same command again."


# --- releases --------------------------------------------------------------------------------------------


class NotReleasableError(FactoryError):
    """Prepare the release: the tag, the changelog or the CI run of the commit is not ready."""

    exit_code = 110


class ReleaseTagError(NotReleasableError):
    """The configuration does not build that version or tag, or the tag is not on this commit."""

    default_remedy = "Release what build_config/targets.toml says, from a checkout of the tag's commit."


class ChangelogError(NotReleasableError):
    """The changelog has no section for the version."""

    default_remedy = "Add a section `## VERSION` with a few words for users to CHANGELOG.md, and tag that commit."


class NoGreenRunError(NotReleasableError):
    """No run of the wheels workflow for the commit is green."""

    default_remedy = "Wait for the run of wheels.yml on that commit, or start one by hand; all its jobs must be green."


# --- attestations ----------------------------------------------------------------------------------------


class AttestationFileError(FactoryError):
    """Download it again: the wheel, the attestation bundle or the trusted root cannot be read."""

    exit_code = 121
    default_remedy = (
        "Download it again: `gh attestation download WHEEL --repo OWNER/REPO`, `gh attestation trusted-root`."
    )


class AttestationError(FactoryError):
    """Do not install the wheel: no attestation proves who released it."""

    exit_code = 122
    default_remedy = "Do not install the wheel: nobody is known to have signed this. Download both again and compare."


class SignerError(AttestationError):
    """The attestation is valid, but signed by another than the workflow that releases these wheels."""

    default_remedy = "Do not install the wheel, unless the signer named above is the one you meant (--repo, --ref)."


class SubjectError(AttestationError):
    """The attestation is valid and of the right signer, but is about other files or another claim."""

    default_remedy = "Do not install the wheel: it is not what the release built. Download it again and compare."
