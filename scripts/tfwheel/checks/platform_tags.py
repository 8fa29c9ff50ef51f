"""What the file name of a wheel says about the platforms that it is for, and what those have (PEP 600)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditwheel.architecture import Architecture  # type: ignore[import-untyped]
from auditwheel.libc import Libc  # type: ignore[import-untyped]
from auditwheel.policy import WheelPolicies  # type: ignore[import-untyped]
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from tfwheel.checks.errors import MetadataGateError, PlatformGateError

if TYPE_CHECKING:
    from auditwheel.policy import Policy
    from packaging.tags import Tag

    from tfwheel.checks.opened_wheel import OpenedWheel


def policies() -> WheelPolicies:
    """Return auditwheel's policies for x86-64, one for each manylinux tag."""
    return WheelPolicies(libc=Libc.GLIBC, arch=Architecture.x86_64)


def claimed(opened_wheel: OpenedWheel) -> Policy:
    """Return the policy that the wheel claims; of several tags the oldest counts: it installs where one fits.

    Raises PlatformGateError for a tag that is none of manylinux for x86-64.
    """
    known = policies()
    try:
        return max(known.get_policy_by_name(tag.platform) for tag in tags(opened_wheel))
    except LookupError as error:
        message = f"{opened_wheel.name}: not a manylinux wheel for x86_64 ({error})"
        raise PlatformGateError(message) from error


def tags(opened_wheel: OpenedWheel) -> frozenset[Tag]:
    """Return the tags in the file name; raise MetadataGateError if it has none."""
    try:
        return parse_wheel_filename(opened_wheel.name)[3]
    except InvalidWheelFilename as error:
        raise MetadataGateError(str(error)) from error
