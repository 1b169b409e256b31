"""The int8 model, from the parameters and decisions that the passes before found."""

from __future__ import annotations

from dataclasses import replace

from quantcore.flatbuffer.constants import packed_int4
from quantcore.graph import Operator, Quantization, Subgraph, Tensor, Use
from quantcore.qparams import QuantParams
from quantcore.quantizer.account import Account, Entry
from quantcore.quantizer.int8.decisions import Decisions
from quantcore.quantizer.int8.propagation import Propagation, Slot
from quantcore.quantizer.int8.recurrent import quantize_int16_weights, state_entry, state_tensors
from quantcore.quantizer.int8.values import ValuePlan, plan_value
from quantcore.quantizer.parameters import stored
from quantcore.quantizer.working_copy import numbered

__all__ = ["Rewrite", "without_range"]


class Rewrite:
    """Writes the operators of a graph anew, with int8 tensors, QUANTIZE and DEQUANTIZE.

    A tensor that an int8 operator computes keeps its index; what is new is appended.

    Parameters
    ----------
    found : Propagation
    decisions : Decisions
    io : str
        Dtype of the graph's inputs and outputs.
    account : Account
    """

    def __init__(self, found: Propagation, decisions: Decisions, io: str, account: Account) -> None:
        self.graph, self.found, self.decisions = found.graph, found, decisions
        self.io, self.account = io, account
        self.tensors = [without_range(t) for t in self.graph.subgraph.tensors]
        self.names = {t.name for t in self.tensors}
        self.operators: list[Operator] = []
        self.plans: dict[int, ValuePlan] = {}
        self.produced: dict[int, int] = {}
        self.codes: dict[tuple[int, int | None], int] = {}
        self.floats: dict[tuple[int, int | None], int] = {}
        self.constants: dict[int, int] = {}
        for t, slot in found.values.items():
            plan = plan_value(slot, decisions)
            if plan is not None:
                self.plans[t] = plan

    def run(self) -> Subgraph:
        """Return the int8 subgraph."""
        for t in dict.fromkeys(self.graph.subgraph.inputs):
            if t in self.plans:
                self.settle_input(self.plans[t])
        for i, op in enumerate(self.graph.operators):
            if i in self.graph.folded:
                continue
            intermediates = self.settle_inside(i, op)
            inputs = tuple(self.operand((i, k), t) for k, t in enumerate(op.inputs))
            self.operators.append(replace(op, inputs=inputs, intermediates=intermediates))
            for t in op.outputs:
                if t in self.plans:
                    self.settle_result(self.plans[t])
        outputs = tuple(self.output(t) for t in self.graph.subgraph.outputs)
        return replace(self.graph.subgraph, tensors=self.tensors, operators=self.operators, outputs=outputs)

    def settle_inside(self, i: int, op: Operator) -> tuple[int, ...]:
        """Quantize the state and the intermediate tensors of an operator; return the latter.

        They say nothing of an operator that stays float.
        """
        if i not in self.decisions.int8:
            return ()
        for t, _ in state_tensors(self.graph, i):
            self.quantize_in_place(self.plans[t])
            self.record(t, state_entry(self.graph, t))
            self.codes[t, None] = t
        for t in op.intermediates:
            params = self.found.intermediates.get(t)
            if params is not None:
                self.tensors[t] = _with_params(self.tensors[t], params)
                self.record(t, Entry("range of a value inside the operator", t))
        return op.intermediates

    def operand(self, use: Use, t: int) -> int:
        """Return the tensor that stands for an operand."""
        quantized = use[0] in self.decisions.int8
        if not self.graph.is_float(t):
            return t
        if use[0] in self.decisions.int16 and self.graph.producers.get(t) in self.decisions.int16:
            return t
        if t in self.plans:
            key = (t, self.plans[t].position(use))
            return self.codes[key] if quantized else self.floats.get(key, t)
        takes_codes = quantized or use in self.decisions.hybrid
        return self.constant(self.found.operands[use]) if takes_codes else t

    def constant(self, slot: Slot) -> int:
        """Return the quantized tensor of a constant, made when it is first asked for."""
        if id(slot) in self.constants:
            return self.constants[id(slot)]
        tensor, params = self.tensors[slot.tensor], slot.params
        data = self.graph.tensor(slot.tensor).data
        assert params is not None
        assert data is not None
        if slot.constant is not None and slot.constant.int16:
            codes = quantize_int16_weights(data, slot.constant.int16)
        else:
            codes = self.found.arithmetic.codes(data, params)
        codes = packed_int4(codes) if params.dtype == "int4" else codes
        made = replace(tensor, dtype=params.dtype, data=codes, quantization=stored(params), buffer=0)
        if self.is_replaceable(slot.tensor):
            index = slot.tensor
            self.tensors[index] = made
        else:
            index = self.append(made)
        self.constants[id(slot)] = index
        self.record(index, slot.entry)
        return index

    def is_replaceable(self, t: int) -> bool:
        """Whether the float constant `t` has no user that needs it, and no other stands in its place."""
        if self.tensors[t].dtype != "float32" or t in self.graph.subgraph.outputs:
            return False
        return all(i in self.decisions.int8 for i, _ in self.graph.uses[t])

    def settle_input(self, plan: ValuePlan) -> None:
        """Give an input of the graph its dtype, and make what its users need; unused, it stays float."""
        t = plan.slot.tensor
        if t not in self.graph.uses and not plan.outputs:
            return
        if self.io == "float32":
            if plan.codes or plan.requantize or plan.kept:
                self.codes[t, None] = self.convert(t, plan.params, "tfl.quantize", plan.slot.entry)
        elif self.io == "int8":
            self.quantize_in_place(plan)
            self.codes[t, None] = t
        else:
            self.tensors[t] = _with_params(self.tensors[t], as_uint8(plan.params))
            self.record(t, plan.slot.entry)
            if plan.codes or plan.requantize or plan.outputs or plan.kept:
                self.codes[t, None] = self.convert(t, plan.params, "tfl.quantize", plan.slot.entry)
        if plan.kept and (plan.floats or (plan.outputs and self.io == "float32")):
            codes = self.codes.get((t, None), t)
            self.floats[t, None] = self.dequantize(codes)
        elif plan.floats and self.io != "float32":
            self.floats[t, None] = self.dequantize(t)
        self.produced[t] = self.codes.get((t, None), t)
        self.settle_requantized(plan)

    def settle_result(self, plan: ValuePlan) -> None:
        """Make what the users of an operator's result need."""
        if plan.source == "int16":
            self.settle_int16_result(plan)
            return
        t, entry = plan.slot.tensor, plan.slot.entry
        twice = plan.produced != plan.params
        wanted = plan.codes or plan.kept or (self.io != "float32" and plan.lone_output)
        floats = plan.floats or (plan.outputs > 0 and self.io == "float32")
        codes = t
        if plan.source == "int8":
            self.quantize_in_place(plan)
        elif wanted or plan.requantize or (twice and (floats or plan.outputs)):
            codes = self.convert(t, plan.produced, self.tensors[t].name, entry)
        self.produced[t] = self.codes[t, None] = codes
        if twice and wanted and plan.kept:
            self.codes[t, None] = codes = self.convert(codes, plan.params, self.tensors[t].name, entry)
        if floats and (plan.source == "int8" or twice or plan.kept):
            self.floats[t, None] = self.dequantize(codes, output=plan.outputs > 0 and self.io == "float32")
        if twice and wanted and not plan.kept:
            self.codes[t, None] = self.convert(codes, plan.params, self.tensors[t].name, entry)
        self.settle_requantized(plan)

    def settle_int16_result(self, plan: ValuePlan) -> None:
        """Make what the users of an int16 operator's result need; the tensor itself becomes int16 later."""
        t, is_output = plan.slot.tensor, plan.outputs > 0
        self.produced[t] = t
        if plan.floats or (is_output and self.io == "float32"):
            self.floats[t, None] = self.dequantize(t, output=is_output and self.io == "float32")
        if plan.codes or (is_output and self.io != "float32"):
            name = self.tensors[t].name if self.io == "float32" or not is_output else self.take_name(t)
            self.codes[t, None] = self.convert(t, plan.params, name, plan.slot.entry)
        self.settle_requantized(plan)

    def settle_requantized(self, plan: ValuePlan) -> None:
        """Add a QUANTIZE for each of the parameters that some users want."""
        t = plan.slot.tensor
        for k, wish in enumerate(plan.requantize):
            entry = Entry("requantized for users of another scale", t)
            self.codes[t, k] = self.convert(self.produced[t], wish.params, self.tensors[t].name, entry)
            if k in plan.float_requantized:
                self.floats[t, k] = self.dequantize(self.codes[t, k])

    def output(self, t: int) -> int:
        """Return the tensor that an output of the graph becomes."""
        plan = self.plans.get(t)
        if plan is None:
            return t
        if self.io == "float32":
            return self.floats.get((t, None), t)
        if plan.source == "float" and plan.produced == plan.params and not (plan.lone_output or plan.kept):
            return t
        if plan.lone_output or plan.source in ("input", "int16"):
            codes, params = self.codes[t, None], plan.params
        else:
            codes, params = self.produced[t], plan.produced
        if self.io == "int8":
            return codes
        name = self.take_name(codes)
        return self.convert(codes, as_uint8(params), name, plan.slot.entry)

    def quantize_in_place(self, plan: ValuePlan) -> None:
        """Make the tensor of a value int8."""
        t = plan.slot.tensor
        self.tensors[t] = _with_params(self.tensors[t], plan.produced)
        entry = plan.slot.entry
        if plan.produced != plan.params:
            entry = Entry("fixed by its operator, requantized for its users", t)
        self.record(t, entry)

    def convert(self, source: int, params: QuantParams, name: str, entry: Entry | None) -> int:
        """Append a QUANTIZE; return the tensor that it computes."""
        target = self.append(replace(_with_params(self.tensors[source], params), name=name))
        self.operators.append(Operator("QUANTIZE", 1, (source,), (target,)))
        self.record(target, entry)
        return target

    def dequantize(self, source: int, *, output: bool = False) -> int:
        """Append a DEQUANTIZE; return the float tensor. An output of the graph takes the name."""
        name = self.take_name(source) if output else self.tensors[source].name
        made = replace(self.tensors[source], dtype="float32", quantization=None, name=name)
        target = self.append(made)
        self.operators.append(Operator("DEQUANTIZE", 1, (source,), (target,)))
        return target

    def take_name(self, t: int) -> str:
        """Rename tensor `t`; return the name that it had."""
        name = self.tensors[t].name
        self.tensors[t] = replace(self.tensors[t], name=self.fresh_name(name))
        self.names.discard(name)
        return name

    def append(self, tensor: Tensor) -> int:
        """Append a tensor under a name that no other has."""
        self.tensors.append(replace(tensor, name=self.fresh_name(tensor.name)))
        return len(self.tensors) - 1

    def fresh_name(self, name: str) -> str:
        """Return `name`, or the first that no tensor has of `name` followed by 1, 2, ..."""
        found = numbered(name, self.names) if name in self.names else name
        self.names.add(found)
        return found

    def record(self, t: int, entry: Entry | None) -> None:
        if entry is not None:
            self.account.tensors[t] = entry


def as_uint8(params: QuantParams) -> QuantParams:
    """Return the parameters of uint8 codes that stand for the same numbers as int8 codes."""
    return QuantParams(params.scale, params.zero_point + 128, "uint8")


def _with_params(tensor: Tensor, params: QuantParams) -> Tensor:
    return replace(tensor, dtype=params.dtype, quantization=stored(params))


def without_range(tensor: Tensor) -> Tensor:
    """Return a copy without recorded minimum and maximum."""
    quantization: Quantization | None = tensor.quantization
    if quantization is not None:
        quantization = None if not quantization.scale.size else replace(quantization, min=None, max=None)
    return replace(tensor, quantization=quantization)
