"""`check_kernel`: a C kernel against the definition of its operator, on cases that aim at the edges."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from quantcore.c_compiler import Compiler, find_compiler
from quantcore.c_interface import Struct, kernel_interface
from quantcore.custom_kernels import CKernel
from quantcore.errors import KernelError
from quantcore.kernel_check.archive import read_case, write_case
from quantcore.kernel_check.c_test import write_test
from quantcore.kernel_check.case import Case, tensor_names
from quantcore.kernel_check.checker import ARRANGEMENTS, Checker, Failure, request_of
from quantcore.kernel_check.coverage import Coverage
from quantcore.kernel_check.explain import explain
from quantcore.kernel_check.operators.registry import Family, family
from quantcore.kernel_check.process import KernelProcess
from quantcore.kernel_check.programs import BUILDS, build_programs, build_reference, what_was_said
from quantcore.kernel_check.reduce import reduce_data
from quantcore.kernel_check.search import Drawing, Search
from quantcore.numerics import get_profile

__all__ = ["CheckResult", "check_kernel"]

Progress = Callable[[int, int, str], None]
TIMED_NANOSECONDS = 20_000_000
MOST_PRINTED = 64  # elements of an array in a report


@dataclass(slots=True)
class CheckResult:
    """What checking a kernel found.

    Attributes
    ----------
    ok : bool
        No case was found on which the kernel is wrong.
    op, symbol, kernel, numerics : str
        The operator; the function; the kernel that it was checked as (``conv_s8``); the profile.
    seed : int
    coverage : Coverage
        What was covered, before a case failed.
    failure : Failure or None
        The smallest case that was found, and what is wrong with it.
    reasons : list of str
        Why, where that is known.
    builds : list of str
        How the kernel was compiled: ``plain``, ``locals``, ``sanitizers``.
    missing : dict of str to str
        Builds that the compiler does not have, and why; also ``definition``, without which rounding ties are
        not counted, a failure is not explained, and there is no time to compare with.
    nanoseconds : dict of str to float
        Time of one call on the largest case: ``kernel``, ``reference``. A hint, not a measurement.
    files : list of Path
        What was written.
    unwritten : str
        Why the failing case could not be written; "" if it was, or there is none.
    """

    op: str
    symbol: str
    kernel: str
    numerics: str
    seed: int
    coverage: Coverage
    failure: Failure | None = None
    reasons: list[str] = field(default_factory=list)
    builds: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    nanoseconds: dict[str, float] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    unwritten: str = ""

    @property
    def ok(self) -> bool:
        """Whether the kernel gave what it should, and nothing else, on every case."""
        return self.failure is None

    def assert_ok(self) -> CheckResult:
        """Return the result if the kernel is right; for tests.

        Raises
        ------
        AssertionError
            It is not; the message is `report`.
        """
        if not self.ok:
            raise AssertionError(self.report())
        return self

    def report(self) -> str:
        """Return what is wrong, for people: the case with its parameters, the first difference, and why."""
        if self.failure is None:
            return f"{self.symbol} is {self.kernel}, bit for bit, on {self.coverage.cases} cases"
        failure, case = self.failure, self.failure.case
        what = {"mismatch": "wrong result", "hang": "does not return", "memory": "writes where it may not"}
        build = next(b for b in BUILDS if b.name == failure.build)
        lines = [f"{self.symbol}: {what.get(failure.kind, failure.kind)}: {failure.message}"]
        if failure.build != BUILDS[0].name:
            lines.append(f"(built with {' '.join(build.flags)})")
        lines += [f"why: {reason}" for reason in self.reasons]
        lines += ["", f"on this case of {case.op} ({case.kernel}, profile {case.numerics}):"]
        lines += [f"  {line}" for line in struct_lines(case.params, "params")]
        lines += [f"  {line}" for line in array_lines(case, failure)]
        if failure.details.strip():
            lines += ["", "printed:", *(f"  {line}" for line in failure.details.strip().splitlines()[:20])]
        lines += [f"written: {path}" for path in self.files]
        lines += [f"not written: {self.unwritten}"] * bool(self.unwritten)
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        failure = None
        if self.failure is not None:
            case = self.failure.case
            failure = {
                "kind": self.failure.kind,
                "message": self.failure.message,
                "build": self.failure.build,
                "reasons": self.reasons,
                "params": plain(case.params),
                "inputs": [None if x is None else list(x.shape) for x in case.inputs],
                "outputs": [list(y.shape) for y in case.expected],
            }
        return {
            "ok": self.ok,
            "op": self.op,
            "symbol": self.symbol,
            "kernel": self.kernel,
            "numerics": self.numerics,
            "seed": self.seed,
            "coverage": self.coverage.to_json(),
            "failure": failure,
            "builds": self.builds,
            "missing_builds": self.missing,
            "nanoseconds": self.nanoseconds,
            "files": [str(path) for path in self.files],
            "unwritten": self.unwritten or None,
        }


def check_kernel(
    kernel: CKernel | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    op: str,
    symbol: str | None = None,
    *,
    dtype: str | None = None,
    numerics: str = "reference",
    cases: int = 500,
    seed: int = 0,
    timeout: float = 10.0,
    out: str | os.PathLike[str] | None = None,
    replay: str | os.PathLike[str] | None = None,
    sanitizers: bool = True,
    may_refuse: bool = False,
    compiler: str | None = None,
    progress: Progress | None = None,
    **build: Any,
) -> CheckResult:
    """Check a kernel in C against the definition of an operator, bit for bit.

    The cases are drawn by Hypothesis, from strategies that aim at the edges: ties of the rounding,
    saturation, zero points at both ends, dimensions of one element, odd numbers of channels. The kernel runs
    in a process of its own, between pages that may not be touched; once more with other bytes in all memory
    that it should write first, and built with the compiler's sanitizers. A case on which it fails is made as
    small as possible.

    Parameters
    ----------
    kernel : CKernel, path-like, or sequence of path-like
        C files, as for `CKernel.from_source`.
    op : str
        Such as ``CONV_2D``.
    symbol : str
        Name of the function, where `kernel` is no `CKernel`.
    dtype : str, optional
        A form of the operator (``int8``, ``int8 int4``, ``int16``), where the prototype of the function fits
        several.
    numerics : str
        Profile: whose rounding.
    cases : int
    seed : int
        The same seed gives the same cases.
    timeout : float
        Seconds that a call may take.
    out : path-like, optional
        Folder for the failing case: ``<symbol>_failure.npz`` and ``.c``. It is made if it is not there.
    replay : path-like, optional
        An ``.npz`` file of that kind: only this case is checked.
    sanitizers : bool
        Whether the kernel is also built with the address and undefined behaviour sanitizers, where there are
        some.
    may_refuse : bool
        Whether the kernel may return ``QC_BAD_ARGUMENT`` for parameters that it is not made for: such cases
        are passed over, and others drawn.
    compiler : str, optional
        Command of the compiler.
    progress : callable, optional
        ``progress(done, total, what)``.
    **build
        ``flags``, ``include``, ``scratch`` of `CKernel.from_source`.

    Returns
    -------
    CheckResult

    Raises
    ------
    KernelError
        No compiler; the source does not compile; the prototype is not that of the operator; an operator that
        cannot be checked; the extra ``kernels`` is not installed.
    """
    profile = get_profile(numerics).name
    drawn = family(op)
    step = progress or (lambda done, total, what: None)
    step(0, cases, "compiling")
    if not isinstance(kernel, CKernel):
        if symbol is None:
            raise KernelError("symbol is missing: the name of the function in the C source")
        kernel = CKernel.from_source(kernel, symbol, compiler=compiler, **build)
    if not kernel.sources:
        raise KernelError(
            "a kernel that is given as a pointer cannot run in another process, and so not be checked; "
            "give its C source"
        )
    forms = chosen_forms(drawn, kernel, dtype)
    case = None if replay is None else read_case(replay)
    names = [n for form in forms for n in drawn.forms[form] if n in kernel.kernels]
    name = names[0] if case is None else case.kernel
    if name not in kernel.kernels:
        raise KernelError(f"{replay} is a case of {name}; {kernel.symbol} is {' or '.join(kernel.kernels)}")
    coverage = Coverage()
    result = CheckResult(op, kernel.symbol, name, profile, seed, coverage)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quantcore-check-")))
        system = find_compiler(compiler)
        programs, result.missing = build_programs(kernel, name, system, folder, sanitizers=sanitizers)
        result.builds = [program.build.name for program in programs]
        checker = stack.enter_context(Checker(programs, timeout))
        reference = start_reference(name, system, stack, result.missing)

        def seen(case: Case) -> None:
            coverage.add(case, reference if case.kernel == name else None)
            step(coverage.cases, cases, "checking")

        if case is not None:
            result.failure = checker.check(case)
            coverage.add(case, reference)
            others: list[Failure] = []
        else:
            search = Search(Drawing(drawn, forms, names, profile), checker, seen, may_refuse)
            result.failure, others = search.run(cases, seed), search.others()
            coverage.refused = search.refused
        if result.failure is not None:
            step(coverage.cases, cases, "looking for a small case")
            result.failure = reduce_data(result.failure, checker)
            known = reference if result.failure.case.kernel == name else None
            others = [other for other in others if other.case.kernel == name]
            result.reasons = explain(result.failure, others, checker, known)
            if out is not None:
                try:
                    result.files = write_failure(result.failure, kernel, Path(out))
                except OSError as error:  # what was found is not lost for that
                    result.unwritten = f"{out}: {error.strerror or error}"
        elif coverage.largest is not None:
            result.nanoseconds = measure(coverage.largest, checker.processes[0], reference)
    return result


def chosen_forms(drawn: Family, kernel: CKernel, dtype: str | None) -> list[str]:
    """Return the forms of the operator that the kernel can be checked as."""
    forms = drawn.forms_of(kernel.kernels)
    if dtype is not None and dtype not in drawn.forms:
        raise KernelError(f"{drawn.op} has no form {dtype!r}; known: {', '.join(drawn.forms)}")
    if dtype is not None:
        forms = [form for form in forms if form == dtype]
    if not forms:
        wanted = [name for form, names in drawn.forms.items() if dtype in (None, form) for name in names]
        first = kernel_interface(wanted[0])
        raise KernelError(
            f"{kernel.symbol} has the prototype of {' or '.join(kernel.kernels)}; the cases of {drawn.op}"
            f"{f' {dtype}' if dtype else ''} are computed by {', '.join(dict.fromkeys(wanted))}, such as "
            f"{' '.join(first.prototype.split())}"
        )
    if not set.intersection(*({*drawn.forms[form]} for form in forms)):
        raise KernelError(
            f"{kernel.symbol} has the prototype of several forms of {drawn.op}: {', '.join(forms)}; say "
            "which by the dtype (--dtype)"
        )
    return forms


def start_reference(
    name: str, compiler: Compiler, stack: ExitStack, missing: dict[str, str]
) -> KernelProcess | None:
    """Build and start the definition; None, and an entry in `missing`, where the compiler in use cannot."""
    try:
        program = build_reference(name, compiler)
    except KernelError as error:
        missing["definition"] = what_was_said(error)
        return None
    return stack.enter_context(KernelProcess(program, 30.0))


def write_failure(failure: Failure, kernel: CKernel, folder: Path) -> list[Path]:
    """Write a failing case as an archive and as a C program."""
    folder.mkdir(parents=True, exist_ok=True)
    archive, test = (folder / f"{kernel.symbol}_failure{suffix}" for suffix in (".npz", ".c"))
    write_case(failure, archive)
    write_test(failure, kernel, test)
    return [archive, test]


def measure(case: Case, kernel: KernelProcess, reference: KernelProcess | None) -> dict[str, float]:
    """Return the time of a call of the kernel, and of the definition built with the same flags."""
    found = {}
    request, arrangement = request_of(case), ARRANGEMENTS[0]
    for name, process in (("kernel", kernel), ("reference", reference)):
        if process is None:
            continue
        started = time.monotonic_ns()
        process.run(request, arrangement.fills)
        once = max(time.monotonic_ns() - started, 1000)
        repeat = max(3, min(2000, TIMED_NANOSECONDS // once))
        times = [
            process.run(request, arrangement.fills, repeat=repeat).nanoseconds / repeat for _ in range(3)
        ]
        found[name] = min(times)
    return found


def struct_lines(value: Any, path: str) -> list[str]:
    """Return a line for each field of a struct."""
    lines = []
    for name in value:
        field_value = value[name]
        if isinstance(field_value, Struct):
            lines += struct_lines(field_value, f"{path}.{name}")
        elif isinstance(field_value, np.ndarray):
            lines.append(f"{path}.{name} = {array_text(field_value)}")
        elif field_value is not None:
            lines.append(f"{path}.{name} = {field_value!r}")
    return lines


def array_lines(case: Case, failure: Failure) -> list[str]:
    """Return a line for each array of a case."""
    names = tensor_names(case.kernel, len(case.inputs), len(case.expected))
    lines = []
    for name, array in zip(names, case.inputs, strict=False):
        lines.append(f"{name} = {'NULL' if array is None else array_text(array)}")
    for k, name in enumerate(names[len(case.inputs) :]):
        lines.append(f"{name} = expected {array_text(case.expected[k])}")
        if k < len(failure.got):
            lines.append(f"{' ' * len(name)}   got      {array_text(failure.got[k])}")
    return lines


def array_text(array: np.ndarray) -> str:
    """Return an array in one line, with its shape, and without the middle of a long one."""
    flat = array.reshape(-1)
    shown = ", ".join(str(x) for x in flat[:MOST_PRINTED].tolist())
    more = f", ... ({flat.size} elements)" if flat.size > MOST_PRINTED else ""
    return f"{array.dtype} {list(array.shape)}: {shown}{more}"


def plain(value: Any) -> Any:
    """Return a struct as dictionaries and lists."""
    if isinstance(value, Struct):
        return {name: plain(value[name]) for name in value}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return repr(value) if type(value).__name__ == "Enumerator" else value
