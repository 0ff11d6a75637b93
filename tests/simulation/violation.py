"""What the simulation says when a promise is broken."""

from __future__ import annotations


class Violation(BaseException):
    """An invariant does not hold. No handler of the program's for Exception may swallow it."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


class SeedError(AssertionError):
    """A seed that broke an invariant: which, what came before it, and how to see it again."""

    def __init__(
        self, violation: Violation, seed: int, step: int, steps: int, tail: str, workers: int = 1
    ) -> None:
        several = f" {workers}" if workers > 1 else ""
        super().__init__(
            f"seed {seed} at step {step}: {violation}\n"
            f"replay: python -m tests.simulation {seed} {steps}{several}\n{tail}"
        )
        self.invariant = violation.invariant
        self.step = step
