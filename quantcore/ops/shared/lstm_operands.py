"""The operands of UNIDIRECTIONAL_SEQUENCE_LSTM by role, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass

from quantcore.kernels.lstm_shape import LstmShape
from quantcore.ops.node import Node, Operand
from quantcore.ops.shared.operands import check_dtypes, check_operands, check_variable

GATES = ("input", "forget", "cell", "output")

# positions of the inputs; a group holds one per gate, in the order of GATES
INPUT_WEIGHTS, RECURRENT_WEIGHTS, PEEPHOLE, BIAS, NORM = 1, 5, 9, 12, 20
PROJECTION, PROJECTION_BIAS, OUTPUT_STATE, CELL_STATE = 16, 17, 18, 19
HIDDEN = 4  # the intermediate tensor of o * tanh(c)
INPUT_COUNTS = (20, 24)  # with 20 there is no layer normalization


@dataclass(slots=True)
class LstmOperands:
    """Inputs by role; tuples have one entry per gate, None where the model leaves the tensor out."""

    x: Operand
    weights: tuple[Operand | None, ...]
    recurrent: tuple[Operand | None, ...]
    peephole: tuple[Operand | None, ...]
    bias: tuple[Operand | None, ...]
    norm: tuple[Operand | None, ...]
    projection: Operand | None
    projection_bias: Operand | None
    output_state: Operand
    cell_state: Operand
    shape: LstmShape

    @property
    def cifg(self) -> bool:
        """Whether the input gate is coupled to the forget gate: i = 1 - f."""
        return self.weights[0] is None

    @property
    def has_peephole(self) -> bool:
        """Whether gates see the cell state."""
        return self.peephole[3] is not None

    @property
    def gates(self) -> range:
        """Numbers of the gates that there are."""
        return range(1 if self.cifg else 0, 4)


def lstm_operands(node: Node) -> LstmOperands:
    """Return the operands of an LSTM: checked which there are, their shapes, and that state persists."""
    check_operands(node, INPUT_COUNTS)

    def group(first: int) -> tuple[Operand | None, ...]:
        return tuple(node.optional_input(first + gate) for gate in range(4))

    input_peephole, forget_peephole, output_peephole, _ = group(PEEPHOLE)
    operands = LstmOperands(
        node.input(0),
        group(INPUT_WEIGHTS),
        group(RECURRENT_WEIGHTS),
        (input_peephole, forget_peephole, None, output_peephole),
        group(BIAS),
        group(NORM),
        node.optional_input(PROJECTION),
        node.optional_input(PROJECTION_BIAS),
        node.input(OUTPUT_STATE),
        node.input(CELL_STATE),
        shape=lstm_shape(node),
    )
    check_presence(node, operands)
    check_shapes(node, operands)
    check_variable(node, operands.output_state, operands.cell_state)
    return operands


def lstm_shape(node: Node) -> LstmShape:
    """Return the sizes, from the input and the weights of the output gate."""
    x, weights, recurrent = node.input(0), node.input(INPUT_WEIGHTS + 3), node.input(RECURRENT_WEIGHTS + 3)
    if len(x.shape) != 3 or 0 in x.shape:
        raise node.refuse(f"input has shape {x.shape}; expected three dimensions of at least 1")
    for role, operand in (("input", weights), ("recurrent", recurrent)):
        if len(operand.shape) != 2 or 0 in operand.shape:
            raise node.refuse(
                f"{role} weights of the output gate have shape {operand.shape}; expected two dimensions"
            )
    time_major = node.options["time_major"]
    steps, batches = x.shape[:2] if time_major else (x.shape[1], x.shape[0])
    normalized = node.optional_input(NORM + 1) is not None
    return LstmShape(
        batches,
        steps,
        x.shape[2],
        weights.shape[0],
        recurrent.shape[1],
        time_major,
        len(node.inputs),
        normalized,
    )


def check_presence(node: Node, o: LstmOperands) -> None:
    """Refuse gates with some of their tensors missing, and tensors of gates that are not there."""

    def check(role: str, group: tuple[Operand | None, ...], wanted: bool, skip: tuple[int, ...] = ()) -> None:
        for gate, operand in enumerate(group):
            if gate not in skip and (operand is not None) != (wanted and gate in o.gates):
                raise node.refuse(
                    f"{role} of the {GATES[gate]} gate {'missing' if operand is None else 'given'}; the "
                    "input gate needs all of its tensors or none (CIFG), the other gates the same ones"
                )

    check("input weights", o.weights, True)
    check("recurrent weights", o.recurrent, True)
    check("bias", o.bias, True)
    check("layer normalization", o.norm, o.shape.normalized)
    # TFLite lets CIFG have peephole weights of the input gate, which nothing reads.
    check("peephole weights", o.peephole, o.has_peephole, skip=(0, 2) if o.cifg else (2,))
    if o.projection is None and o.projection_bias is not None:
        raise node.refuse("projection has a bias but no weights")


def check_shapes(node: Node, o: LstmOperands) -> None:
    """Refuse operands that do not agree on the number of inputs, cells and outputs."""
    s = o.shape
    expected = [
        *(("input weights", w, (s.cells, s.inputs)) for w in o.weights),
        *(("recurrent weights", w, (s.cells, s.outputs)) for w in o.recurrent),
        *(("peephole weights", w, (s.cells,)) for w in o.peephole),
        *(("bias", b, (s.cells,)) for b in o.bias),
        *(("layer normalization", w, (s.cells,)) for w in o.norm),
        ("projection weights", o.projection, (s.outputs, s.cells)),
        ("projection bias", o.projection_bias, (s.outputs,)),
    ]
    for role, operand, shape in expected:
        if operand is not None and operand.shape != shape:
            raise node.refuse(f"{role} (tensor {operand.index}) has shape {operand.shape}; expected {shape}")
    for role, state, count in (
        ("output state", o.output_state, s.batches * s.outputs),
        ("cell state", o.cell_state, s.batches * s.cells),
    ):
        if state.count != count:
            raise node.refuse(f"{role} has shape {state.shape}; expected {count} elements")
    if o.projection is None and s.outputs != s.cells:
        raise node.refuse(f"{s.cells} cells give {s.outputs} outputs without a projection; expected as many")
    if o.has_peephole and s.outputs > s.cells:
        raise node.refuse(
            f"peephole weights with {s.outputs} outputs, more than the {s.cells} cells; TFLite reads beyond "
            "the weights"
        )


def check_integer_dtypes(node: Node, o: LstmOperands) -> str:
    """Return the dtype of the quantized form's activations; refuse operands of dtypes it does not have."""
    dtype = check_dtypes(node, ("int8", "int16"), o.x, o.output_state, node.output)
    check_given(node, ("int8",), *o.weights, *o.recurrent, o.projection)
    check_given(node, ("int32" if dtype == "int8" else "int64",), *o.bias, o.projection_bias)
    check_given(node, ("int16",), *o.peephole, *o.norm, o.cell_state)
    return dtype


def check_float_dtypes(node: Node, o: LstmOperands) -> str:
    """Return the dtype of the weights of the float32 form; refuse operands of other dtypes than it has."""
    check_given(
        node,
        ("float32",),
        o.x,
        o.output_state,
        o.cell_state,
        node.output,
        *o.bias,
        o.projection_bias,
        *o.norm,
    )
    return check_given(node, ("float32", "int8"), *o.weights, *o.recurrent, *o.peephole, o.projection)


def check_given(node: Node, supported: tuple[str, ...], *operands: Operand | None) -> str:
    """Return the dtype that all operands have, of those that are there."""
    return check_dtypes(node, supported, *[operand for operand in operands if operand is not None])
