"""What ``quantcore quantize`` did: as JSON for machines and reports, as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from quantcore import __version__
from quantcore.cli._quantize_options import Asked
from quantcore.cli._tables import console, percent, print_fields, print_table, table
from quantcore.quantizer.explain import TensorAccount, kept_float, operator_dtypes

if TYPE_CHECKING:
    from quantcore.calibration import Ranges
    from quantcore.graph import Model
    from quantcore.quantizer.account import Account
    from quantcore.quantizer.steps import Plan

__all__ = ["Done", "print_result"]

# Of a tensor's name: converters join those of all layers that went into it
NAME_WIDTH, NARROW_NAME_WIDTH, WIDE = 48, 16, 150
FEW = 20  # operators that stayed float, listed


@dataclass(slots=True)
class Done:
    """What was done. `to_json` is what ``--json`` prints and what the report holds.

    Attributes
    ----------
    asked : Asked
    planned : Plan
        As it was after the search, without corrected biases.
    model, ranges, account
        The quantized model, and what it was made by.
    converted : bool
        The float model was something of Keras, of which TensorFlow made a ``.tflite``.
    float_bytes, bytes : int
        Size of the float and of the quantized ``.tflite``.
    samples : int
    notes : list of str
    seconds : float
        Without the comparison that `rows` need.
    rows : list of TensorAccount or None
        Where each number came from, if asked for.
    """

    asked: Asked
    planned: Plan
    model: Model
    ranges: Ranges | None
    account: Account
    converted: bool
    float_bytes: int
    bytes: int
    samples: int
    notes: list[str]
    seconds: float
    rows: list[TensorAccount] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a dict for `print_json`."""
        asked, settings = self.asked, self.planned.settings
        about: dict[str, Any] = {
            "quantcore": __version__,
            "model": asked.model,
            "out": asked.out,
            "mode": settings.mode,
            "io": settings.io,
            "per_channel": settings.per_channel,
            "per_channel_dense": settings.per_channel_dense,
            "weight_bits": settings.weight_bits,
            "recipe": asked.recipe,
            "equalize": asked.equalize,
            "correct_biases": asked.correct_biases,
            "float_operators": sorted(settings.float_operators),
            "int16_operators": sorted(settings.int16_operators),
            "calibration": self.calibration(),
            "bytes": {"float": self.float_bytes, "quantized": self.bytes},
            "ratio": self.bytes / self.float_bytes,
            "seconds": self.seconds,
            "operators": operator_dtypes(self.model),
            "kept_float": kept_float(self.planned.model, self.account),
            "notes": self.notes,
        }
        if self.rows is not None:
            about["compared_samples"] = min(self.samples, asked.compare_samples)
            about["tensors"] = [asdict(row) for row in self.rows]
        return about

    def calibration(self) -> dict[str, Any] | None:
        """Return where the ranges come from; None where the mode needs none."""
        asked = self.asked
        if self.ranges is None:
            return {"ranges": "trained"} if self.planned.settings.trained else None
        if asked.given_ranges:
            return {"ranges": asked.ranges}
        data = asked.data or f"random, seed {asked.seed}"
        how = {"engine": asked.engine, "ranges": asked.ranges, "method": asked.method}
        return {"data": data, "samples": self.samples, **how}


def print_result(done: Done) -> None:
    """Print what was made, of what, and what is worth knowing about it."""
    settings, found = done.planned.settings, done.calibration()
    form = " as a float .tflite" if done.converted else ""
    rows = [
        ("model", f"{done.asked.model}: {done.float_bytes:,} bytes{form}"),
        ("written", f"{done.asked.out}: {done.bytes:,} bytes, {done.bytes / done.float_bytes:.3f} of it"),
        ("mode", f"{settings.mode}, {settings.io} inputs and outputs"),
    ]
    if found is not None:
        rows.append(("calibration", calibration(found)))
    for form, counts in operator_dtypes(done.model).items():
        rows.append((form, ", ".join(f"{count} x {op}" for op, count in counts.items())))
    rows.append(("time", f"{done.seconds:.2f} s"))
    rows += [("note", note) for note in done.notes]
    if done.asked.report_path is not None:
        rows.append(("account", str(done.asked.report_path)))
    print_fields(rows)
    kept = kept_float(done.planned.model, done.account)
    if kept:
        title = f"operators that stay float: {len(kept)}"
        listing = table(">#", "operator", "output", "why", title=title)
        for one in kept[:FEW]:
            listing.add_row(str(one["index"]), one["op"], one["output"] or "", one["reason"])
        print_table(listing)
    if done.asked.explain and done.rows is not None:
        print_rows(done.rows)


def calibration(found: dict[str, object]) -> str:
    """Return where the ranges come from, in a line."""
    if found["ranges"] == "trained":
        return "trained ranges, in the model"
    if "data" not in found:
        return f"ranges of {found['ranges']}"
    how = f"engine {found['engine']}, ranges {found['ranges']}, {found['method']}"
    return f"{found['samples']} samples ({found['data']}); {how}"


def print_rows(rows: Sequence[TensorAccount]) -> None:
    """Print where the numbers of each tensor come from."""
    screen = console()
    result = table(">#", "tensor", "dtype", "range", "scale", ">zero", ">clipped", ">SQNR", "rule",
                   title="where each number came from (SQNR in dB, end to end)")  # fmt: skip
    room = NAME_WIDTH if screen.width >= WIDE else NARROW_NAME_WIDTH
    for row in rows:
        rule = row.rule if row.source is None else f"{row.rule} ({short(row.source, room)})"
        result.add_row(
            str(row.index),
            short(row.name, room),
            row.dtype,
            "" if row.range_min is None else f"[{row.range_min:.4g}, {row.range_max:.4g}]",
            span(row.scale),
            str(row.zero_point[0]) if row.zero_point else "",
            "" if row.clipped is None else percent(row.clipped),
            "" if row.sqnr_db is None else f"{row.sqnr_db:.2f}",
            rule,
        )
    print_table(result)


def short(name: str, room: int) -> str:
    """Return a name that fits; the end says more than the beginning."""
    return name if len(name) <= room else f"...{name[3 - room :]}"


def span(scales: Sequence[float]) -> str:
    """Return one scale, or the smallest and the largest of several."""
    if not scales:
        return ""
    low, high = min(scales), max(scales)
    return f"{low:.6g}" if len(scales) == 1 else f"{low:.3g}..{high:.3g} ({len(scales)})"
