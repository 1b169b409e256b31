"""The options of ``quantcore export-c`` that are about a target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from quantcore.cli._command import Callback, LibraryChoice

if TYPE_CHECKING:
    from quantcore.export_c import Export
    from quantcore.export_c.targets import TargetOptions, TargetResult
    from quantcore.graph import Model

__all__ = ["TargetRequest", "target_options"]

SAMPLES = 20  # by default, where they are run on a target

OPTIONS = (
    click.option(
        "--target",
        type=LibraryChoice("quantcore.export_c.targets", "TARGETS"),
        help="Add start-up code, linker script and Makefile for a core, in target/<name>/.",
    ),
    click.option(
        "--run-qemu",
        is_flag=True,
        help="Build for --target with arm-none-eabi-gcc and run on qemu-system-arm: outputs, memory, "
        f"instructions per operator. --samples is {SAMPLES} then, if it is not given.",
    ),
    click.option(
        "--oracle", is_flag=True, help="With --run-qemu: compare the outputs with TensorFlow Lite's as well."
    ),
    click.option("--ram", metavar="SIZE", help="RAM of your part, as in 256K; by default the board's."),
    click.option("--flash", metavar="SIZE", help="Flash of your part, as in 1M."),
    click.option("--stack", metavar="SIZE", help="RAM that is left for the stack.  [default: 16K]"),
    click.option("--cflags", default="-O2", help="How the target's compiler optimizes."),
    click.option("--timeout", type=float, default=300.0, help="Seconds that the program may take on QEMU."),
)


@dataclass(frozen=True, slots=True)
class TargetRequest:
    """What the options ask for.

    Attributes
    ----------
    options : TargetOptions or None
        None without ``--target``.
    run, oracle : bool
        ``--run-qemu`` and ``--oracle``.
    samples : int
        How many samples are recorded.
    """

    options: TargetOptions | None
    run: bool
    oracle: bool
    samples: int

    @property
    def complete(self) -> Callable[[Export], None] | None:
        """What adds the target's files to an export; None without a target."""
        from quantcore.export_c.targets import add_target

        options = self.options
        return None if options is None else lambda export: add_target(export, options)

    def result(self, export: Export, model: Model) -> TargetResult | None:
        """Build and run, if that was asked for."""
        if not self.run or self.options is None:
            return None
        from quantcore.export_c.targets import oracle_of, run_target

        if not self.oracle:
            return run_target(export, self.options)
        with oracle_of(export.numerics, self.options.timeout) as oracle:
            _ = oracle.name  # before minutes of emulation: whether there is one
            return run_target(export, self.options, model, oracle=oracle)


def target_options(function: Callback) -> Callback:
    """Add the options to a command with ``samples``; they arrive as ``on_target``, a `TargetRequest`."""

    @wraps(function)
    def with_request(
        target: str | None,
        run_qemu: bool,
        oracle: bool,
        ram: str | None,
        flash: str | None,
        stack: str | None,
        cflags: str,
        timeout: float,
        samples: int,
        **others: Any,
    ) -> Any:
        given = {"--run-qemu": run_qemu, "--ram": ram, "--flash": flash, "--stack": stack}
        if target is None and (unused := [name for name, value in given.items() if value]):
            raise click.UsageError(f"{unused[0]} needs --target")
        if oracle and not run_qemu:
            raise click.UsageError("--oracle needs --run-qemu")
        options = None
        if target is not None:
            from quantcore.export_c.targets import prepare

            options = prepare(
                target, run=run_qemu, ram=ram, flash=flash, stack=stack, cflags=cflags, timeout=timeout
            )
        source = click.get_current_context().get_parameter_source("samples")
        if run_qemu and source is click.core.ParameterSource.DEFAULT:
            samples = SAMPLES
        return function(
            samples=samples, on_target=TargetRequest(options, run_qemu, oracle, samples), **others
        )

    decorated: Callback = with_request
    for option in reversed(OPTIONS):
        decorated = option(decorated)
    return decorated
