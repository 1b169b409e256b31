"""Recipes: which operators stay float or run in 16x8, and how which tensors are calibrated, as JSON.

docs/quantization/recipes.md describes the file.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from quantcore.calibration.methods import Method, make_tracker
from quantcore.calibration.ranges import unique_fields
from quantcore.errors import QuantizationError
from quantcore.flatbuffer.schema import OPERATORS
from quantcore.graph import Model, Subgraph
from quantcore.quantizer.settings import WEIGHT_BITS

__all__ = ["Choices", "Recipe", "RecipeSource", "Rule", "read_recipe"]

REGEX = "regex:"
FLOAT, INT16X8, QUANTIZED = "float", "int16x8", "quantized"
PRECISIONS = (FLOAT, INT16X8, QUANTIZED)
FIELDS = ("operators", "tensors", "precision", "calibration", "weight_bits", "comment")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a recipe: whom it is about, and what holds for them.

    Attributes
    ----------
    operators : tuple of str
        Kinds of operators (``CONV_2D``); empty: all.
    tensors : str
        Pattern that the name of one of the operator's outputs matches as a whole: as in file names (``*``,
        ``?``), or ``regex:`` and a regular expression. Empty: all.
    precision : str
        ``float``: the operator is not quantized; ``int16x8``: it runs in 16x8, in the mode int8;
        ``quantized``: it is quantized as the mode says, whatever an earlier rule said. Empty: this rule says
        nothing about it.
    calibration : str
        Method for the ranges of the operator's outputs, such as ``percentile:99.99``. Empty: as above.
    weight_bits : {0, 8, 4}
        Bits of the operator's weights, in the mode int8, where it has both forms. 0: as above.
    """

    operators: tuple[str, ...] = ()
    tensors: str = ""
    precision: str = ""
    calibration: str = ""
    weight_bits: int = 0


@dataclass(slots=True)
class Choices:
    """What a recipe says about one model.

    Attributes
    ----------
    float_operators : frozenset of int
        Operators of the main subgraph that are to stay float.
    int16_operators : frozenset of int
        Operators that are to run in 16x8.
    methods : dict of int to method
        Calibration method by tensor, for those that do not have the usual one.
    weight_bits : dict of int to int
        By operator.
    """

    float_operators: frozenset[int] = frozenset()
    int16_operators: frozenset[int] = frozenset()
    methods: dict[int | str, Method] = field(default_factory=dict)
    weight_bits: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Rules in order; a later one wins over an earlier one."""

    rules: tuple[Rule, ...] = ()
    source: str = "recipe"

    def choices(self, model: Model) -> Choices:
        """Return what the rules say about the operators and tensors of the main subgraph of `model`.

        Raises
        ------
        QuantizationError
            A rule that is about nothing in this model, which is most often a misspelt name.
        """
        main = model.subgraphs[0]
        precisions: dict[int, str] = {}
        methods: dict[int | str, Method] = {}
        bits: dict[int, int] = {}
        for position, rule in enumerate(self.rules):
            chosen = chosen_operators(rule, main)
            tensors = chosen_tensors(rule, main, chosen)
            if not chosen and not tensors:
                raise QuantizationError(f"{place(self.source, position)} {nothing_found(rule, model)}")
            if rule.precision:
                precisions.update(dict.fromkeys(chosen, rule.precision))
            if rule.calibration:
                methods.update(dict.fromkeys(tensors, rule.calibration))
            if rule.weight_bits:
                bits.update(dict.fromkeys(chosen, rule.weight_bits))
        floats, int16 = (
            frozenset(i for i, p in precisions.items() if p == precision) for precision in (FLOAT, INT16X8)
        )
        return Choices(floats, int16, methods, bits)


RecipeSource = Recipe | Mapping[str, Any] | str | os.PathLike[str]


def read_recipe(source: RecipeSource) -> Recipe:
    """Return a recipe from a file, or from what `json.load` makes of one.

    Raises
    ------
    QuantizationError
        What is wrong, and in which rule.
    OSError
        The file cannot be read.
    """
    if isinstance(source, Recipe):
        return source
    name = "recipe"
    document: Any = source
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        try:
            document = json.loads(Path(source).read_text(encoding="utf-8"), object_pairs_hook=unique_fields)
        except (ValueError, RecursionError) as error:
            raise QuantizationError(f"{name} is no JSON that can be read: {error}") from None
    if not isinstance(document, Mapping) or not isinstance(document.get("rules"), list):
        raise QuantizationError(f'{name} is no recipe; expected an object with a list "rules"')
    if unknown := sorted(set(map(str, document)) - {"rules", "comment"}):
        raise QuantizationError(f'{name} has {unknown[0]!r}; expected "rules" and "comment"')
    return Recipe(tuple(read_rule(rule, place(name, i)) for i, rule in enumerate(document["rules"])), name)


def read_rule(rule: Any, where: str) -> Rule:
    """Return one rule; `where` names it in messages."""
    if not isinstance(rule, Mapping):
        raise QuantizationError(f"{where} is {rule!r}; expected an object")
    for key in rule:
        if key not in FIELDS:
            close = get_close_matches(str(key), FIELDS, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected some of {', '.join(FIELDS)}"
            raise QuantizationError(f"{where} has {key!r}; {hint}")
    operators = read_operators(rule.get("operators", []), where)
    texts = {name: rule.get(name, "") for name in ("tensors", "precision", "calibration")}
    for name, value in texts.items():
        if not isinstance(value, str) or (name in rule and not value):
            raise QuantizationError(f"{where}: {name} is {value!r}; expected text")
    if not operators and not texts["tensors"]:
        raise QuantizationError(f'{where} says not whom it is about; expected "operators", "tensors" or both')
    bits = rule.get("weight_bits", 0)
    if "weight_bits" in rule and (bits not in WEIGHT_BITS or isinstance(bits, bool)):
        raise QuantizationError(f"{where}: weight_bits is {bits!r}; expected 8 or 4")
    if not (texts["precision"] or texts["calibration"] or bits):
        raise QuantizationError(
            f'{where} says nothing; expected "precision", "calibration", "weight_bits" or several of them'
        )
    if texts["precision"] and texts["precision"] not in PRECISIONS:
        raise QuantizationError(
            f"{where}: precision is {texts['precision']!r}; expected one of {', '.join(PRECISIONS)}"
        )
    try:
        matcher(texts["tensors"])
        if texts["calibration"]:
            make_tracker(texts["calibration"])
    except QuantizationError as error:
        raise QuantizationError(f"{where}: {error}") from None
    return Rule(operators, **texts, weight_bits=bits)


def read_operators(value: Any, where: str) -> tuple[str, ...]:
    """Return kinds of operators: a list of names, or one name."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise QuantizationError(f'{where}: operators is {value!r}; expected names such as ["CONV_2D"]')
    for name in names:
        if name not in OPERATORS and not name.startswith("CUSTOM:"):
            close = get_close_matches(name.upper(), OPERATORS, 1)
            hint = f"did you mean {close[0]!r}?" if close else "expected one as `quantcore inspect` shows"
            raise QuantizationError(f"{where}: there is no operator {name!r}; {hint}")
    return tuple(names)


