"""What an operator's module sees of the model, and what it says about the operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quantcore.errors import UnsupportedOperatorError
from quantcore.flatbuffer.schema import TABLES, options_table
from quantcore.graph import Operator, Tensor
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Profile, Rule
from quantcore.ops.shared.integer_input import IndexInput, ShapeInput
from quantcore.ops.shared.quantization_rule import QuantizationRule

__all__ = [
    "CallSubgraph",
    "Definition",
    "Expand",
    "ImagePadding",
    "Lower",
    "Node",
    "Operand",
    "UnknownValueError",
    "ZeroPadding",
    "first_version",
]


class UnknownValueError(UnsupportedOperatorError):
    """Lowering needs a value, such as a shape, that is computed from data.

    Parameters
    ----------
    message, op, index
        As for `UnsupportedOperatorError`.
    tensor : int
        Tensor whose value is needed.
    """

    def __init__(self, message: str, op: str, index: int, tensor: int) -> None:
        self.tensor = tensor
        super().__init__(message, op, index)


ImagePadding = tuple[tuple[int, int], tuple[int, int]]


@dataclass(slots=True)
class Operand:
    """A tensor as an operator sees it while it is lowered.

    Attributes
    ----------
    tensor : Tensor
    index : int
        Tensor index in the subgraph.
    shape : tuple of int
        Actual shape for this plan; an operator's ``lower`` sets it on its outputs.
    value : ndarray or None
        The value where it is known before running (constants and what follows from them).
    """

    tensor: Tensor
    index: int
    shape: tuple[int, ...]
    value: np.ndarray | None = None

    @property
    def dtype(self) -> str:
        """Dtype name, as in `Tensor.dtype`."""
        return self.tensor.dtype

    @property
    def count(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def quantized(self) -> bool:
        """Whether the tensor has a scale."""
        return self.tensor.is_quantized

    @property
    def scales(self) -> np.ndarray:
        """All scales, float32, shape (channels,) or (1,)."""
        if self.tensor.quantization is None or not self.quantized:
            raise UnsupportedOperatorError(f"tensor {self.index} ({self.tensor.name!r}) has no scale")
        return self.tensor.quantization.scale

    @property
    def scale(self) -> np.float32:
        """The scale of a per-tensor quantized tensor."""
        if self.scales.size != 1:
            raise UnsupportedOperatorError(
                f"tensor {self.index} ({self.tensor.name!r}) has {self.scales.size} scales; expected one"
            )
        return np.float32(self.scales[0])

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantized tensor (the first one otherwise)."""
        quantization = self.tensor.quantization
        if quantization is None or quantization.zero_point.size == 0:
            return 0
        return int(quantization.zero_point[0])


