"""`verify`: is every operator of a model bit-exact with TensorFlow Lite, and is the whole?

Layer by layer, each operator is run by quantcore on the oracle's own inputs to it, so that one mismatch does
not hide the next; then the model is run end to end. What could not be compared is reported as such, and a
result is called bit-exact only if everything was compared. See docs/verify.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, overload

from quantcore.custom_kernels import Kernel, KernelTable
from quantcore.errors import KernelError, OracleUnavailable, UnsupportedOperatorError
from quantcore.flatbuffer import read_model
from quantcore.graph import Model
from quantcore.oracle.arguments import ModelLike
from quantcore.runtime import Interpreter
from quantcore.samples import SampleSource, split_samples
from quantcore.verification.drawing import draw
from quantcore.verification.one_profile import verify_profile
from quantcore.verification.pool import ALL, Oracles, Pool
from quantcore.verification.profiles import ProfilesResult, compare_profiles
from quantcore.verification.recorded import RecordedSource, compare_recorded, read_recorded
from quantcore.verification.result import Comparison, VerifyResult

__all__ = ["ALL", "Comparison", "ProfilesResult", "VerifyResult", "verify"]

ProgressCallback = Callable[[int, int, str], None]


@overload
def verify(  # type: ignore[overload-overlap]  # a str may be "all" at run time
    model: ModelLike,
    inputs: SampleSource | None = None,
    samples: int = 8,
    seed: int = 0,
    *,
    numerics: Literal["all"],
    recorded: RecordedSource | None = None,
    progress: ProgressCallback | None = None,
    timeout: float = 300.0,
    num_threads: int = 1,
    package: str | None = None,
    oracle: Oracles | None = None,
    kernels: Mapping[str | int, Kernel] | None = None,
) -> ProfilesResult: ...


@overload
def verify(
    model: ModelLike,
    inputs: SampleSource | None = None,
    samples: int = 8,
    seed: int = 0,
    numerics: str = "reference",
    *,
    recorded: RecordedSource | None = None,
    progress: ProgressCallback | None = None,
    timeout: float = 300.0,
    num_threads: int = 1,
    package: str | None = None,
    oracle: Oracles | None = None,
    kernels: Mapping[str | int, Kernel] | None = None,
) -> VerifyResult: ...


def verify(
    model: ModelLike,
    inputs: SampleSource | None = None,
    samples: int = 8,
    seed: int = 0,
    numerics: str = "reference",
    *,
    recorded: RecordedSource | None = None,
    progress: ProgressCallback | None = None,
    timeout: float = 300.0,
    num_threads: int = 1,
    package: str | None = None,
    oracle: Oracles | None = None,
    kernels: Mapping[str | int, Kernel] | None = None,
) -> VerifyResult | ProfilesResult:
    """Compare a model with TensorFlow Lite, operator by operator and end to end.

    Parameters
    ----------
    model : Model, bytes or path
    inputs : ndarray, sequence, mapping or path, optional
        Samples for the main subgraph, see `quantcore.samples.split_samples`; default: random ones, see
        `quantcore.samples.random_samples`.
    samples : int
        How many random samples to draw, or at most to take from `inputs`.
    seed : int
        Of the random samples.
    numerics : str
        Profile, which also chooses the oracle; or ``all``: every profile against its oracle (those that are
        installed), and against each other.
    recorded : mapping or path, optional
        With ``all``: outputs of a device, by name or as ``out0``, ``out1`` ..., to say which profile they
        match. Their inputs are `inputs`, or in the same mapping or ``.npz`` file.
    progress : callable, optional
        Called as ``progress(done, total, what)`` when an oracle starts, and after each operator.
    timeout : float
        Seconds for one call of the oracle.
    num_threads : int
        Threads of the oracle.
    package : str, optional
        ``tensorflow`` or ``ai_edge_litert``.
    oracle : Oracle, or mapping of str to Oracle, optional
        One to use, and to leave running, in place of a new one: for several models in a row, so that they
        share a process. With ``all``, a mapping by profile; what it lacks is started. `timeout`,
        `num_threads` and `package` are then its own.
    kernels : mapping, optional
        Kernels of yours that compute operators of the model, as for `quantcore.Interpreter`: they are
        compared with the oracle in the place of ours.

    Returns
    -------
    VerifyResult, or ProfilesResult with ``all``

    Raises
    ------
    OracleUnavailable
        No oracle is installed.
    ModelFormatError, KernelError, QuantcoreError
        The model, the inputs or the recording are not usable.

    Notes
    -----
    In a model with state (variable tensors), the samples are consecutive invocations from fresh state; in
    others their order does not matter. Entry points are the main subgraph, those of signatures, and
    subgraphs that control flow calls; all but the main one are fed random samples. If the oracle cannot run
    a whole subgraph (it refuses an operator, or crashes), each operator is run alone in the oracle, on the
    values that quantcore computes for its inputs, and the end-to-end comparison is reported as missing.
    """
    if samples < 1:
        raise KernelError(f"samples is {samples}; expected at least 1")
    if recorded is not None and numerics != ALL:
        raise KernelError(f"a recording is compared with every profile; use numerics='all', not {numerics!r}")
    if kernels is not None and numerics == ALL:
        raise KernelError("kernels are compared with one profile's oracle; give numerics=, and not 'all'")
    pool = Pool(numerics, oracle, num_threads, timeout, package)
    graph = model if isinstance(model, Model) else read_model(model)
    recording = None if recorded is None else read_recorded(graph, recorded)
    if recording is not None and inputs is None:
        inputs = recording.inputs
    table = None if kernels is None else KernelTable(kernels)
    drawn = draw(model, graph, inputs, samples, seed)
    rounds = len(pool.profiles) + (numerics == ALL)
    if table is not None:
        drawn.notes.append(uses_of(graph, numerics, table))
    report = _Progress(progress, rounds * drawn.steps)
    with pool:
        if numerics != ALL:
            report.say("the oracle starts")
            return verify_profile(drawn, numerics, pool.get(pool.profiles[numerics]), report.step, table)
        result = ProfilesResult(graph.source, drawn.samples, seed, notes=drawn.notes)
        for name, profile in pool.profiles.items():
            report.say(f"{name}: the oracle starts")
            try:
                chosen = pool.get(profile)
            except OracleUnavailable as error:
                result.unavailable[name] = str(error)
            else:
                result.profiles[name] = verify_profile(drawn, name, chosen, report.steps_of(name))
    if not result.profiles and recording is None:
        raise OracleUnavailable(next(iter(result.unavailable.values())))
    compare_profiles(drawn, result, report.steps_of("profiles"))
    if recording is not None:
        if inputs is None:
            raise KernelError(
                "the recording holds outputs only; give their inputs, in it (in0 ...) or beside it"
            )
        result.recorded = compare_recorded(graph, recording, split_samples(graph, 0, inputs))
    return result


def uses_of(model: Model, numerics: str, kernels: KernelTable) -> str:
    """Return which operators kernels of the user's compute.

    Raises
    ------
    KernelError
        A key that names no operator, or none that its kernel fits.
    """
    try:
        return f"your kernels: {Interpreter(model, numerics, kernels=kernels).describe_kernels()}"
    except UnsupportedOperatorError as error:  # each operator that can be run is compared all the same
        return f"which operators your kernels compute is not known: {error}"


class _Progress:
    """Counts operators for the caller's progress bar."""

    def __init__(self, callback: ProgressCallback | None, total: int) -> None:
        self.callback, self.total, self.done = callback, total, 0

    def step(self, what: str) -> None:
        """Report that one more operator has been compared for one sample."""
        self.done += 1
        self.say(what)

    def steps_of(self, name: str) -> Callable[[str], None]:
        """Return `step` for one of several rounds."""
        return lambda what: self.step(f"{name}: {what}")

    def say(self, what: str) -> None:
        """Report what comes next."""
        if self.callback is not None:
            self.callback(min(self.done, self.total), self.total, what)
