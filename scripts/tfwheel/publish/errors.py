"""Failures of publishing, releasing and verifying: what is wrong, and what to do next."""

from __future__ import annotations

from tfwheel.errors import FactoryError


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


class InventoryError(FactoryError):
    """A published asset that must not be listed, or that the ledger contradicts."""

    exit_code = 103
    default_remedy = "Delete or upload again the asset named above; no page was written."


class HostAnswerError(FactoryError):
    """The release host cannot be read: an error, a rate limit, or an answer that is not what it must be."""

    exit_code = 104
    default_remedy = "Run again later; nothing was written on half an answer."


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
