"""Every real model by every profile: bit-exact with its oracle, or listed here with the reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quantcore.numerics import PROFILES
from quantcore.verify import Comparison, VerifyResult, verify
from tests.ops.harness import get_oracle

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

SAMPLES = 2  # of a model with state, consecutive invocations

LITE = ("reference", "optimized", "xnnpack")

# Models that an oracle refuses as a whole, and what it says. Their operators are compared one by one; one
# that is refused alone too is not compared. Another oracle accepts each of them.
UINT8 = "Hybrid models are not supported on TFLite Micro"
REFUSED: dict[str, dict[str, str]] = {
    "coral_deeplabv3_dm05_uint8": {"tflm": UINT8},
    "coral_mobilenet_v1_025_128_uint8": {"tflm": UINT8},
    "coral_mobilenet_v2_224_uint8": {"tflm": UINT8},
    "coral_movenet_lightning_int8": {"tflm": "Input type UINT8 .* not supported. Node CAST"},
    "coral_split_concat_uint8": {"tflm": r"concatenation\.cc.* was not true"},
    "mlperf_kws_float": {"tflm": UINT8},  # a hybrid model indeed
    "support_mobilenet_v1_025_224_uint8": {"tflm": UINT8},
    "tflm_person_detect_int8": dict.fromkeys(LITE, "quantized_dimension"),
}

# Models that end the oracle's process, and are not run here; tests/oracle shows the crash. TFLite does not
# support int8 state in SVDF, but does not refuse it either.
CRASHES = {"tflm_keyword_scrambled_8bit": LITE}

# Operators to which neither engine gives an input, by model and profile: random indices, which are refused.
INVENTED = {("coral_movenet_lightning_int8", "tflm"): "GATHER_ND"}


@pytest.mark.parametrize("numerics", PROFILES)
def test_bit_exact(model_path: Path, numerics: str) -> None:
    if numerics in CRASHES.get(model_path.stem, ()):
        pytest.skip(f"ends the process of the oracle for {numerics}; see CRASHES")
    result = verify(model_path, samples=SAMPLES, numerics=numerics, oracle=get_oracle(numerics))
    refusal = REFUSED.get(model_path.stem, {}).get(numerics)
    wrong = [describe(row) for row in result.rows if not acceptable(row, result, refusal)]
    assert not wrong, "\n".join(wrong)
    check_notes(result, refusal)


def acceptable(row: Comparison, result: VerifyResult, refusal: str | None) -> bool:
    """Whether a row agrees, or was not compared for a reason that is listed above."""
    if row.status != "not compared":
        return row.status in ("exact", "close")
    if refusal is not None and "the oracle refused" in row.reason:
        return True
    ours = re.match(r"operator \d+ \((\w+)\): ", row.reason)
    return ours is not None and INVENTED.get((Path(result.model).stem, result.numerics)) == ours[1]


def describe(row: Comparison) -> str:
    where = "end to end" if row.index is None else f"operator {row.index} {row.op}"
    found = f"{row.mismatches} of {row.elements}, by up to {row.max_abs_diff}"
    return f"{where}, {row.dtype} tensor {row.tensor}: {row.status}: {row.reason or found}"


def check_notes(result: VerifyResult, refusal: str | None) -> None:
    """A model is refused as a whole for the stated reason, or else run as a whole without remarks."""
    if refusal is None:
        assert result.notes == []
        return
    assert result.notes, "the oracle accepts the model now: take it out of REFUSED"
    assert re.search(refusal, result.notes[0]), result.notes
    assert all("could not run the whole model" in row.reason for row in result.end_to_end)


def test_every_model_is_compared_with_an_oracle_that_accepts_it(model_path: Path) -> None:
    name = model_path.stem
    assert {*REFUSED.get(name, {}), *CRASHES.get(name, ())} < set(PROFILES)