def matcher(pattern: str) -> Callable[[str], object]:
    """Return what says whether a name matches `pattern`; refuse a wrong regular expression."""
    if not pattern.startswith(REGEX):
        return re.compile(fnmatch.translate(pattern)).fullmatch
    try:
        return re.compile(pattern.removeprefix(REGEX)).fullmatch
    except re.error as error:
        raise QuantizationError(f"{pattern!r} is no regular expression: {error}") from None


def chosen_operators(rule: Rule, graph: Subgraph) -> list[int]:
    """Return the indices of the operators that a rule is about."""
    matches = matcher(rule.tensors or "*")
    return [
        index
        for index, op in enumerate(graph.operators)
        if (not rule.operators or op.name in rule.operators)
        and any(matches(graph.tensors[t].name) for t in op.outputs if t >= 0)
    ]


def chosen_tensors(rule: Rule, graph: Subgraph, chosen: list[int]) -> list[int]:
    """Return the tensors that a rule's calibration is about: operators' outputs, and graph inputs by name."""
    tensors = [t for index in chosen for t in graph.operators[index].outputs if t >= 0]
    if not rule.operators:
        matches = matcher(rule.tensors)
        tensors += [t for t in graph.inputs if matches(graph.tensors[t].name)]
    return [t for t in tensors if graph.tensors[t].dtype == "float32"]


def nothing_found(rule: Rule, model: Model) -> str:
    """Say that a rule is about nothing, and what there is."""
    graph = model.subgraphs[0]
    if rule.operators and not rule.tensors:
        kinds = sorted({op.name for op in graph.operators})
        return f"is about {' '.join(rule.operators)}; {model.source} has {' '.join(kinds) or 'no operators'}"
    names = [graph.tensors[t].name for op in graph.operators for t in op.outputs if t >= 0]
    whom = f"{' '.join(rule.operators)} with an output called {rule.tensors!r}".lstrip()
    example = f", such as {names[0]!r} (a pattern stands for the whole name)" if names else ""
    return f"is about operators {whom}; {model.source} has none. It has {len(names)} outputs{example}"


def place(source: str, position: int) -> str:
    """Return how a rule is called in messages; people count from 1."""
    return f"{source}: rule {position + 1}"
