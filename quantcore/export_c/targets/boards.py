"""Cortex-M cores, and the boards with them that QEMU emulates."""

from __future__ import annotations

from dataclasses import dataclass, replace

from quantcore.errors import TargetError

__all__ = ["TARGETS", "Region", "Target", "find_target", "parse_size", "with_memory"]

KIB, MIB = 1 << 10, 1 << 20
UNITS = {"": 1, "K": KIB, "M": MIB}

# QEMU's time advances by 2**7 ns at each instruction (-icount shift=7): the least power of two in which
# timers of 20 MHz and more advance by more than two ticks, so that rounding to whole instructions is exact.
ICOUNT_SHIFT = 7


@dataclass(frozen=True, slots=True)
class Region:
    """A piece of memory: where it starts, and how many bytes it has."""

    origin: int
    size: int


@dataclass(frozen=True, slots=True)
class Target:
    """A core, the compiler's flags for it, and a board with it.

    Attributes
    ----------
    name : str
        As the command line has it.
    core : str
        What the core has.
    flags : tuple of str
        For gcc and clang.
    flash, ram : Region
        For code and constants; for the stack, the arena and other variables.
    machine : str
        QEMU's name of the board; "" for a core without one: it is built and not run.
    board : str
        The board's own name.
    vectors : Region or None
        Where the core looks for the vector table, if that is not the start of flash.
    timer : str
        What counts instructions: ``DUAL_TIMER`` or ``SYSTEM_COUNTER``, see ``counter.c``.
    timer_address : int
    timer_hz : int
    """

    name: str
    core: str
    flags: tuple[str, ...]
    flash: Region
    ram: Region
    machine: str = ""
    board: str = ""
    vectors: Region | None = None
    timer: str = ""
    timer_address: int = 0
    timer_hz: int = 0


def _core(cpu: str, float_abi: str) -> tuple[str, ...]:
    return (f"-mcpu={cpu}", "-mthumb", f"-mfloat-abi={float_abi}")


def _mps2(name: str, core: str, number: int, float_abi: str = "hard") -> Target:
    """Return a core on an MPS2 board with the FPGA image `number`, which are alike in what is used here."""
    return Target(
        name, core, _core(name, float_abi),
        flash=Region(0x0000_0000, 4 * MIB), ram=Region(0x2000_0000, 4 * MIB),
        machine=f"mps2-an{number}", board=f"Arm MPS2, FPGA image AN{number}",
        timer="DUAL_TIMER", timer_address=0x4000_2000, timer_hz=25_000_000,
    )  # fmt: skip


# Memory and clocks are those of QEMU's hw/arm/mps2.c, mps2-tz.c and armsse.c. Cores with TrustZone stay in
# the secure state, in which they start.
_ALL = (
    Target(
        "cortex-m0plus", "Armv6-M; no board, so it is built and not run", _core("cortex-m0plus", "soft"),
        flash=Region(0x0000_0000, 256 * KIB), ram=Region(0x2000_0000, 32 * KIB),
    ),
    _mps2("cortex-m3", "Armv7-M", 385, "soft"),
    _mps2("cortex-m4", "Armv7E-M with DSP and float32", 386),
    _mps2("cortex-m7", "Armv7E-M with DSP, float32 and float64", 500),
    Target(
        "cortex-m33", "Armv8-M with DSP and float32", _core("cortex-m33", "hard"),
        flash=Region(0x1000_0000, 4 * MIB), ram=Region(0x3800_0000, 4 * MIB),
        machine="mps2-an505", board="Arm MPS2, FPGA image AN505",
        timer="DUAL_TIMER", timer_address=0x5000_2000, timer_hz=20_000_000,
    ),
    Target(
        "cortex-m55", "Armv8.1-M with DSP, MVE (Helium), float32 and float64", _core("cortex-m55", "hard"),
        flash=Region(0x1100_0000, 2 * MIB), ram=Region(0x3100_0000, 4 * MIB),
        vectors=Region(0x1000_0000, 512 * KIB),
        machine="mps3-an547", board="Arm MPS3, FPGA image AN547",
        timer="SYSTEM_COUNTER", timer_address=0x5810_0000, timer_hz=32_000_000,
    ),
)  # fmt: skip

TARGETS: dict[str, Target] = {target.name: target for target in _ALL}


def find_target(name: str) -> Target:
    """Return the target called `name`.

    Raises
    ------
    TargetError
        There is none.
    """
    if name not in TARGETS:
        raise TargetError(f"there is no target {name!r}; expected one of {', '.join(TARGETS)}")
    return TARGETS[name]


def parse_size(text: str | int) -> int:
    """Return a number of bytes from ``65536``, ``0x10000``, ``64K`` or ``1M``.

    Raises
    ------
    TargetError
        It is none of these, or not positive.
    """
    if isinstance(text, str):
        digits = text.upper().removesuffix("IB").removesuffix("B")
        unit = digits[-1:] if digits[-1:] in ("K", "M") else ""
        try:
            size = int(digits.removesuffix(unit), 0) * UNITS[unit]
        except ValueError:
            raise TargetError(f"{text!r} is not a size; expected bytes, or as in 64K and 1M") from None
    else:
        size = text
    if size <= 0:
        raise TargetError(f"a size is {text}; expected more than 0 bytes")
    return size


def with_memory(target: Target, ram: str | int | None, flash: str | int | None, *, emulated: bool) -> Target:
    """Return `target` with another amount of memory, that of a user's part.

    Raises
    ------
    TargetError
        A size that is none; with `emulated`, one that the board does not have.
    """

    def region(name: str, wanted: str | int | None, there: Region) -> Region:
        if wanted is None:
            return there
        size = parse_size(wanted)
        if emulated and size > there.size:
            raise TargetError(
                f"--{name} is {size:,} bytes; QEMU's {target.machine} has {there.size:,}. "
                "Without --run-qemu any size will do"
            )
        return Region(there.origin, size)

    return replace(target, ram=region("ram", ram, target.ram), flash=region("flash", flash, target.flash))
