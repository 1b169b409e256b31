"""A program with a kernel in it, as a process: cases go in, replies or what ended it come out."""

from __future__ import annotations

import os
import re
import select
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernel_check.programs import Program
from quantcore.wording import counted

__all__ = ["Fault", "Fills", "KernelProcess", "Reply", "RunArray", "RunRequest", "as_arrays"]

INPUT, OUTPUT, SCRATCH = range(3)
ALIGNMENT = 16  # of arrays, as TensorFlow Lite and its arenas have it
REPLY_WORDS = 7
NO_FAULT, BEFORE, AFTER, CHANGED, STACK_OVERFLOW, ELSEWHERE = range(6)
MOST_OUTPUT = 4000  # characters of what a process prints
SANITIZER = re.compile(r"runtime error: .*|ERROR: AddressSanitizer: .*")
FRAME = re.compile(r"^\s*#\d+ 0x[0-9a-f]+ in (\S+) (\S+:\d+)", re.MULTILINE)
ACCESS = re.compile(r"^(READ|WRITE) of size (\d+)", re.MULTILINE)
REGION = re.compile(
    r"is located (\d+) bytes (before|after|to the left of|to the right of|inside of) (\d+)-byte region"
)
SIDES = {"to the left of": "before", "to the right of": "behind", "after": "behind", "inside of": "inside"}
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=0:exitcode=99:detect_stack_use_after_return=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=0:halt_on_error=1:exitcode=99",
}


@dataclass(frozen=True, slots=True)
class RunArray:
    """Memory for a run: bytes to read (``role`` INPUT), or so many to write."""

    name: str
    role: int
    size: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Fills:
    """What is in memory before the call that the kernel is to write before it reads."""

    output: int
    scratch: int
    stack: int


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A call: arrays (params, scratch, then the others), pointers between them, and the tensors."""

    arrays: Sequence[RunArray]
    pointers: Sequence[tuple[int, int, int]]
    tensors: Sequence[int]

    def encode(self, fills: Fills, *, at_end: bool, repeat: int) -> bytes:
        """Return what the runner reads, see ``runner.c``."""
        counts = (len(self.arrays), len(self.pointers), len(self.tensors))
        words = struct.pack("=8q", *counts, at_end, fills.output, fills.scratch, fills.stack, repeat)
        parts = [words]
        for array in self.arrays:
            parts.append(struct.pack("=3q", array.size, array.role, ALIGNMENT))
            if array.role == INPUT:
                parts.append(array.data)
        parts += [struct.pack("=3q", *pointer) for pointer in self.pointers]
        parts.append(struct.pack(f"={len(self.tensors)}q", *self.tensors))
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Fault:
    """What a kernel did that it may not do.

    Attributes
    ----------
    kind : str
        ``crash``, ``hang``, ``memory`` (a write that was found afterwards), ``sanitizer``, ``status``,
        ``exit``.
    message : str
        One line.
    details : str
        What else there is to read.
    status : int
        What the kernel returned.
    """

    kind: str
    message: str
    details: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a run gave: outputs as bytes, or a fault; time of the repeated calls."""

    outputs: tuple[bytes, ...] = ()
    fault: Fault | None = None
    nanoseconds: int = 0


