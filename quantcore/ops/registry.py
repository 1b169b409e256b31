"""The registry of operators.

An operator is defined in one module of this package, by a ``lower`` function that is registered under
its TFLite name. Lowering, inspection, the quantizer, the documentation and the tests iterate this registry; a
new module of the package is found by being there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

import quantcore.ops
from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Operator, Subgraph
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Profile, Rules, split_keys
from quantcore.ops.node import Definition, Expand, Lower, Node, Operand, ZeroPadding, first_version
from quantcore.ops.shared.integer_input import IndexInput, ShapeInput
from quantcore.ops.shared.quantization_rule import QuantizationRule

__all__ = ["build_node", "control_flow", "find_definition", "load_operators", "operator"]

_definitions: dict[str, Definition] = {}  # of the modules that are imported already


def operator(
    *names: str,
    dtypes: tuple[str, ...],
    max_version: int,
    registered: Mapping[str, int] | None = None,
    page: str | Mapping[str, str] = "",
    version: Callable[[Node], int] | Mapping[str, Callable[[Node], int]] = first_version,
    int16x8_version: int | Mapping[str, int] = 1,
    rules: Rules | Mapping[str, Rules] | None = None,
    macs: Callable[[Node], int] | None = None,
    multipliers: Callable[[Node], dict[str, np.ndarray]] | None = None,
    xnnpack: Callable[[Node], bool] | None = None,
    converts: bool = False,
    variant: Callable[[Node], str] | None = None,
    integer_inputs: Mapping[int, ShapeInput | IndexInput] | None = None,
    quantization: QuantizationRule | Mapping[str, QuantizationRule] | None = None,
    in_place: tuple[int, ...] = (),
    zero_padding: Callable[[Node], ZeroPadding | None] | None = None,
    takes_padding: bool = False,
) -> Callable[[Lower], Lower]:
    """Register the decorated ``lower`` function for the operators called `names`; see `Definition`.

    What only some of them have, or each has otherwise, is given by name. `page` is needed where it is not
    called as the first of them.
    """

    def of(name: str, given: Any, default: Any) -> Any:
        by_name = isinstance(given, Mapping) and not given.keys().isdisjoint(names)
        return (given.get(name) if by_name else given) or default

    def register(lower: Lower) -> Lower:
        for name in names:
            _definitions[name] = Definition(
                name,
                lower,
                dtypes,
                max_version,
                of(name, page, names[0].lower()),
                registered=registered or {},
                version=of(name, version, first_version),
                int16x8_version=of(name, int16x8_version, 1),
                rules=split_keys(of(name, rules, {})),
                macs=macs,
                multipliers=multipliers,
                xnnpack=xnnpack,
                converts=converts,
                variant=variant,
                integer_inputs=integer_inputs or {},
                quantization=of(name, quantization, QuantizationRule()),
                in_place=in_place,
                zero_padding=zero_padding,
                takes_padding=takes_padding,
            )
        return lower

    return register


def control_flow(name: str, *, max_version: int, page: str) -> Callable[[Expand], Expand]:
    """Register the decorated ``expand`` function for an operator that calls subgraphs.

    It computes nothing itself, so it is alike in every profile.
    """

    def lower(node: Node) -> KernelCall:
        raise node.refuse("calls subgraphs; it has no kernel of its own")

    def register(expand: Expand) -> Expand:
        _definitions[name] = Definition(name, lower, ("any",), max_version, page, expand=expand)
        return expand

    return register


@cache
def load_operators() -> dict[str, Definition]:
    """Import every module of ``quantcore.ops`` and return the definitions of all operators by name.

    Looking into the folder takes longer than most operators: once is enough.
    """
    for module in pkgutil.iter_modules(quantcore.ops.__path__):
        importlib.import_module(f"quantcore.ops.{module.name}")
    return _definitions


def find_definition(op: Operator, index: int) -> Definition:
    """Return the registry's definition of an operator.

    Raises
    ------
    UnsupportedOperatorError
        If the operator, or its version, is not implemented.
    """
    definition = load_operators().get(op.name)
    if definition is None:
        name = f"custom operator {op.custom_code!r}" if op.op == "CUSTOM" else f"operator {op.op}"
        raise UnsupportedOperatorError(f"{name} is not implemented; see docs/operators.md", op.op, index)
    if op.version > definition.max_version:
        raise UnsupportedOperatorError(
            f"version {op.version} is not implemented; implemented up to {definition.max_version}",
            op.op,
            index,
        )
    return definition


def build_node(
    subgraph: Subgraph,
    index: int,
    profile: Profile,
    shapes: Mapping[int, tuple[int, ...]],
    values: Mapping[int, np.ndarray],
) -> Node:
    """Return operator `index` with its operands; shapes default to those in the file."""
    op = subgraph.operators[index]

    def operand(t: int) -> Operand:
        tensor = subgraph.tensors[t]
        return Operand(tensor, t, shapes.get(t, tensor.shape), values.get(t))

    inputs = [None if t < 0 else operand(t) for t in op.inputs]
    outputs = [operand(t) for t in op.outputs if t >= 0]
    intermediates = [subgraph.tensors[t] for t in op.intermediates if t >= 0]
    return Node(op, index, inputs, outputs, profile, load_operators().get(op.name), intermediates)
