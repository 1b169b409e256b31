"""Parameters of every value and constant from those that are fixed, in the mode int8.

The order in which operators are visited decides which parameters win where several could, so it is the
converter's: a stack of operators, the last one first, constants at the end. Source of the rule: TensorFlow's
MLIR quantizer, ``QuantizationDriver`` (``tfl_quantization_driver.cc``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from quantcore.graph import Tensor, Use
from quantcore.ops.shared.quantization_rule import DerivedBias
from quantcore.qparams import QuantParams
from quantcore.quantizer.account import Entry
from quantcore.quantizer.arithmetic import EXACT, ROUNDED, Arithmetic
from quantcore.quantizer.float_graph import FloatGraph
from quantcore.quantizer.int8.constants import Constant, find_constants
from quantcore.quantizer.int8.recurrent import int16_weight_params
from quantcore.quantizer.settings import Settings

__all__ = ["Propagation", "Requantize", "Slot", "propagate"]


@dataclass(slots=True)
class Requantize:
    """Parameters that some users of a value need, other than its own.

    `on_result`: the operator that computes the value gives it these, and it is requantized to its own after.
    """

    params: QuantParams
    on_result: bool
    users: list[Use] = field(default_factory=list)


@dataclass(slots=True)
class Slot:
    """What is known of one value or constant.

    Attributes
    ----------
    tensor : int
    params : QuantParams or None
    fixed : bool
        The parameters come from the value's own range, and may not change.
    constant : Constant or None
    requantize : list of Requantize
    entry : Entry or None
        Which rule gave the parameters, for the account.
    """

    tensor: int
    params: QuantParams | None = None
    fixed: bool = False
    constant: Constant | None = None
    requantize: list[Requantize] = field(default_factory=list)
    entry: Entry | None = None

    @property
    def origin(self) -> int:
        """The tensor whose range gave the parameters, through however many others."""
        return self.tensor if self.entry is None or self.entry.source is None else self.entry.source

    @property
    def may_widen(self) -> bool:
        """Whether these are weights whose scales may grow, so that a bias fits."""
        return self.constant is not None and not self.fixed

    def take(self, params: QuantParams, rule: str, source: int, **facts: object) -> None:
        """Take parameters, and note which rule gave them."""
        self.params = params
        self.entry = Entry(rule, source, dict(facts))


@dataclass(slots=True)
class Propagation:
    """Slots of a graph.

    Attributes
    ----------
    values : dict of int to Slot
        By tensor.
    constants : list of Slot
    operands : dict of Use to Slot
        Slots of float operands.
    intermediates : mapping of int to QuantParams
        Parameters of intermediate tensors, which are fixed.
    arithmetic : Arithmetic
        How scales are computed.
    """

    graph: FloatGraph
    arithmetic: Arithmetic = ROUNDED
    values: dict[int, Slot] = field(default_factory=dict)
    constants: list[Slot] = field(default_factory=list)
    operands: dict[Use, Slot] = field(default_factory=dict)
    intermediates: Mapping[int, QuantParams] = field(default_factory=dict)
    stack: list[tuple[str, int]] = field(default_factory=list)
    done: set[tuple[str, int]] = field(default_factory=set)

    def run(self) -> None:
        """Visit operators and constants until nothing more follows."""
        while self.stack:
            item = self.stack.pop()
            if item in self.done:
                continue
            self.done.add(item)
            kind, i = item
            if kind == "constant":
                self.visit_constant(self.constants[i])
            elif not self.visit_operator(i):
                self.done.discard(item)

    def visit_constant(self, slot: Slot) -> None:
        """Give a constant that no other tensor decides about the parameters of its content."""
        constant = slot.constant
        if constant is None or not constant.own_range or slot.params is not None:
            return
        data = _float_data(self.graph.tensor(slot.tensor))
        if constant.int16:
            slot.take(int16_weight_params(data, constant.int16), "range of the weights", slot.tensor)
        elif constant.weights:
            params = self.arithmetic.weight_params(data, constant.axis, constant.bits)
            slot.take(params, "range of the weights", slot.tensor)
        else:
            slot.take(self.arithmetic.constant_params(data), "range of the constant", slot.tensor)
        self.stack += [("operator", i) for i, _ in constant.uses]

    def visit_operator(self, i: int) -> bool:
        """Apply the rules of operator `i`; False if what it needs is not known yet."""
        rule, op = self.graph.rules[i], self.graph.operators[i]
        if rule.same_scale:
            found = self.common_params(i)
            if found is None:
                return False
            params, source = found
            for use in self.graph.float_operands(i):
                self.set_operand(use, params, source, f"same scale as {op.op}'s operands and results")
            for t in self.graph.float_results(i):
                self.set_result(t, params, source, f"same scale as {op.op}'s operands and results")
        if "int8" in rule.fixed_output:
            for t in self.graph.float_results(i):
                self.set_result(t, QuantParams(*rule.fixed_output["int8"]), t, f"fixed output of {op.op}")
        biases = () if rule.biases is None else rule.biases(op)
        unknown = [bias for bias in biases if not self.set_derived_bias(i, bias)]
        return not unknown and (rule.bias is None or self.set_bias(i, rule.bias))

    def common_params(self, i: int) -> tuple[QuantParams, int] | None:
        """Return the parameters that all float tensors of a same-scale operator get, and whose they are.

        A single operand decides if its parameters are fixed, then a single result, then the first fixed ones;
        the same order again for those that are not fixed.
        """
        op = self.graph.operators[i]
        operands = [self.operands[use] for use in self.graph.float_operands(i)]
        results = [self.values[t] for t in self.graph.float_results(i)]
        single_operand = self.operand_count(i) == 1
        for fixed in (True, False):
            before = [s for s in operands if s.params is not None and s.fixed == fixed]
            after = [s for s in results if s.params is not None and s.fixed == fixed]
            chosen: list[Slot] = []
            if single_operand and before:
                chosen = before
            elif len(op.outputs) == 1 and after:
                chosen = after
            elif before or after:
                chosen = before + after
            if chosen and chosen[0].params is not None:
                return chosen[0].params, chosen[0].origin
        return None

    def operand_count(self, i: int) -> int:
        """Return the number of operands, with the shape of a RESHAPE, which older files keep in an option."""
        op = self.graph.operators[i]
        return max(2, len(op.inputs)) if op.op == "RESHAPE" else len(op.inputs)

    def set_operand(self, use: Use, params: QuantParams, source: int, rule: str) -> None:
        """Give an operand parameters, or note that its user needs these."""
        slot = self.operands[use]
        if slot.params == params:
            return
        if slot.params is not None:
            for known in slot.requantize:
                if known.params == params:
                    known.users.append(use)
                    return
            slot.requantize.append(Requantize(params, False, [use]))
            return
        slot.take(params, rule, source)
        producer = self.graph.producers.get(slot.tensor)
        if slot.constant is None and producer is not None:
            self.stack.append(("operator", producer))

    def set_result(self, t: int, params: QuantParams, source: int, rule: str) -> None:
        """Give a result parameters, or note that it has these at first."""
        slot = self.values[t]
        if slot.params == params:
            return
        if slot.params is not None:
            slot.requantize.append(Requantize(params, True))
            return
        slot.take(params, rule, source)
        self.stack += [("operator", user) for user, _ in self.graph.uses.get(t, ())]

    def set_bias(self, i: int, positions: tuple[int, int, int]) -> bool:
        """Give the bias of operator `i` its scale; False if the scales it follows from are not known."""
        op = self.graph.operators[i]
        use = (i, positions[0])
        slot = self.operands.get(use)
        if slot is None or slot.constant is None or slot.params is not None:
            return True
        source, weights = self.params_of((i, positions[1])), self.params_of((i, positions[2]))
        if source is None or weights is None or source.axis is not None:
            return False
        bias = self.graph.tensor(op.inputs[positions[0]]).data
        scales = self.arithmetic.bias_scales(source, weights)
        weight_slot = self.operands.get((i, positions[2]))
        if bias is not None and weight_slot is not None and weight_slot.may_widen:
            scales, weight_scales, guarded = self.arithmetic.guard_bias(bias, source, weights)
            if guarded.any():
                self.widen_weights((i, positions[2]), weight_slot, weight_scales, guarded)
        axis = None if scales.size == 1 else max(0, len(self.graph.tensor(slot.tensor).shape) - 1)
        params = self.arithmetic.params(scales if axis is not None else scales[0], 0, "int32", axis)
        slot.take(params, "scale of the input times scale of the weights", op.inputs[positions[1]])
        return True

    def set_derived_bias(self, i: int, bias: DerivedBias) -> bool:
        """Give one of several biases its scale; False if the scales it follows from are not known."""
        op = self.graph.operators[i]
        slot = self.operands.get((i, bias.position))
        if slot is None or slot.params is not None:
            return True
        sources = [self.params_of((i, position)) for position in bias.inputs]
        sources += [self.intermediates.get(op.intermediates[k]) for k in bias.intermediates]
        scale = np.float64(bias.factor)
        for params in sources:
            if params is None:
                return False
            scale *= np.float64(params.scale)
        params = QuantParams(np.float32(scale), 0, "int32")
        slot.take(params, "product of the scales that the gate's sum has", op.inputs[bias.inputs[0]])
        return True

    def params_of(self, use: Use) -> QuantParams | None:
        """Return the parameters of an operand, which may be quantized in the float model already."""
        if use in self.operands:
            return self.operands[use].params
        return self.graph.tensor(self.graph.operand(use)).params

    def widen_weights(self, use: Use, slot: Slot, scales: np.ndarray, guarded: np.ndarray) -> None:
        """Give the weights at `use` other scales, in a copy of their own where they are shared."""
        if slot.params is None or slot.constant is None:
            return
        axis = slot.params.axis
        dtype = slot.params.dtype
        params = self.arithmetic.params(scales if axis is not None else scales[0], 0, dtype, axis)
        if len(slot.constant.uses) > 1:
            slot.constant.uses.remove(use)
            slot = Slot(slot.tensor, constant=replace(slot.constant, uses=[use]))
            self.constants.append(slot)
            self.operands[use] = slot
        rule = "range of the weights, widened so that the bias fits int32"
        slot.take(params, rule, slot.tensor, guarded_channels=int(guarded.sum()))


def propagate(
    graph: FloatGraph,
    fixed: Mapping[int, QuantParams],
    settings: Settings,
    intermediates: Mapping[int, QuantParams] | None = None,
) -> Propagation:
    """Return the parameters of all values and constants.

    Parameters
    ----------
    graph : FloatGraph
    fixed : mapping of int to QuantParams
        Values whose parameters come from their own range.
    settings : Settings
    intermediates : mapping of int to QuantParams, optional
        Parameters of intermediate tensors.
    """
    state = Propagation(graph, EXACT if settings.trained else ROUNDED, intermediates=intermediates or {})
    rule = "trained range" if settings.trained else "range of the tensor"
    for t in _values(graph):
        state.values[t] = slot = Slot(t, fixed=t in fixed)
        if t in fixed:
            slot.take(fixed[t], rule, t)
    for constant, tensor in find_constants(graph, settings):
        given = settings.trained.get(tensor) if constant.own_range else None
        slot = Slot(tensor, constant=constant, fixed=given is not None)
        state.constants.append(slot)
        if given is not None:
            slot.take(given, rule, tensor)
    for slot in state.constants:
        assert slot.constant is not None
        for use in slot.constant.uses:
            state.operands[use] = slot
    for i in range(len(graph.operators)):
        for use in graph.float_operands(i):
            t = graph.operand(use)
            if t in state.values:
                state.operands[use] = state.values[t]
            else:
                state.operands.setdefault(use, Slot(t))
    state.stack = [("constant", k) for k in range(len(state.constants))]
    state.stack += [("operator", i) for i, r in enumerate(graph.rules) if r.int8 or r.same_scale]
    state.run()
    return state


def _values(graph: FloatGraph) -> Iterator[int]:
    found: dict[int, None] = dict.fromkeys(graph.subgraph.inputs)
    for op in graph.operators:
        found.update(dict.fromkeys([t for t in op.inputs if t >= 0]))
        found.update(dict.fromkeys(op.outputs))
    return (t for t in found if graph.is_value(t))


def _float_data(tensor: Tensor) -> np.ndarray:
    assert tensor.data is not None
    return tensor.data
