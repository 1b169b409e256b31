"""``quantcore run``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from quantcore.cli._command import COUNT, input_option, model_argument, numerics_option, seed_option, verb
from quantcore.cli._kernels import KernelOption, kernel_options, load_kernels
from quantcore.cli._output import print_json

if TYPE_CHECKING:
    import numpy as np

    from quantcore.graph import Model

EXAMPLES = """
quantcore run model.tflite                                  # one random sample
quantcore run model.tflite --input images.npy --out scores.npz
quantcore run model.tflite --input inputs.npz --all --out tensors.npz
quantcore run model.tflite --kernel CONV_2D=my_conv.c:my_conv_s8
"""

FEW = 8  # values shown of each tensor


@verb(examples=EXAMPLES)
@model_argument
@input_option
@click.option("--samples", type=COUNT, default=1, help="How many random samples.")
@seed_option("the random samples")
@click.option("--out", type=click.Path(), help="Write the results to this .npz file.")
@click.option("--all", "everything", is_flag=True, help="All tensors of one sample, not only the outputs.")
@click.option("--threads", type=COUNT, default=1, help="Threads that share the samples.")
@numerics_option
@kernel_options
def command(
    model: str,
    input_path: str | None,
    samples: int,
    seed: int,
    out: str | None,
    everything: bool,
    threads: int,
    numerics: str,
    kernels: tuple[KernelOption, ...],
    kernel_flags: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run MODEL on samples of a file, or random ones.

    Arrays hold samples along the first axis, in the dtype of the input: quantized values for an integer
    input. The names in an .npz file are those of the inputs (of the signature, or of the tensors). Tables
    show the beginning of each result; --out writes all of it, --json prints all of it.

    With --kernel, operators are computed by kernels of yours; docs/custom_kernels.md says how to write one.
    """
    from quantcore.files import write_arrays
    from quantcore.flatbuffer import read_model
    from quantcore.runtime import Interpreter
    from quantcore.samples import random_samples, split_samples

    loaded = read_model(model)
    interpreter = Interpreter(loaded, numerics, threads, kernels=load_kernels(kernels, kernel_flags))
    if input_path is not None:
        drawn = split_samples(loaded, 0, input_path)
    else:
        drawn = random_samples(loaded, 0, samples, seed)
    if everything:
        if len(drawn) != 1:
            raise click.UsageError(f"--all takes one sample; there are {len(drawn)}")
        tensors = interpreter.run_all(drawn[0])
    else:
        outputs = interpreter.run(stack(drawn))
        tensors = dict(zip(loaded.subgraphs[0].outputs, outputs, strict=True))
    names = unique_names(loaded, tensors)
    if out is not None:
        write_arrays(out, {names[t]: array for t, array in tensors.items()})
    about = {
        "model": model,
        "numerics": numerics,
        "inputs": input_path or f"random, seed {seed}",
        "samples": len(drawn),
        "out": out,
    }
    if as_json:
        print_as_json(about, tensors, names)
    else:
        print_as_table(about, tensors, names)


def stack(samples: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Return one array per input that holds all samples along the first axis."""
    import numpy as np

    if len(samples) == 1:
        return samples[0]
    return [np.concatenate(arrays) for arrays in zip(*samples, strict=True)]


def unique_names(model: Model, tensors: Iterable[int]) -> dict[int, str]:
    """Return a name for each tensor: its own, with the index where several share it."""
    own = {t: model.subgraphs[0].tensors[t].name for t in tensors}
    count = Counter(own.values())
    return {t: name if name and count[name] == 1 else f"{name}#{t}" for t, name in own.items()}


def print_as_json(about: dict[str, Any], tensors: dict[int, np.ndarray], names: dict[int, str]) -> None:
    """Print one object, with the values unless they went to a file."""
    rows: list[dict[str, Any]] = []
    for t, array in tensors.items():
        row = {"index": t, "name": names[t], "dtype": array.dtype.name, "shape": array.shape}
        rows.append(row if about["out"] is not None else row | {"values": array})
    print_json(about | {"tensors": rows})


def print_as_table(about: dict[str, Any], tensors: dict[int, np.ndarray], names: dict[int, str]) -> None:
    """Print the beginning of each tensor."""
    from quantcore.cli._tables import print_fields, print_table, table

    print_fields((name, str(value)) for name, value in about.items() if value is not None)
    result = table(">#", "name", "type", ">min", ">max", "values")
    for t, array in tensors.items():
        flat = array.reshape(-1)
        values = " ".join(f"{value:.6g}" for value in flat[:FEW].tolist())
        result.add_row(
            str(t),
            names[t],
            f"{array.dtype.name}[{','.join(map(str, array.shape))}]",
            f"{flat.min():.6g}" if flat.size else "",
            f"{flat.max():.6g}" if flat.size else "",
            values + (" ..." if flat.size > FEW else ""),
        )
    print_table(result)
