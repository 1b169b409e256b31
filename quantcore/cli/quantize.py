"""``quantcore quantize``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from quantcore.cli._command import COUNT, LibraryChoice, seed_option, verb
from quantcore.cli._data import images_option
from quantcore.cli._output import print_json
from quantcore.quantizer.settings import MODES

EXAMPLES = """
quantcore quantize float.tflite -o int8.tflite --data train.npz --samples 200
quantcore quantize net.keras -o small.tflite --mode dynamic
quantcore quantize float.tflite -o int8.tflite --data x.npz --io float32 --explain
quantcore quantize float.tflite -o a.tflite --data x.npz --method percentile:99.99
quantcore quantize float.tflite -o a.tflite --data x.npz --correct-biases
quantcore quantize float.tflite -o a.tflite --data x.npz --save-ranges ranges.json
quantcore quantize float.tflite -o b.tflite --ranges ranges.json --recipe recipe.json
"""

IO_CHOICES = sorted({dtype for mode in MODES.values() for dtype in mode.io})
SEARCH = "quantcore.quantizer.search"
COMPARED = 16  # samples on which --explain measures the error, unless --compare-samples says otherwise


def with_modes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Replace ``MODES`` in the help of a command by a line for each mode."""
    lines = []
    for name, mode in MODES.items():
        ends = f"--io {', '.join(mode.io)}" if len(mode.io) > 1 else ""
        lines.append(f"    {name:10}{mode.about:39}{ends}".rstrip())
    function.__doc__ = str(function.__doc__).replace("    MODES", "\n".join(lines))
    return function


@verb(examples=EXAMPLES)
@click.argument("model", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="The quantized .tflite file to write.")
@click.option("--mode", type=click.Choice(MODES), default="int8", help="What is quantized, and to what.")
@click.option("--io", type=click.Choice(IO_CHOICES),
              help="Dtype of inputs and outputs.  [default: that of the activations]")  # fmt: skip
@click.option("--data", type=click.Path(), help="Representative samples: .npy, or .npz with all inputs.")
@images_option
@click.option("--samples", type=COUNT, help="Calibrate on so many samples, at most.")
@click.option("--random-samples", type=COUNT, metavar="N",
              help="Calibrate on N random samples. To try things out: the result is NOT usable.")  # fmt: skip
@seed_option("the random samples")
@click.option("--engine", type=LibraryChoice("quantcore.calibration.collect", "ENGINES"), default="quantcore",
              help="Who runs the float model: quantcore, or TensorFlow as its converter does.")  # fmt: skip
@click.option("--ranges", default="clean", metavar="clean|converter|FILE",
              help="Each tensor's own range; as the converter records it; or saved ones.")  # fmt: skip
@click.option("--save-ranges", type=click.Path(), metavar="FILE", help="Save the ranges found, as JSON.")
@click.option("--method", default="min_max", help="How ranges follow from values: percentile:99.99 ...")
@click.option("--recipe", type=click.Path(), metavar="FILE", help="Rules for parts of the model, as JSON.")
@click.option("--allow-float", is_flag=True, help="Leave operators in float that have no quantized form.")
@click.option("--per-tensor", is_flag=True, help="One scale per weight tensor, not one per channel.")
@click.option("--per-tensor-dense", is_flag=True, help="The same for FULLY_CONNECTED alone.")
@click.option("--weight-bits", type=click.Choice(["8", "4"]), default="8",
              help="Of the weights of convolutions and dense layers (mode int8).")  # fmt: skip
@click.option("--equalize", is_flag=True, help="Scale channels between layers, so that they quantize better.")
@click.option("--correct-biases", is_flag=True, help="Take back in biases what rounding weights shifts.")
@click.option("--search", type=float, metavar="TARGET",
              help="Leave the fewest operators in float that reach TARGET; else exit code 1.")  # fmt: skip
@click.option("--search-precision", type=LibraryChoice(SEARCH, "PRECISIONS"), default="float",
              help="Leave them in float; or, in mode int8, in 16x8: int16 activations.")  # fmt: skip
@click.option("--search-measure", type=LibraryChoice(SEARCH, "MEASURES"), default="sqnr",
              help="TARGET in dB; or as a share of predictions equal to the float model's.")  # fmt: skip
@click.option("--threads", type=COUNT, help="Threads of the calibration.  [default: all]")
@click.option("--explain", is_flag=True, help="Say of each tensor where its numbers come from.")
@click.option("--report", type=click.Path(), metavar="FILE", help="Write that as JSON.  [default: OUT.json]")
@click.option("--compare-samples", type=COUNT, default=COMPARED,
              help="Samples on which --explain and --report measure the error.")  # fmt: skip
@with_modes
def command(as_json: bool, **options: Any) -> None:
    """Quantize a float model as TensorFlow Lite's converter does.

    MODEL is a float .tflite file; or a .keras or .h5 file or a SavedModel folder, which TensorFlow converts
    to one first (extra 'oracle').

    \b
    MODES

    The first two need the ranges of activations: --data with samples of real inputs, some hundred are
    enough, or --ranges with a file that --save-ranges wrote. A model with fake quantization brings them, and
    takes neither (mode int8). Operators without a quantized form are refused
    with the list of them, unless --allow-float (or --mode int8 --io float32). With --explain and --report,
    float and quantized model are compared tensor by tensor. Files appear whole or not at all.

    --equalize, --correct-biases and --search go beyond the converter; docs/quantization/improving.md says
    what they gain.
    """
    from quantcore.cli._quantize_job import quantize
    from quantcore.cli._quantize_options import Asked
    from quantcore.cli._quantize_result import print_result

    done = quantize(Asked(**options))
    if as_json:
        print_json(done.to_json())
    else:
        print_result(done)
