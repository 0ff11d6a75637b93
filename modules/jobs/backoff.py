"""The one policy for retries: each pause is twice as long as the one before."""

from __future__ import annotations

from dataclasses import dataclass

from modules.config.schema import ProcessingConfig

#: 2.0**1024 overflows.
_DOUBLINGS_MAX = 16


@dataclass(frozen=True)
class Backoff:
    """``first_s`` after the first failure, never more than ``longest_s``; both in seconds."""

    first_s: float
    longest_s: float = float("inf")

    def pause_s(self, failures: int) -> float:
        """Seconds between so many failures and the next attempt."""
        doublings = min(max(failures - 1, 0), _DOUBLINGS_MAX)
        return min(self.first_s * 2.0**doublings, self.longest_s)


def between_attempts(limits: ProcessingConfig) -> Backoff:
    """The pauses between the attempts of a job; a count that is out of range costs no more."""
    first_s = limits.retry_backoff_seconds
    return Backoff(first_s, longest_s=first_s * 2.0 ** (limits.max_retry_attempts - 1))
