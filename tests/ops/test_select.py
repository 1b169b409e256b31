"""SELECT and SELECT_V2: all dtypes, every form of the condition, broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from tests.ops.harness import (
    PROFILES,
    assert_same_bits,
    check,
    op_model,
    random_values,
    refusal,
    run_ours,
    run_page,
    tensor,
)


def select(op: str, dtype: str, shapes: Any) -> Any:
    inputs = [tensor(shapes[0], "bool"), tensor(shapes[1], dtype), tensor(shapes[2], dtype)]
    return op_model(op, inputs, [tensor((), dtype)])


@pytest.mark.parametrize("profile", PROFILES)
def test_select(profile: str) -> None:
    rng, formula = np.random.default_rng(2), run_page("select")["select"]
    dtypes = ("int8", "uint8", "int16", "int32", "int64", "float32", "bool")
    for dtype in dtypes if profile != "tflm" else ("int8", "int16", "float32"):
        for op, shapes in (
            ("SELECT", ((3, 4), (3, 4), (3, 4))),
            ("SELECT", ((3,), (3, 4, 2), (3, 4, 2))),
            ("SELECT", ((), (3, 4), (3, 4))),
            ("SELECT_V2", ((3, 4), (3, 4), (3, 4))),
            ("SELECT_V2", ((3, 1), (4,), (2, 1, 4))),
            ("SELECT_V2", ((), (2, 3), (1,))),
            ("SELECT_V2", ((2, 3, 4, 5), (), (5,))),
        ):
            if profile == "tflm" and op == "SELECT":
                continue
            data = [random_values(rng, shapes[0], "bool")]
            data += [random_values(rng, shape, dtype) for shape in shapes[1:]]
            (y,) = check(select(op, dtype, shapes), data, numerics=profile)
            assert_same_bits(formula(op, *data), y, f"page select, {op} {dtype} {shapes}")


def test_refused() -> None:
    data = [np.zeros(4, bool), np.zeros((3, 4), np.int8), np.zeros((3, 4), np.int8)]
    model = select("SELECT", "int8", [x.shape for x in data])
    assert refusal(model, data)
    with pytest.raises(UnsupportedOperatorError, match="first dimension"):
        run_ours(model, data)
    shapes = ((2, 1, 2, 1, 2, 1), (1, 2, 1, 2, 1, 2), ())
    data = [np.zeros(shapes[0], bool), *(np.zeros(shape, np.int8) for shape in shapes[1:])]
    with pytest.raises(UnsupportedOperatorError, match="limit is 5"):
        run_ours(select("SELECT_V2", "int8", shapes), data)
    with pytest.raises(UnsupportedOperatorError, match="no confirmed rule"):
        run_ours(
            select("SELECT_V2", "int32", ((2,),) * 3),
            [np.zeros(2, bool), *[np.zeros(2, np.int32)] * 2],
            "tflm",
        )
