"""What can keep an Instance from being as asked, apart from the host itself.

InstanceFault                  carries the `reason` of its Ready condition: the name of the class
├── BindingIncomplete          the operator's part of the status lacks something
├── UserDataUnavailable        user data in a Secret that the conductor does not hand out; its `reason` is another's
├── OutOfResources             the host has no room for the claim
├── DiskLost                   what the guest has written is gone
├── NoEffect                   the host does what it is told, and nothing changes
└── ImageError                 the image cannot be used; nothing of it is left in the pool
    ├── ImageDownloadFailed    no answer, an answer that is not 200, too few or too many bytes
    ├── ImageChecksumMismatch  other bytes than the Image promises
    ├── ImageFormatMismatch    not the format the Image declares, or a variant that is not taken
    ├── ImageHasBackingFile    a qcow2 that names another file to read
    ├── ImageHasDataFile       a qcow2 whose data is in another file
    ├── ImageTooLarge          larger than the flavor's disk
    └── ImageCacheDamaged      the pool's copy can neither be trusted nor replaced

What the host says (HostError, HostUnreachable) is in `host`, what the API server says in `hypernova_kube.errors`.
Messages are sentences for people. They name no path of the host, and no URL: it may carry credentials.
"""

from __future__ import annotations


class InstanceFault(Exception):
    """Something an Instance's condition tells its user."""

    @property
    def reason(self) -> str:
        """The stable CamelCase word for the condition."""
        return type(self).__name__


class BindingIncomplete(InstanceFault):
    """The Instance is bound, but its status lacks what was to be resolved at binding."""


class UserDataUnavailable(InstanceFault):
    """The conductor does not hand out the user data: in its own words, or the agent's about it."""

    def __init__(self, reason: str, message: str) -> None:
        """Why: `reason` is the conductor's own (`hypernova_api.conductor.Refusal`) where it gave one."""
        super().__init__(message)
        self._reason = reason

    @property
    def reason(self) -> str:
        """See `InstanceFault`."""
        return self._reason


class OutOfResources(InstanceFault):
    """What the Instance claims is not free on this host. (The kubelet's word for the same: OutOfcpu, OutOfmemory.)"""


class DiskLost(InstanceFault):
    """The root disk of a guest that has run is no longer there: a new one would hide that."""


class NoEffect(InstanceFault):
    """The same steps, done twice in a row, have left everything as it was."""


class ImageError(InstanceFault):
    """The image cannot be used."""


class ImageDownloadFailed(ImageError):
    """The bytes could not be had."""


class ImageChecksumMismatch(ImageError):
    """The bytes are others than the Image promises."""


class ImageFormatMismatch(ImageError):
    """The bytes are not of the declared format, or of a variant of it that is not taken."""


class ImageHasBackingFile(ImageError):
    """The image names another file that the host would read."""


class ImageHasDataFile(ImageError):
    """The image keeps its data in another file that the host would read and write."""


class ImageTooLarge(ImageError):
    """The image does not fit the flavor's disk."""


class ImageCacheDamaged(ImageError):
    """The node's copy of the image can neither be trusted nor replaced."""
