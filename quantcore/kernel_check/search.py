"""The search for a case on which a kernel fails, and for a small one: by Hypothesis."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from quantcore.errors import KernelError, QuantcoreError
from quantcore.kernel_check.case import Case, make_case
from quantcore.kernel_check.checker import Checker, Failure
from quantcore.kernel_check.draws import Draws
from quantcore.kernel_check.operators.registry import Family

__all__ = ["Drawing", "Search"]

T = TypeVar("T")
SHRINK_SECONDS = 20.0  # for making a failing case smaller
BAD_ARGUMENT = 1  # status.h
HANG_SECONDS = 1.0  # that a kernel is given while a case on which it hangs is made smaller


class Found(Exception):
    """The kernel fails on a case; a class of its own for each kind, so that shrinking keeps to it."""

    kinds: ClassVar[dict[str, type[Found]]] = {}

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)

    @classmethod
    def of(cls, failure: Failure) -> Found:
        """Return the exception for a failure."""
        made = cls.kinds.setdefault(failure.kind, type(f"Found_{failure.kind}", (cls,), {}))
        return made(failure)


class HypothesisPick:
    """Choices that Hypothesis makes, and remembers here."""

    def __init__(self, draw: Callable[[Any], Any], strategies: Any) -> None:
        self.draw, self.strategies = draw, strategies
        self.made: list[Hashable] = []

    def one_of(self, options: Sequence[T]) -> T:
        position = self.integer(0, len(options) - 1) if len(options) > 1 else 0
        return options[position]

    def integer(self, low: int, high: int) -> int:
        value: int = self.draw(self.strategies.integers(low, high))
        self.made.append(value)
        return value


class NothingDrawnError(KernelError):
    """No case could be made."""


@dataclass(slots=True)
class Drawing:
    """Draws cases by Hypothesis.

    Attributes
    ----------
    family : Family
    forms : sequence of str
    kernels : sequence of str
        Cases that the definition computes by another kernel are passed over.
    numerics : str
    refusals : list of str
        Why some could not be made.
    """

    family: Family
    forms: Sequence[str]
    kernels: Sequence[str]
    numerics: str
    refusals: list[str] = field(default_factory=list)

    def run(self, cases: int, seed: int, use: Callable[[Hashable, Case], None]) -> None:
        """Call ``use(key, case)`` with so many cases; while it raises an exception, with smaller ones.

        Raises
        ------
        NothingDrawnError
            No case could be made; the message has the first reason.
        """
        hypothesis = import_hypothesis()

        def body(pair: tuple[Hashable, Case | None]) -> None:
            key, case = pair
            if case is None:
                hypothesis.reject()
            else:
                use(key, case)

        settings = hypothesis.settings(
            max_examples=cases,
            database=None,
            deadline=None,
            phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
            suppress_health_check=list(hypothesis.HealthCheck),
            verbosity=hypothesis.Verbosity.quiet,
            report_multiple_bugs=False,
            print_blob=False,
        )
        strategies = hypothesis.strategies
        drawn = strategies.composite(lambda draw: self.draw(HypothesisPick(draw, strategies)))
        run = hypothesis.seed(seed)(settings(hypothesis.given(drawn())(body)))
        try:
            with left_alone(hypothesis):
                run()
        except hypothesis.errors.Unsatisfiable:
            reason = self.refusals[0] if self.refusals else "the operator has nothing to compute"
            raise NothingDrawnError(f"no case of {self.family.op} could be made: {reason}") from None

    def draw(self, pick: HypothesisPick) -> tuple[Hashable, Case | None]:
        """Return what was drawn, and the case; None where it cannot be made."""
        form = pick.one_of(self.forms)
        draft = self.family.build(Draws(pick), form)
        if len(self.forms) > 1:
            draft.facts["form"] = form
        try:
            case = make_case(draft, self.family.op, self.numerics)
        except QuantcoreError as error:
            self.refusals.append(str(error))
            return None, None
        if case is not None and case.kernel not in self.kernels:
            self.refusals.append(f"{self.family.op} {form} is computed by {case.kernel}")
            return None, None
        return tuple(pick.made), case


@dataclass(slots=True)
class Search:
    """Looks for a case on which a kernel fails.

    Attributes
    ----------
    drawing : Drawing
    checker : Checker
    seen : callable
        Called with each case that was checked, until one fails.
    may_refuse : bool
        Whether cases for which the kernel returns ``QC_BAD_ARGUMENT`` are passed over.
    refused : int
        How many there were, before one failed.
    """

    drawing: Drawing
    checker: Checker
    seen: Callable[[Case], None]
    may_refuse: bool = False
    refused: int = 0
    failures: dict[Hashable, Failure] = field(default_factory=dict)
    deadline: float | None = None

    def run(self, cases: int, seed: int) -> Failure | None:
        """Check so many cases; return the smallest on which the kernel fails, or None.

        Raises
        ------
        KernelError
            No case could be made; the message has the reason.
        """
        self.draw(cases, seed)
        if not self.failures:
            return None
        best = min(self.failures.values(), key=lambda failure: failure.case.nbytes)
        return self.confirmed(best)

    def test(self, key: Hashable, case: Case) -> None:
        """Check a case; raise `Found` where the kernel fails."""
        failure = self.failures.get(key) or self.check(key, case)
        if failure is not None:
            raise Found.of(failure)  # in one place, which is how Hypothesis knows it again

    def check(self, key: Hashable, case: Case) -> Failure | None:
        """Check a case that was not checked before; once one has failed, only its like are failures."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            return None
        failure = self.checker.check(case)
        if failure is not None and failure.status == BAD_ARGUMENT and self.may_refuse:
            self.refused += not self.failures
            import_hypothesis().reject()
        if not self.failures:
            self.seen(case)
        if failure is None or (self.failures and failure.kind != self.first.kind):
            return None
        if not self.failures:
            self.deadline = time.monotonic() + SHRINK_SECONDS
            if failure.kind == "hang":
                self.checker.limit(min(HANG_SECONDS, self.checker.timeout))
        self.failures[key] = failure
        return failure

    @property
    def first(self) -> Failure:
        """The failure that was found first."""
        return next(iter(self.failures.values()))

    def others(self, most: int = 6) -> list[Failure]:
        """Return some of the failures, the first among them."""
        found = list(self.failures.values())
        return found[:: max(1, len(found) // most)]

    def confirmed(self, best: Failure) -> Failure:
        """Return the smallest failure, once more with all the time that a kernel has; else the first."""
        self.checker.limit(self.checker.timeout)
        if best.kind != "hang" or best is self.first:
            return best
        again = self.checker.check(best.case)
        return again or self.first

    def draw(self, cases: int, seed: int) -> None:
        """Draw cases, and call `test` with each; one that fails is made smaller."""
        hypothesis = import_hypothesis()
        try:
            self.drawing.run(cases, seed, self.test)
        except (Found, hypothesis.errors.Flaky):
            pass  # the failures are recorded; a flaky kernel fails now and then
        except NothingDrawnError:
            if not self.refused:
                raise
            raise KernelError(
                f"no case of {self.drawing.family.op} could be made: the kernel returned QC_BAD_ARGUMENT for "
                f"all {self.refused}"
            ) from None


@contextmanager
def left_alone(hypothesis: Any) -> Iterator[None]:
    """Keep Hypothesis from writing beside the user's files, and from drawing constants of the modules loaded.

    The same seed is to give the same cases wherever it is used.
    """
    provider = hypothesis.internal.conjecture.providers.HypothesisProvider
    name = "_maybe_draw_constant"
    original = getattr(provider, name, None)
    with tempfile.TemporaryDirectory() as folder:
        hypothesis.configuration.set_hypothesis_home_dir(folder)
        if original is not None:
            setattr(provider, name, lambda self, *arguments, **options: None)
        try:
            yield
        finally:
            hypothesis.configuration.set_hypothesis_home_dir(None)
            if original is not None:
                setattr(provider, name, original)


def import_hypothesis() -> Any:
    """Return the package.

    Raises
    ------
    KernelError
        It is not installed.
    """
    try:
        import hypothesis
        import hypothesis.configuration
        import hypothesis.internal.conjecture.providers
        import hypothesis.strategies
    except ImportError:
        raise KernelError(
            "checking kernels needs hypothesis, which is not installed; install the extra 'kernels' of "
            "quantcore-tflite"
        ) from None
    return hypothesis
