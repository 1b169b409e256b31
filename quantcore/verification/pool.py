"""The oracles of a verification: those that the caller lends, and new ones."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack

from quantcore.numerics import PROFILES, Profile
from quantcore.oracle import Oracle

__all__ = ["Pool"]


class Pool:
    """The oracles that were given, and new ones where they are needed: one process per package."""

    def __init__(
        self,
        stack: ExitStack,
        given: dict[str, Oracle],
        num_threads: int,
        timeout: float,
        package: str | None,
    ) -> None:
        self.stack, self.given = stack, given
        self.num_threads, self.timeout, self.package = num_threads, timeout, package

    def get(self, profile: Profile) -> Oracle:
        """Return the oracle of a profile."""
        if profile.name in self.given:
            return self.given[profile.name]
        relatives = [o for name, o in self.given.items() if PROFILES[name].package is profile.package is None]
        if relatives:
            found = relatives[0].sibling(profile.resolver)
        else:
            found = self.stack.enter_context(self.start(profile))
        _ = found.name  # raises OracleUnavailable
        self.given[profile.name] = found
        return found

    def start(self, profile: Profile) -> AbstractContextManager[Oracle]:
        """Return a new oracle, which ends with the ``with`` block."""
        return Oracle(
            profile.resolver,
            num_threads=self.num_threads,
            timeout=self.timeout,
            package=profile.package or self.package,
        )
