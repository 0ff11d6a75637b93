"""Which file a job is about: its size, its time and a hash of its content."""

from __future__ import annotations

from pydantic import Field

from modules.config.settings import Frozen

#: What a fingerprint covers at each end of a file.
FINGERPRINT_BYTES = 2**20


class FileIdentity(Frozen):
    """Which bytes a job is about. ``fingerprint``: SHA-256 of size, first and last MiB."""

    size: int = Field(ge=0, lt=2**63)
    #: The kernel has 64 bits for the seconds alone: the year 2400 does not fit into 64 bits of ns.
    mtime_ns: int = Field(gt=-(2**93), lt=2**93)
    fingerprint: str = Field(max_length=128)

    def same_as(self, other: FileIdentity) -> bool:
        """The same file if size and mtime are; if only mtime differs, the fingerprint decides."""
        if self.size != other.size:
            return False
        return self.mtime_ns == other.mtime_ns or self.fingerprint == other.fingerprint

    def surely_same_as(self, other: FileIdentity) -> bool:
        """The same file, and no byte was written: for one that is being processed.

        A preallocated file may be filled in its middle, where the fingerprint does not look.
        """
        covered = self.size <= 2 * FINGERPRINT_BYTES
        return self.same_as(other) and (covered or self.mtime_ns == other.mtime_ns)