@dataclass(slots=True)
class Node:
    """An operator with its operands, as given to ``lower``.

    Attributes
    ----------
    op : Operator
    index : int
        Index of the operator in its subgraph.
    inputs : list of (Operand or None)
        None for an omitted optional input.
    outputs : list of Operand
    profile : Profile
    definition : Definition or None
        None for an operator that the registry does not have.
    intermediates : list of Tensor
        Tensors without data whose scales describe values inside the operator.
    padding : ImagePadding or None
        Zeros that a convolution adds to its input, for a PAD before it: above and below, left and right.
    """

    op: Operator
    index: int
    inputs: list[Operand | None]
    outputs: list[Operand]
    profile: Profile
    definition: Definition | None
    intermediates: list[Tensor] = field(default_factory=list)
    padding: ImagePadding | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        """Fields of the operator's options table; what is left out has the schema's default."""
        table = options_table(self.op.op)
        return (TABLES[table].defaults if table is not None else {}) | self.op.options

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Forms that the registry lists for the operator."""
        return self.definition.dtypes if self.definition is not None else ()

    @property
    def output(self) -> Operand:
        """The first output."""
        return self.outputs[0]

    @property
    def rule(self) -> Rule:
        """The profile's rule for this operator.

        Raises
        ------
        UnsupportedOperatorError
            If the profile has none.
        """
        definition, dtype = self.definition, self.rule_dtype
        variant = definition.variant(self) if definition and definition.variant else ""
        rules = definition.rules if definition else {}
        rule = self.profile.rule(rules, dtype, variant=variant, delegated=self.delegated)
        if rule is None:
            kind = "the hybrid form" if dtype == "hybrid" else f"{self.output.dtype} outputs"
            if definition and definition.converts:
                kind = dtype.replace("_", " ")
            raise self.refuse(f"the numerics profile {self.profile.name!r} has no confirmed rule for {kind}")
        return rule

    @property
    def delegated(self) -> bool:
        """Whether the profile has a delegate, and it takes this operator."""
        definition = self.definition
        if self.profile.fallback is None or definition is None or definition.xnnpack is None:
            return False
        return definition.xnnpack(self)

    @property
    def rule_dtype(self) -> str:
        """Dtype under which profiles list the rule: of the output, or ``hybrid``, or ``int8_to_float32``.

        Hybrid operators take float32 activations and int8 or int4 weights; conversions are listed by both
        dtypes.
        """
        if self.definition is not None and self.definition.converts:
            return f"{self.input(0).dtype}_to_{self.output.dtype}"
        dtypes = {operand.dtype for operand in self.inputs if operand is not None}
        weights = dtypes & {"int8", "int4"}
        hybrid = self.output.dtype == "float32" and "float32" in dtypes and bool(weights)
        return "hybrid" if hybrid else self.output.dtype

    def check_profile(self) -> None:
        """Refuse an operator without outputs, or one that the profile has no rule for."""
        if not self.outputs:
            raise self.refuse("it has no outputs")
        _ = self.rule

    def input(self, position: int) -> Operand:
        """Return the required input at `position`."""
        operand = self.optional_input(position)
        if operand is None:
            raise self.refuse(f"input {position} is missing")
        return operand

    def optional_input(self, position: int) -> Operand | None:
        """Return the input at `position`, or None where it is omitted."""
        return self.inputs[position] if position < len(self.inputs) else None

    def known_value(self, position: int) -> np.ndarray:
        """Return the value of input `position`, which must be known before running."""
        operand = self.input(position)
        if operand.value is None:
            raise UnknownValueError(
                f"input {position} (tensor {operand.index}, {operand.tensor.name!r}) is computed from data "
                "at run time; expected a constant, or a value that follows from shapes and integer inputs",
                self.op.op,
                self.index,
                operand.index,
            )
        return operand.value

    def refuse(self, message: str) -> UnsupportedOperatorError:
        """Return the error that says why this operator cannot be lowered."""
        return UnsupportedOperatorError(message, self.op.name, self.index)


def first_version(node: Node) -> int:
    """Return 1: the operator has no later version, or none that a `Model` can ask for."""
    return 1


Lower = Callable[[Node], KernelCall]
ZeroPadding = list[tuple[int, int]]
CallSubgraph = Callable[[int, Sequence[Operand]], list[Operand]]
Expand = Callable[[Node, CallSubgraph], list[Operand]]


@dataclass(frozen=True, slots=True)
class Definition:
    """An operator that quantcore runs.

    Attributes
    ----------
    name : str
        As in TFLite's ``BuiltinOperator``, or ``CUSTOM:`` and the code of a custom operator.
    lower : callable
        ``lower(node)`` sets the shape of each output and returns the kernel call. The call receives the
        data pointers of all inputs (NULL where omitted), then of all outputs.
    dtypes : tuple of str
        Forms that are implemented: ``int8``, ``float32``, ``hybrid`` ...
    max_version : int
        Highest operator version whose semantics are implemented.
    page : str
        Name of the page in ``docs/numerics``, without ``.md``.
    registered : mapping of str to int
        By resolver of TFLite: the highest version that it registers, where its kernel computes later ones
        as well.
    version : callable
        ``version(node)`` is the lowest version that expresses the operator with these operands, which is what
        the converter writes.
    int16x8_version : int
        In the mode int16x8, the version is at least this one, also where the operator stays float.
    rules : dict of str to dict of str to Rule
        How each profile computes it, by profile and dtype of the output, see `quantcore.numerics.Rules`.
    macs : callable or None
        ``macs(node)`` counts multiply-accumulates from the shapes.
    multipliers : callable or None
        ``multipliers(node)`` gives the real multipliers (float64 arrays) of the quantized form by role.
    xnnpack : callable or None
        ``xnnpack(node)`` says whether the XNNPACK delegate takes the operator; None if it never does.
    expand : callable or None
        For an operator that calls subgraphs, in place of `lower`: ``expand(node, call)`` returns its outputs,
        where ``call(subgraph, inputs)`` writes out a subgraph and returns the outputs of that.
    converts : bool
        Rules are by the dtype of the input as well, ``int8_to_float32``.
    variant : callable or None
        ``variant(node)`` names what kind of the operator it is where a profile computes one dtype by several
        rules, such as ``grouped``; "" for the usual kind.
    integer_inputs : dict of int to ShapeInput or IndexInput
        By operand: inputs whose values say shapes, axes or indices.
    quantization : QuantizationRule
        How the quantizer treats the operator; by default it stays float.
    in_place : tuple of int
        Inputs over which the output may be written where both have the same size: the kernel, in all of its
        versions, reads an element before it writes the one in its place, and not again after that.
    zero_padding : callable or None
        ``zero_padding(node)`` returns what a lowered operator adds before and after each dimension where it
        only adds zeros (in the parameters of its output), else None.
    takes_padding : bool
        Whether lowering heeds `Node.padding`.
    """

    name: str
    lower: Lower
    dtypes: tuple[str, ...]
    max_version: int
    page: str
    registered: Mapping[str, int] = field(default_factory=dict)
    version: Callable[[Node], int] = first_version
    int16x8_version: int = 1
    rules: dict[str, dict[str, Rule]] = field(default_factory=dict)
    macs: Callable[[Node], int] | None = None
    multipliers: Callable[[Node], dict[str, np.ndarray]] | None = None
    xnnpack: Callable[[Node], bool] | None = None
    expand: Expand | None = None
    converts: bool = False
    variant: Callable[[Node], str] | None = None
    integer_inputs: Mapping[int, ShapeInput | IndexInput] = field(default_factory=dict)
    quantization: QuantizationRule = field(default_factory=QuantizationRule)
    in_place: tuple[int, ...] = ()
    zero_padding: Callable[[Node], ZeroPadding | None] | None = None
    takes_padding: bool = False
