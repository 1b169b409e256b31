"""The ranges of a model's tensors, as calibration finds them and the quantizer takes them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quantcore.calibration.intermediates import with_intermediates
from quantcore.errors import QuantizationError
from quantcore.files import atomic_write
from quantcore.graph import Model, Tensor

__all__ = ["Ranges", "TensorRange"]

FORMAT, VERSION = "quantcore ranges", 1
FLOAT32_LIMIT = 2.0**128 - 2.0**103  # what is smaller rounds to a finite float32


@dataclass(frozen=True, slots=True)
class TensorRange:
    """The range of one tensor.

    Attributes
    ----------
    name : str
        Name of the tensor, so that a saved file can be read by people.
    rmin, rmax : float
        Ends of the range; each is a float32 value. Not yet widened to hold 0.
    samples : int
        How many samples were seen; 0 where the range was entered by hand.
    method : str
        How the range was found: ``min_max``, ``percentile`` ...; ``given`` where it was entered by hand.
    seen_min, seen_max : float or None
        Smallest and largest value that was seen, where `method` may narrow the range.
    clipped : float or None
        Share of the values seen that lie outside the range, in [0, 1], where `method` may narrow the range.
    """

    name: str
    rmin: float
    rmax: float
    samples: int = 0
    method: str = "given"
    seen_min: float | None = None
    seen_max: float | None = None
    clipped: float | None = None


REQUIRED = ("index", "name", "rmin", "rmax")
FLOATS = ("rmin", "rmax", "seen_min", "seen_max")
FIELDS = ("index", *TensorRange.__dataclass_fields__)


class Ranges(dict[int, TensorRange]):
    """Ranges by tensor index in the main subgraph of the float model.

    They are saved as JSON with one line per tensor, to be inspected and edited::

        {
          "format": "quantcore ranges",
          "version": 1,
          "tensors": [
            {"index": 0, "name": "input", "rmin": -1.0, "rmax": 0.5, "samples": 100, "method": "min_max"},
            {"index": 7, "name": "scores", "rmin": 0.0, "rmax": 6.0}
          ]
        }

    `index`, `name`, `rmin` and `rmax` are required; the others are those of `TensorRange`. Numbers are
    written with the digits that give the same float32 again, and are rounded to float32 when read.
    """

    def to_json(self) -> str:
        """Return the text of the file, tensors in the order of their indices.

        Raises
        ------
        QuantizationError
            A range that `from_json` would refuse.
        """
        lines = ",\n".join(f"    {json_line(index, self[index])}" for index in sorted(self))
        listed = f"[\n{lines}\n  ]" if lines else "[]"
        text = f'{{\n  "format": "{FORMAT}",\n  "version": {VERSION},\n  "tensors": {listed}\n}}\n'
        self.from_json(text)
        return text

    @classmethod
    def from_json(cls, text: str, source: str = "ranges") -> Ranges:
        """Return the ranges that `text` holds; `source` names it in messages.

        Raises
        ------
        QuantizationError
            No JSON, another format or version, a field that is missing, unknown or of the wrong type, NaN or
            an infinity, an end that float32 cannot hold, rmin above rmax, an index that occurs twice.
        """
        try:
            document = json.loads(text, object_pairs_hook=unique_fields)
        except (ValueError, RecursionError) as error:
            raise QuantizationError(f"{source} is no JSON that can be read: {error}") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise QuantizationError(f'{source} holds no ranges; expected an object with "format": "{FORMAT}"')
        if document.get("version") != VERSION:
            raise QuantizationError(
                f"{source} has version {document.get('version')!r}; this quantcore reads version {VERSION}"
            )
        tensors = document.get("tensors")
        if not isinstance(tensors, list):
            raise QuantizationError(f'{source} has no list "tensors"')
        result = cls()
        for position, entry in enumerate(tensors):
            try:
                index, found = decoded(entry)
                if index in result:
                    raise QuantizationError(f"index {index} is also that of {result[index].name!r}")
            except QuantizationError as error:
                raise QuantizationError(f"{source}, tensors[{position}]{title(entry)}: {error}") from None
            result[index] = found
        return result

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` to a file, which appears whole or not at all."""
        text = self.to_json()
        with atomic_write(path, "w") as file:
            file.write(text)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Ranges:
        """Read a file that `save` wrote, perhaps edited since. Errors as `from_json`, and OSError."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise QuantizationError(f"{path} is no text in UTF-8: {error}") from None
        return cls.from_json(text, str(path))

    def check(self, model: Model) -> None:
        """Refuse ranges that are not those of `model`.

        Raises
        ------
        QuantizationError
            An index that the main subgraph does not have, another name at an index, or a tensor that has no
            range because it is not float32 or is constant. The message names the first and counts the rest.
        """
        tensors = with_intermediates(model).subgraphs[0].tensors
        wrong = [found for index in sorted(self) if (found := mismatch(self[index], index, tensors))]
        if wrong:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise QuantizationError(
                f"the ranges do not belong to {model.source}: {wrong[0]}{more}; "
                "expected ranges that were collected on this model"
            )


def mismatch(found: TensorRange, index: int, tensors: list[Tensor]) -> str | None:
    """Return in what way a range does not belong to the tensor at `index`; None where it does."""
    if not 0 <= index < len(tensors):
        return f"tensor {index} ({found.name!r}), but the model has {len(tensors)} tensors"
    tensor = tensors[index]
    if tensor.name != found.name:
        return f"tensor {index} is {found.name!r} in the ranges and {tensor.name!r} in the model"
    if tensor.dtype != "float32" or tensor.is_constant:
        kind = "a constant" if tensor.is_constant else tensor.dtype
        return f"tensor {index} ({found.name!r}) is {kind}, and only computed float32 tensors have ranges"
    return None


def json_line(index: int, found: TensorRange) -> str:
    """Return one tensor as one line of JSON, without what is not known."""
    fields = {"index": index} | {name: getattr(found, name) for name in TensorRange.__dataclass_fields__}
    listed = []
    for name, value in fields.items():
        if value is not None:
            text = float32_digits(value) if name in FLOATS else json.dumps(value, ensure_ascii=False)
            listed.append(f'"{name}": {text}')
    return f"{{{', '.join(listed)}}}"


def float32_digits(value: float) -> str:
    """Return the fewest digits that give the float32 back, also by way of a double."""
    with np.errstate(over="ignore"):
        rounded = np.float32(value)
    text = str(rounded)
    if np.isfinite(rounded) and np.float32(float(text)) == rounded:
        return text
    return json.dumps(float(rounded))


def unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's fields; refuse one that occurs twice, of which JSON would drop the first."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'field "{twice}" occurs twice in one object')
    return fields


def title(entry: Any) -> str:
    """Return how an entry is called in messages, as far as it says so itself."""
    if not isinstance(entry, dict):
        return ""
    known = [f"{field} {entry[field]!r}" for field in ("index", "name") if field in entry]
    return f" ({', '.join(known)})" if known else ""


def decoded(entry: Any) -> tuple[int, TensorRange]:
    """Return index and range of one entry of the file."""
    if not isinstance(entry, dict):
        raise QuantizationError(f"{entry!r}; expected an object with the fields {', '.join(REQUIRED)}")
    missing = [name for name in REQUIRED if name not in entry]
    unknown = [name for name in entry if name not in FIELDS]
    if missing or unknown:
        what = f"{missing[0]} is missing" if missing else f"{unknown[0]!r} is no field"
        raise QuantizationError(f"{what}; known fields are {', '.join(FIELDS)}")
    values = dict(entry)
    for name in ("index", "samples"):
        if name in values and (type(values[name]) is not int or values[name] < 0):
            raise QuantizationError(f"{name} is {values[name]!r}; expected an integer from 0")
    for name in ("name", "method"):
        if name in values and not isinstance(values[name], str):
            raise QuantizationError(f"{name} is {values[name]!r}; expected a string")
    for name in (*FLOATS, "clipped"):
        if name in values:
            values[name] = finite(name, values[name])
    if values["rmin"] > values["rmax"]:
        raise QuantizationError(f"rmin {entry['rmin']!r} is above rmax {entry['rmax']!r}")
    if not 0 <= values.get("clipped", 0.0) <= 1:
        raise QuantizationError(f"clipped is {entry['clipped']!r}; expected a share from 0 to 1")
    return values.pop("index"), TensorRange(**values)


def finite(name: str, value: Any) -> float:
    """Return a number of the file; the ends of ranges rounded to float32."""
    if type(value) not in (int, float) or not abs(value) < FLOAT32_LIMIT:
        raise QuantizationError(f"{name} is {value!r}; expected a finite number that float32 can hold")
    return float(np.float32(value)) if name in FLOATS else float(value)
