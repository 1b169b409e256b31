"""Which rule of a profile each operator of a subgraph follows, and what sets rules apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np

from quantcore.errors import QuantcoreError
from quantcore.graph import Model
from quantcore.numerics import Rule, get_profile
from quantcore.ops.node import Node
from quantcore.ops.registry import build_node, load_operators

__all__ = ["INEXACT_FORMS", "ROUNDINGS", "describe_rules", "find_page", "find_rule", "inexact", "make_node"]

ROUNDINGS = {
    "double_rounding": "rounded twice, a tie of the second rounding away from zero (gemmlowp)",
    "ruy": "rounded twice, ties up",
    "single_rounding": "rounded once, ties up",
    "float32": "one product in float32, ties to even",
    "float64": "one product in float64, ties away from zero",
    "int16_multiplier": "rounded once, ties up, with 16 bits of the multiplier",
}

INEXACT_FORMS = ("summed", "approximate")  # float results whose bits the backend does not define


def make_node(
    model: Model, subgraph_index: int, i: int, values: Mapping[int, np.ndarray], numerics: str
) -> Node:
    """Return operator `i` as its module sees it when its inputs are `values` (constants left out)."""
    subgraph = model.subgraphs[subgraph_index]
    op = subgraph.operators[i]
    used = {t: subgraph.tensors[t].data for t in (*op.inputs, *op.outputs) if t >= 0}
    constants = {t: data for t, data in used.items() if data is not None}
    # The shapes of constants are those in the file: int4 data is packed.
    shapes = {t: values[t].shape for t in used if t in values and t not in constants}
    return build_node(subgraph, i, get_profile(numerics), shapes, constants)


def find_rule(node: Node) -> Rule | None:
    """Return the profile's rule for an operator; None where it has none, or the operator is unknown."""
    try:
        return node.rule if node.outputs and node.definition is not None else None
    except QuantcoreError:
        return None


def find_page(op: str) -> str | None:
    """Return the page of ``docs/numerics`` that derives an operator's rules; None for an unknown operator."""
    definition = load_operators().get(op)
    return definition.page if definition is not None else None


def inexact(node: Node) -> str | None:
    """Return which of `INEXACT_FORMS` the operator's float results have; None if every bit is defined.

    A hybrid operator (integer weights) is exact: its sums are of integers.
    """
    rule = find_rule(node)
    if rule is None or rule.form not in INEXACT_FORMS:
        return None
    all_float = all(x is None or x.dtype == "float32" or not x.quantized for x in node.inputs)
    return rule.form if all_float else None


def describe_rules(a: Rule | None, b: Rule | None) -> tuple[str, str]:
    """Return what two rules differ in, each in words; two empty strings if they are the same."""
    if a is None or b is None or a == b:
        return "", ""
    differing = [f.name for f in fields(Rule) if getattr(a, f.name) != getattr(b, f.name)]
    return _words(a, differing), _words(b, differing)


def _words(rule: Rule, differing: Sequence[str]) -> str:
    """Return what sets a rule apart; of what is as in the reference kernels, only the rounding."""
    usual = Rule()
    parts = [rule.form or "reference form"] if "form" in differing else []
    parts += [rule.rounding] if "rounding" in differing else []
    if rule.block and {"block", "tail"} & set(differing):
        parts.append(f"tail of {rule.block}: {rule.tail}")
    if "product" in differing and (rule.product != usual.product or not parts):
        parts.append(f"product {rule.product}")
    return ", ".join(parts) or f"bounds {rule.bounds}"
