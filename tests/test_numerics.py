"""The rules of the profiles, which stand with the operators."""

from __future__ import annotations

import pytest

from quantcore.numerics import CALIBRATION, FLOAT_PRODUCT, PROFILES, SUMMED, Rule, split_keys
from quantcore.ops.registry import load_operators

RULES = split_keys(
    {
        "optimized": {"int8, uint8": FLOAT_PRODUCT, "int8 grouped": Rule(block=8), "any": Rule("ruy")},
        "xnnpack": {"int8": Rule("float32")},
        "calibration": {"float32": SUMMED},
    }
)


@pytest.mark.parametrize("op", sorted(load_operators()))
def test_operators_name_profiles_that_exist(op: str) -> None:
    assert load_operators()[op].rules.keys() <= {*PROFILES, CALIBRATION.name}


def test_which_row_holds() -> None:
    """That of the variant, of the dtype, of any; and where there is none, what the profile says."""
    optimized = PROFILES["optimized"]
    assert optimized.rule(RULES, "uint8", variant="grouped") == FLOAT_PRODUCT
    assert optimized.rule(RULES, "int8", variant="grouped") == Rule(block=8)
    assert optimized.rule(RULES, "float32") == Rule("ruy")
    assert PROFILES["tflm"].rule(RULES, "int8") is None
    assert PROFILES["reference"].rule(RULES, "int8") == Rule()


def test_a_dtype_has_one_rule() -> None:
    with pytest.raises(ValueError, match="two rules for a dtype: int8, uint8, int8"):
        split_keys({"tflm": {"int8, uint8": SUMMED, "int8": Rule()}})


def test_a_delegate_declines_to_its_fallback() -> None:
    xnnpack = PROFILES["xnnpack"]
    assert xnnpack.rule(RULES, "int8") == FLOAT_PRODUCT
    assert xnnpack.rule(RULES, "int8", delegated=True) == Rule("float32")
    assert xnnpack.rule(RULES, "uint8", delegated=True) is None


def test_a_profile_may_have_the_rules_of_another() -> None:
    assert CALIBRATION.rule(RULES, "float32") == SUMMED
    assert CALIBRATION.rule(RULES, "int8") == Rule()
