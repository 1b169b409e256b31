"""The pass of the mode int16x8 that gives operands and results their parameters, operator by operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from quantcore.graph import Operator, Quantization
from quantcore.quantizer.int16x8.constants import Constants, int16_scale, symmetric
from quantcore.quantizer.int16x8.draft import Draft
from quantcore.quantizer.int16x8.plan import Step

__all__ = ["Operands"]


@dataclass(slots=True)
class Operands:
    """Quantizes what the operators read and write, in their order, and keeps the new list of operators."""

    draft: Draft
    constants: Constants

    def run(self, steps: Sequence[Step], io: str) -> None:
        """Quantize the operands and results of all steps; convert what float operators read and write."""
        self.graph_inputs(steps, io)
        operators: list[Operator] = []
        for step in steps:
            if step.rule is None:
                operators += self.read_as_float(step)
            else:
                for position in step.weights:
                    weights = self.constants.weights(step.operand(position), step.weights[position])
                    step.replace_operand(position, weights)
                for position in step.activations:
                    operators += self.read_activation(step, position)
                self.write(step)
            operators.append(step.op)
        self.draft.graph.operators = operators

    def graph_inputs(self, steps: Sequence[Step], io: str) -> None:
        """Quantize the graph's inputs that quantized operators read, or all of them for int16 inputs."""
        read = {step.operand(p) for step in steps for p in step.activations}
        for t in self.draft.graph.inputs:
            tensor = self.draft.tensors[t]
            wanted = t in read or (io == "int16" and t in self.draft.ranges)
            if wanted and tensor.dtype == "float32" and not tensor.is_constant:
                self.set_range(t)

    def set_range(self, t: int, new: int | None = None) -> None:
        """Quantize tensor `t`, or another one in its place, by the range of `t`."""
        low, high = self.draft.range(t)
        target = t if new is None else new
        self.set(target, symmetric(int16_scale(low, high), ends=(low, high)))
        self.draft.account.record(target, "range of the tensor", t)

    def set(self, t: int, quantization: Quantization) -> None:
        self.draft.tensors[t].dtype = "int16"
        self.draft.tensors[t].quantization = quantization

    def read_as_float(self, step: Step) -> list[Operator]:
        """Return the DEQUANTIZE operators that an operator that stays float needs."""
        added = []
        for position, t in enumerate(step.op.inputs):
            if t < 0 or self.draft.source_dtype(t) != "float32":
                continue
            if self.draft.float_value(t) is not None and self.constants.as_float(t) >= 0:
                continue
            if self.draft.tensors[t].is_quantized:
                new = self.draft.add(f"{self.draft.tensors[t].name}_float", t, "float32")
                added.append(Operator("DEQUANTIZE", 2, (t,), (new,)))
                step.replace_operand(position, new)
        return added

    def read_activation(self, step: Step, position: int) -> list[Operator]:
        """Quantize an operand; return the QUANTIZE operator that it needs if a float operator computes it."""
        rule, t = step.rule, step.operand(position)
        assert rule is not None
        first = step.activations[0]
        if self.draft.float_value(t) is not None:
            if rule.same_scale_int16 == "output" and position != first:
                new = self.constants.like(t, step.operand(first))
            else:
                joined = rule.same_scale_int16 == "inputs"
                scaled = "pot_scale_int16" in step.op.options  # ADD, SUB: divide by the scale
                new = self.constants.activation(t, keep_range=not joined, positive=scaled)
            step.replace_operand(position, new)
            return []
        if self.draft.tensors[t].is_quantized:
            return []
        new = self.draft.add(f"{self.draft.tensors[t].name}_int16", t, "int16")
        self.set_range(t, new)
        step.replace_operand(position, new)
        return [Operator("QUANTIZE", 2, (t,), (new,))]

    def write(self, step: Step) -> None:
        """Quantize the results of an operator."""
        rule = step.rule
        assert rule is not None
        for t in step.op.outputs:
            if t < 0 or self.draft.tensors[t].dtype != "float32":
                continue
            if rule.same_scale_int16 == "output":
                source = step.operand(step.activations[0])
                given = self.draft.tensors[source].quantization
                assert given is not None
                self.set(t, replace(given))
                self.draft.account.record(t, f"same scale as tensor {source}", source)
            elif "int16" in rule.fixed_output:
                self.set(t, symmetric(rule.fixed_output["int16"][0]))
                self.draft.account.record(t, f"fixed output of {step.op.name}")
            else:
                self.set_range(t)
