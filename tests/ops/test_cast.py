"""CAST between all pairs of dtypes, against TFLite and the page."""

import numpy as np
import pytest
from quantcore.kernels.cast import DTYPE_CODE

from quantcore.errors import UnsupportedOperatorError
from quantcore.runtime import Interpreter
from tests.ops.harness import (
    assert_same_bits,
    check,
    op_model,
    random_floats,
    random_values,
    run_page,
    tensor,
)

MICRO = ("bool", "int8", "int16", "int32", "uint32", "float32")  # what TFLite Micro casts
FLOATS = ("float16", "float32", "float64")
SPECIAL = [
    np.nan,
    np.inf,
    -np.inf,
    0.0,
    -0.0,
    0.5,
    -0.5,
    0.99,
    -0.99,
    254.9,
    255.9,
    256,
    300,
    -128.9,
    -129,
    -1,
]
SPECIAL += [32767.9, 32768, -32769, 65535.9, 65536, 70000, 2**31, -(2**31), -(2**31) - 256, 2**32, 3e9, -3e9]
SPECIAL += [2.0**63, -(2.0**63), 1e19, -1e19, 1e30, -1e30, 1e-45, 6e-8, 5.9e-8, 65504, 65519, 65520, 1e-5]


def cast_model(shape, a, b):
    return op_model("CAST", [tensor(shape, a)], [tensor((), b)])


# float32 sources whose results TFLite defines outside the range of the output, too
DEFINED = ("bool", "uint8", "int16", "int32", "int64", *FLOATS)


def values(rng, a, b):
    """Values of dtype `a` over its range, as far as the result does not depend on TFLite's compiler."""
    if a not in FLOATS:
        return random_values(rng, (700,), a)
    x = np.concatenate([random_floats(rng, (600,), scale=37.0), np.array(SPECIAL, np.float32)])
    with np.errstate(all="ignore"):
        x = x.astype(a)
    if b not in DEFINED or (a != "float32" and b not in (*FLOATS, "bool")):
        info = np.iinfo(b)
        inside = (x.astype(np.float64) > info.min - 1) & (x.astype(np.float64) < min(info.max, 2**31 - 1) + 1)
        x = np.where(inside, x, x.dtype.type(-1 if info.min else 1))
    return np.where(np.isnan(x), x.dtype.type(0), x) if b == "int16" else x


@pytest.mark.parametrize("b", DTYPE_CODE)
@pytest.mark.parametrize("a", DTYPE_CODE)
def test_every_pair(a, b):
    x = values(np.random.default_rng(0), a, b)
    for profile in ("reference", "optimized", "xnnpack"):
        (y,) = check(cast_model(x.shape, a, b), [x], numerics=profile)
    assert_same_bits(run_page("cast")["cast"](x, b), y)


@pytest.mark.parametrize("a", MICRO)
def test_every_pair_of_tflite_micro(a):
    """Floats of every size, NaN and infinities: everything saturates."""
    page = run_page("cast")["cast"]
    rng = np.random.default_rng(2)
    x = random_values(rng, (300,), a)
    if a == "float32":
        x = np.concatenate([random_floats(rng, (300,), scale=37.0), np.array(SPECIAL, np.float32)])
    for b in MICRO:
        (y,) = check(cast_model(x.shape, a, b), [x], numerics="tflm")
        assert_same_bits(page(x, b, "tflm"), y, f"{a} to {b}")


def test_tflite_micro_has_no_other_pairs():
    with pytest.raises(UnsupportedOperatorError, match="uint8 to float32"):
        Interpreter(cast_model((2,), "uint8", "float32"), "tflm").allocate_tensors()


def test_floats_round_to_the_nearest_half():
    """Around every half: the middle between neighbours is a tie, which goes to the even one."""
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)
    middles = (halves[1:] + halves[:-1]) / 2
    x = np.concatenate([halves, middles, -middles]).astype(np.float32)
    x = np.concatenate([x, np.nextafter(x, np.float32(np.inf)), np.nextafter(x, np.float32(-np.inf))])
    check(cast_model(x.shape, "float32", "float16"), [x])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 1000])
def test_sizes_around_a_block(size):
    x = random_values(np.random.default_rng(1), (size,), "int16")
    (y,) = Interpreter(cast_model((size,), "int16", "float32")).run([x])
    assert_same_bits(y, x.astype(np.float32))


def test_complex_numbers_are_refused():
    model = op_model("CAST", [tensor((2,), "complex64")], [tensor((), "float32")])
    with pytest.raises(UnsupportedOperatorError, match="complex64"):
        Interpreter(model).allocate_tensors()
