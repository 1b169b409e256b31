"""``quantcore inspect``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from quantcore.cli._command import model_argument, numerics_option, verb
from quantcore.cli._output import print_json

if TYPE_CHECKING:
    from quantcore.inspection import Inspection

EXAMPLES = """
quantcore inspect model.tflite
quantcore inspect model.tflite --operators
quantcore inspect model.tflite --op 3           # all there is to know of operator 3
quantcore inspect model.tflite --json | jq '.subgraphs[0].operators[].multipliers'
"""


@verb(examples=EXAMPLES)
@model_argument
@click.option("--operators", is_flag=True, help="Only the operators, with their multipliers.")
@click.option("--tensors", is_flag=True, help="Only the tensors, with their quantization parameters.")
@click.option("--op", "op_index", type=int, help="Only the operator with this index, in full.")
@click.option("--tensor", "tensor_index", type=int, help="Only the tensor with this index, in full.")
@click.option("--subgraph", "subgraph_index", type=int, default=0, help="Subgraph of --op and --tensor.")
@numerics_option
def command(
    model: str,
    operators: bool,
    tensors: bool,
    op_index: int | None,
    tensor_index: int | None,
    subgraph_index: int,
    numerics: str,
    as_json: bool,
) -> None:
    """Take MODEL apart: sizes, operators, tensors, multipliers.

    For each quantized operator the real multiplier that takes its accumulator to the output's scale is
    given together with its fixed-point form: real = multiplier / 2^31 * 2^shift. Nothing is run, and an
    operator that quantcore cannot run does not keep the rest from being shown.
    """
    from quantcore.cli import _inspect_tables as tables
    from quantcore.flatbuffer import read_model
    from quantcore.inspection import inspect_model

    found = inspect_model(read_model(model), numerics)
    check_index(found, subgraph_index, op_index, tensor_index)
    subgraph = found.subgraphs[subgraph_index]
    if op_index is not None:
        if as_json:
            print_json(asdict(subgraph.operators[op_index]))
        else:
            tables.print_operator(subgraph, op_index)
        return
    if tensor_index is not None:
        if as_json:
            print_json(asdict(subgraph.tensors[tensor_index]))
        else:
            tables.print_tensor(subgraph.tensors[tensor_index])
        return
    if as_json:
        print_json(found.to_json())
        return
    everything = not (operators or tensors)
    if everything:
        tables.print_summary(found)
    for subgraph in found.subgraphs:
        several = len(found.subgraphs) > 1
        if everything or operators:
            tables.print_operators(subgraph, several)
        if everything or tensors:
            tables.print_tensors(subgraph, several)


def check_index(found: Inspection, subgraph: int, op: int | None, tensor: int | None) -> None:
    """Refuse an index that the model does not have."""

    def check(index: int | None, option: str, count: int, what: str) -> None:
        if index is not None and not 0 <= index < count:
            raise click.UsageError(f"{option} {index}: {found.model} has {count} {what}, numbered from 0")

    check(subgraph, "--subgraph", len(found.subgraphs), "subgraphs")
    if op is not None and tensor is not None:
        raise click.UsageError("--op and --tensor exclude each other")
    check(op, "--op", len(found.subgraphs[subgraph].operators), "operators")
    check(tensor, "--tensor", len(found.subgraphs[subgraph].tensors), "tensors")
