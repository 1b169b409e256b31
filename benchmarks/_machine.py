"""The machine that a benchmark ran on: names and versions, and what it can do at most."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import quantcore
from quantcore.kernels import _core

__all__ = [
    "MEMORY_SIZES",
    "Peak",
    "arithmetic_peaks",
    "describe",
    "memory_peaks",
    "peak_timer",
    "read_seconds",
]

PROBE_SECONDS = 0.004
PROBES = 50  # the fastest counts: a peak is what was possible
CALL_SECONDS = 0.001  # of a peak that takes part in a race
PEERS = ("tensorflow", "ai-edge-litert", "onnxruntime", "torch", "numpy")
MEMORY_SIZES = {"level 1 cache": 1 << 14, "level 2 cache": 1 << 18, "4 MiB": 1 << 22, "memory": 1 << 27}


@dataclass
class Peak:
    """A rate that the machine reached: multiply-accumulates per second, or bytes read per second.

    `isa` is the instruction set, as quantcore calls it; of memory, the level. `kind` is ``int8`` or
    ``float32``, ``read`` or ``copy``.
    """

    name: str
    isa: str
    kind: str
    per_second: float

    def to_json(self) -> dict[str, Any]:
        """Return a dict for `json.dumps`."""
        return asdict(self)


def describe() -> dict[str, Any]:
    """Return who measures what on what: CPU, instruction sets, versions."""
    before = _core.select_isa(None)
    best = _core.isa
    _core.select_isa(before)
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "isa": before,
        "best_isa": best,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "quantcore": quantcore.__version__,
        "versions": {name: version(name) for name in PEERS},
    }


def cpu_name() -> str:
    """Return what the system calls the CPU, with its model number: virtual machines leave out the name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    found: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    numbers = [f"{key} {found[key]}" for key in ("cpu family", "model", "stepping") if key in found]
    return ", ".join([found.get("model name", platform.machine()), *numbers])


def version(name: str) -> str | None:
    """Return the version of a distribution; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache
def probes() -> ctypes.CDLL | None:
    """Compile the probes; None without a C compiler."""
    source = Path(__file__).with_name("peaks.c")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "peaks.so"
        command = [
            os.environ.get("CC", "cc"),
            "-std=gnu11",
            "-O2",
            "-shared",
            "-fPIC",
            "-o",
            str(library),
            str(source),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        found = ctypes.CDLL(str(library))
    for name in ("name", "isa", "kind"):
        getattr(found, f"probe_{name}").restype = ctypes.c_char_p
    found.probe_macs.restype = found.probe_run.restype = found.memory_read.restype = ctypes.c_double
    found.probe_run.argtypes = [ctypes.c_int, ctypes.c_long]
    found.memory_read.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long]
    found.memory_copy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long]
    return found


@cache
def arithmetic_peaks() -> list[Peak]:
    """Return what each instruction that the CPU has reaches on registers, on one core."""
    library = probes()
    if library is None:
        return []
    peaks = []
    for i in range(library.probe_count()):
        if library.probe_supported(i):
            rate = library.probe_macs(i) * rounds_per_second(partial(library.probe_run, i))
            name, isa, kind = (
                getattr(library, f"probe_{part}")(i).decode() for part in ("name", "isa", "kind")
            )
            peaks.append(Peak(name, isa, kind, rate))
    return peaks


def memory_peaks() -> list[Peak]:
    """Return the bytes per second that one core reads and copies, by size of the data; a copy counts once."""
    library = probes()
    if library is None:
        return []
    peaks = []
    for level, size in MEMORY_SIZES.items():
        source, target = _core.aligned_bytes(size), _core.aligned_bytes(size)
        source[:], target[:] = 1, 1
        a, b = source.ctypes.data, target.ctypes.data
        for kind, run in (
            ("read", partial(library.memory_read, a, size)),
            ("copy", partial(library.memory_copy, b, a, size)),
        ):
            peaks.append(Peak(f"{kind}, {level}", level, kind, size * rounds_per_second(run)))
    return peaks


def rounds_per_second(run: Callable[[int], Any]) -> float:
    """Return the rounds per second of the fastest of several runs."""
    rounds, taken = 1, 0.0
    while taken < PROBE_SECONDS:
        if taken:
            rounds = max(rounds + 1, min(rounds * 100, int(1.2 * rounds * PROBE_SECONDS / taken) + 1))
        taken = seconds(run, rounds)
    return rounds / min(seconds(run, rounds) for _ in range(PROBES))


def seconds(run: Callable[[int], Any], rounds: int) -> float:
    """Return what `rounds` rounds take."""
    start = time.perf_counter()
    run(rounds)
    return time.perf_counter() - start


def peak_timer(kind: str, isa: str) -> tuple[str, float, Callable[[int], float]] | None:
    """Return the best instruction of a kind, not above an instruction set, as a contender of a race.

    Returns
    -------
    (str, float, callable) or None
        Its name, the multiply-accumulates of a call, and from a number of calls to the mean seconds of one.
        None without a C compiler, or an instruction.
    """
    library = probes()
    order = _core.ISA_NAMES
    peaks = [p for p in arithmetic_peaks() if p.kind == kind and order.index(p.isa) <= order.index(isa)]
    if library is None or not peaks:
        return None
    best = max(peaks, key=lambda peak: peak.per_second)
    index = next(i for i in range(library.probe_count()) if library.probe_name(i).decode() == best.name)
    macs = library.probe_macs(index)
    rounds = int(CALL_SECONDS * best.per_second / macs) + 1
    return (
        best.name,
        macs * rounds,
        lambda calls: seconds(partial(library.probe_run, index), rounds * calls) / calls,
    )


def read_seconds(data: np.ndarray, calls: int) -> float:
    """Return the mean seconds of reading an array of a multiple of 256 bytes; 0 without a C compiler."""
    library = probes()
    if library is None:
        return 0.0
    return seconds(lambda n: library.memory_read(data.ctypes.data, data.nbytes, n), calls) / calls
