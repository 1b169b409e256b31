"""The oracles of a verification: those that the caller lends, and new ones."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Literal

from quantcore.errors import KernelError
from quantcore.numerics import PROFILES, Profile, get_profile
from quantcore.oracle import Oracle

__all__ = ["ALL", "Oracles", "Pool"]

ALL: Literal["all"] = "all"

Oracles = Oracle | Mapping[str, Oracle]


class Pool:
    """The oracles that were given, and new ones where they are needed: one process per package.

    Those that it starts end with the ``with`` block.

    Parameters
    ----------
    numerics : str
        The profile that is to be verified, or ``all``.
    oracle : Oracle, mapping of str to Oracle, or None
        One, for each profile that it has the kernels of; or several by profile.
    num_threads, timeout, package
        Of new oracles.

    Raises
    ------
    QuantcoreError
        There is no such profile.
    KernelError
        `oracle` has the kernels of none of the profiles.
    """

    def __init__(
        self,
        numerics: str,
        oracle: Oracles | None,
        num_threads: int,
        timeout: float,
        package: str | None,
    ) -> None:
        self.num_threads, self.timeout, self.package = num_threads, timeout, package
        self.profiles = PROFILES if numerics == ALL else {numerics: get_profile(numerics)}
        self.given = dict(oracle) if isinstance(oracle, Mapping) else {}
        self.stack = ExitStack()
        if isinstance(oracle, Oracle):
            profiles = self.profiles.values()
            self.given = {p.name: oracle for p in profiles if p.resolver == oracle.resolver}
            if not self.given:
                wanted = ", ".join(p.resolver for p in profiles)
                raise KernelError(
                    f"numerics {numerics!r} needs an oracle with {wanted}, got {oracle.resolver}"
                )

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stack.close()

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
