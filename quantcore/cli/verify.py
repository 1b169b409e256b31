"""``quantcore verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from quantcore.cli._command import COUNT, input_option, model_argument, seed_option, verb
from quantcore.cli._kernels import KernelOption, kernel_options, load_kernels
from quantcore.cli._output import complain, print_json, step_progress
from quantcore.numerics import PROFILES

if TYPE_CHECKING:
    from quantcore.verify import ProfilesResult, VerifyResult

EXAMPLES = """
quantcore verify model.tflite                             # 8 random samples
quantcore verify model.tflite --input images.npy --samples 100
quantcore verify model.tflite --json | jq .bit_exact
quantcore verify model.tflite --numerics all              # where backends part
quantcore verify model.tflite --recorded device.npz       # which one it equals
quantcore verify model.tflite --kernel CONV_2D=my_conv.c:my_conv_s8
"""


@verb(examples=EXAMPLES)
@model_argument
@input_option
@click.option("--samples", type=COUNT, default=8, help="How many samples, at most.")
@seed_option("the random samples, where no --input is given")
@click.option(
    "--numerics",
    type=click.Choice([*PROFILES, "all"]),
    help="Numerics profile: whose rounding to reproduce; or all of them.  [default: reference]",
)
@click.option(
    "--recorded",
    type=click.Path(),
    help="Outputs of a device, .npz: out0, out1 ... or by name; and in0 ... unless --input is given.",
)
@click.option("--timeout", type=float, default=300.0, help="Seconds that one call of the oracle may take.")
@click.option("--failed", "failed_only", is_flag=True, help="Show only what is not bit-exact.")
@kernel_options
def command(
    model: str,
    input_path: str | None,
    samples: int,
    seed: int,
    numerics: str | None,
    recorded: str | None,
    timeout: float,
    failed_only: bool,
    kernels: tuple[KernelOption, ...],
    kernel_flags: tuple[str, ...],
    as_json: bool,
) -> int:
    """Compare every operator with TensorFlow Lite's, bit for bit.

    Each operator of MODEL is run on TensorFlow Lite's own inputs to it, so that one mismatch does not
    hide the next; then the model is run end to end. With --numerics all, every profile is compared with
    its oracle, and all with each other: where they part, by which rules, and how often those are
    expected to differ. With --kernel, kernels of yours are compared in the place of ours.

    Exit code 0: every bit agrees (but for float sums whose order a backend does not define); 1: something
    differs, or the recorded outputs match no profile; 2: nothing differs, but something could not be
    compared (with --recorded: no profile could be run). Needs the extra 'oracle' (TensorFlow), and
    'tflm' for that profile.
    """
    from quantcore.cli._verify_profiles import print_profiles
    from quantcore.cli._verify_tables import print_result
    from quantcore.flatbuffer import read_model
    from quantcore.verify import ProfilesResult, verify

    if kernels or kernel_flags:
        read_model(model)  # what is wrong with it is said before anything is compiled
    own = load_kernels(kernels, kernel_flags)
    with step_progress("verifying") as progress:
        result = verify(
            model,  # the path: end to end, the oracle must run the file and not what was read from it
            input_path,
            samples,
            seed,
            numerics or ("all" if recorded else "reference"),
            recorded=recorded,
            progress=progress,
            timeout=timeout,
            kernels=own,
        )
    if as_json:
        print_json(result.to_json())
    elif isinstance(result, ProfilesResult):
        print_profiles(result)
    else:
        print_result(result, failed_only)
    return exit_code(result)


def exit_code(result: VerifyResult | ProfilesResult) -> int:
    """Return 0 (nothing is wrong), 1 (something differs) or 2 (something could not be compared).

    A recording that a profile matches is an answer, whatever other profiles could not run.
    """
    from quantcore.verify import ProfilesResult

    if result.mismatched:
        return 1
    if isinstance(result, ProfilesResult):
        if result.matching:
            return 0
        if any(not match.reason for match in result.recorded or []):
            return 1
        profiles = list(result.profiles.values())
    else:
        profiles = [result]
    if profiles and all(profile.agrees for profile in profiles):
        return 0
    rows = [row for profile in profiles for row in profile.rows]
    missing = [row for row in rows if row.status == "not compared"]
    reason = missing[0].reason if missing else "the model has no operators"
    complain(f"{len(missing)} of {len(rows)} tensors could not be compared: {reason}")
    return 2