class KernelProcess:
    """Runs cases in a process, which is started when it is needed, and again where it has ended."""

    def __init__(self, program: Program, timeout: float) -> None:
        self.program, self.timeout = program, timeout
        self.process: subprocess.Popen[bytes] | None = None
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self.requests = self.replies = -1

    def __enter__(self) -> KernelProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.printed.close()

    def start(self) -> None:
        """Start the process."""
        read_requests, self.requests = os.pipe()
        self.replies, write_replies = os.pipe()
        self.printed.seek(0)
        self.printed.truncate()
        try:
            self.process = subprocess.Popen(
                [self.program.path, str(read_requests), str(write_replies)],
                stdin=subprocess.DEVNULL,
                stdout=self.printed,
                stderr=self.printed,
                pass_fds=(read_requests, write_replies),
                env={**os.environ, **ENVIRONMENT},
            )
        except OSError as error:
            raise KernelError(f"the program of the kernel cannot be started: {error.strerror}") from None
        finally:
            os.close(read_requests)
            os.close(write_replies)

    def stop(self) -> int:
        """End the process, and return its status."""
        if self.process is None:
            return 0
        os.close(self.requests)
        os.close(self.replies)
        try:
            status = self.process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process = None
        return status

    def run(self, request: RunRequest, fills: Fills, *, at_end: bool = False, repeat: int = 0) -> Reply:
        """Run one call."""
        if self.process is None:
            self.start()
        try:
            self.send(request.encode(fills, at_end=at_end, repeat=repeat))
            words = struct.unpack(f"={REPLY_WORDS}q", self.receive(8 * REPLY_WORDS))
            status, signalled, _, _, _, _, nanoseconds = words
            if signalled:
                return Reply(fault=self.signalled(request, words))
            outputs = tuple(self.receive(a.size) for a in request.arrays if a.role == OUTPUT)
        except TimeoutError:
            process = self.process
            if process is not None:
                process.kill()
            self.stop()
            return Reply(fault=Fault("hang", f"it did not return within {self.timeout:g} s", self.output()))
        except (EOFError, BrokenPipeError):
            return Reply(fault=self.ended(request))
        if status:
            return Reply(
                outputs,
                Fault("status", f"it returned {status_text(status)}, not QC_OK", status=status),
                nanoseconds,
            )
        return Reply(outputs, memory_fault(request, words), nanoseconds)

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.requests, view) :]

    def receive(self, size: int) -> bytes:
        """Return `size` bytes of the reply; raise TimeoutError, or EOFError where the process has ended."""
        parts, deadline = [], time.monotonic() + self.timeout
        while size > 0:
            ready, _, _ = select.select([self.replies], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            part = os.read(self.replies, min(size, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def output(self) -> str:
        """Return what the process has printed, the end of it."""
        self.printed.seek(0)
        text = self.printed.read().decode(errors="replace")
        half = MOST_OUTPUT // 2
        return text if len(text) <= MOST_OUTPUT else f"{text[:half]}\n...\n{text[-half:]}"

    def signalled(self, request: RunRequest, words: Sequence[int]) -> Fault:
        """Return what a signal, reported by the runner, says."""
        _, number, place, array, offset, write, _ = words
        self.stop()
        name = signal_name(number)
        if place == STACK_OVERFLOW:
            return Fault("crash", f"{name}: its stack overflows", self.output())
        access = {0: "reads", 1: "writes"}.get(write, "accesses")
        if place == ELSEWHERE:
            where = f" ({access} address {offset:#x}, in none of its arrays)" if offset else ""
            if number in (signal.SIGSEGV, signal.SIGBUS) and 0 <= offset < 4096:
                where = f" ({access} address {offset:#x}: a NULL pointer, such as that of an omitted bias)"
            return Fault("crash", f"{name}{where}", self.output())
        where = place_in(request.arrays[array], place, offset)
        return Fault("crash", f"it {access} {where} ({name})", self.output())

    def ended(self, request: RunRequest) -> Fault:
        """Return what ended the process."""
        status = self.stop()
        printed = self.output()
        if found := SANITIZER.search(printed):
            return Fault("sanitizer", sanitizer_message(found[0], printed, request), printed)
        if status < 0:
            return Fault("crash", f"it ended with {signal_name(-status)}", printed)
        return Fault("exit", f"it ended the process with exit status {status}", printed)


def status_text(status: int) -> str:
    """Return what a kernel returned, by its name in status.h where it has one."""
    name = {1: "QC_BAD_ARGUMENT", 2: "QC_BAD_DATA"}.get(status)
    return f"{name} ({status})" if name else str(status)


def signal_name(number: int) -> str:
    """Return the name of a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def memory_fault(request: RunRequest, words: Sequence[int]) -> Fault | None:
    """Return what the runner found around the arrays after the call."""
    _, _, place, array, offset, _, _ = words
    if place == NO_FAULT:
        return None
    return Fault("memory", f"it writes {place_in(request.arrays[array], place, offset)}")


def place_in(array: RunArray, place: int, offset: int) -> str:
    """Return where an access went, in words."""
    what = f"{array.name} ({counted(array.size, 'byte')})"
    if place == BEFORE:
        return f"{counted(-offset, 'byte')} before the start of {what}"
    if place == AFTER:
        return f"byte {offset} of {what}, {offset - array.size + 1} beyond its end"
    return f"to byte {offset} of {what}, which is to be read only"


def sanitizer_message(first: str, printed: str, request: RunRequest) -> str:
    """Return what a sanitizer found, with the place in the user's source."""
    line = next((line for line in printed.splitlines() if first in line), first)
    if first.startswith("runtime error: "):
        return f"{line.partition(': runtime error: ')[0]}: {first.removeprefix('runtime error: ')}"
    kind = first.removeprefix("ERROR: AddressSanitizer: ").split()[0]
    frame = next((f[2] for f in FRAME.finditer(printed) if "runner.c" not in f[2]), "")
    said = [f"{frame}: {kind}" if frame else kind]
    if access := ACCESS.search(printed):
        said.append(f"it {access[1].lower()}s {counted(int(access[2]), 'byte')}")
    if region := REGION.search(printed):
        distance, side, size = int(region[1]), SIDES.get(region[2], region[2]), int(region[3])
        names = [a.name for a in request.arrays if a.size == size and a.name != "params"]
        array = f"{' or '.join(names[:3]) or 'an array'} ({counted(size, 'byte')})"
        said.append(f"{counted(distance, 'byte')} {side} {array}" if distance else f"right {side} {array}")
    return ", ".join(said)


def as_arrays(outputs: Sequence[bytes], like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return outputs as arrays of the dtypes and shapes of `like`."""
    return [
        np.frombuffer(data, array.dtype).reshape(array.shape)
        for data, array in zip(outputs, like, strict=True)
    ]
