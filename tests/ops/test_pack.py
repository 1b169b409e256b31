"""PACK and CONCATENATION against TFLite, and the uint8 rescaling of CONCATENATION."""

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.runtime import Interpreter
from tests.ops.harness import (
    assert_same_bits,
    check,
    check_samples,
    const,
    covers,
    op_model,
    random_scale,
    random_values,
    refusal,
    run_page,
    tensor,
)

PACK_DTYPES = ("int8", "uint8", "int16", "int32", "int64", "float32")


def pack_model(shapes, axis, dtype="int8", *, scales=None, values_count=None):
    scales = scales or [None] * (len(shapes) + 1)
    inputs = [tensor(shape, dtype, scale) for shape, scale in zip(shapes, scales, strict=False)]
    options = {"axis": axis, "values_count": values_count or len(shapes)}
    return op_model("PACK", inputs, [tensor((), dtype, scales[-1])], options)


@pytest.mark.parametrize("dtype", PACK_DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_pack(dtype, axis):
    rng = np.random.default_rng(0)
    parts = [random_values(rng, (2, 3), dtype) for _ in range(3)]
    (y,) = check(pack_model([(2, 3)] * 3, axis, dtype), parts)
    assert_same_bits(y, run_page("pack")["pack"](parts, axis))


def test_pack_of_scalars_and_of_constants():
    parts = [np.array(3, np.int32), np.array(4, np.int32)]
    check(pack_model([(), ()], 0, "int32"), parts)
    model = op_model(
        "PACK", [tensor((), "int32"), const(parts[1])], [tensor((), "int32")], {"axis": 0, "values_count": 2}
    )
    check(model, parts[:1])


@pytest.mark.parametrize(
    ("shapes", "axis", "options", "words"),
    [
        ([(2, 3), (2, 3)], 3, {}, "axis"),
        ([(2, 3), (2, 4)], 0, {}, r"shapes are \(2, 3\) and \(2, 4\)"),
        ([(2, 3), (2, 3)], 0, {"scales": [0.5, 0.5, 0.25]}, "parameters differ"),
        ([(2, 3), (2, 3)], 0, {"values_count": 3}, "values_count"),
    ],
)
def test_what_pack_refuses(shapes, axis, options, words):
    model = pack_model(shapes, axis, **options)
    assert refusal(model, [np.zeros(shape, np.int8) for shape in shapes])
    with pytest.raises(UnsupportedOperatorError, match=words):
        Interpreter(model).allocate_tensors()


def concat_model(shapes, axis, dtype, params, output_params, activation="NONE"):
    inputs = [tensor(shape, dtype, *p) for shape, p in zip(shapes, params, strict=True)]
    options = {"axis": axis, "fused_activation_function": activation}
    return op_model("CONCATENATION", inputs, [tensor((), dtype, *output_params)], options, version=3)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float32", "bool"])
@pytest.mark.parametrize(("axis", "sizes"), [(0, (1, 4)), (1, (2, 3, 1)), (-1, (5, 1, 2, 7)), (2, (3,))])
def test_concatenation(dtype, axis, sizes):
    rng = np.random.default_rng(1)
    shapes = [tuple(size if d == axis % 3 else 2 + d for d in range(3)) for size in sizes]
    parts = [random_values(rng, shape, dtype) for shape in shapes]
    params = (0.5, 3) if dtype in ("int8", "uint8") else (None, 0)
    (y,) = check(concat_model(shapes, axis, dtype, [params] * len(sizes), params), parts)
    assert_same_bits(y, run_page("concatenation")["concatenation"](parts, axis))


def test_int16_is_copied_whatever_the_scales():
    parts = [random_values(np.random.default_rng(2), (2, 3), "int16") for _ in range(2)]
    (y,) = check(concat_model([(2, 3)] * 2, 0, "int16", [(0.5, 0), (0.25, 0)], (0.125, 0)), parts)
    assert_same_bits(y, np.concatenate(parts))


def test_uint8_is_rescaled_where_parameters_differ():
    rng = np.random.default_rng(3)
    q = np.arange(256, dtype=np.uint8)
    page = run_page("concatenation")["concatenation"]
    seen = []
    for _ in range(60):
        output = (random_scale(rng, 0.01, 1), int(rng.integers(0, 256)))
        ratio = 2.0 ** rng.integers(-3, 3) if rng.random() < 0.5 else rng.uniform(0.2, 5)
        params = [(np.float32(output[0] * ratio), int(rng.integers(0, 256))), output, (output[0], 7)]
        parts = [rng.permutation(q) for _ in params]
        (y,) = check(concat_model([(256,)] * 3, 0, "uint8", params, output), parts)
        assert_same_bits(page(parts, 0, params, output), y)
        seen.append(y)
    covers(np.concatenate(seen))


def test_the_tie_of_the_page():
    model = concat_model([(2,), (1,)], 0, "uint8", [(0.5, 0), (1.0, 0)], (1.0, 0))
    (y,) = check_samples(model, [[np.array([1, 3], np.uint8), np.array([9], np.uint8)]])[0]
    assert y.tolist() == [1, 2, 9]


@pytest.mark.parametrize(
    ("dtype", "params", "output", "activation", "words"),
    [
        ("int8", [(0.5, 0), (0.25, 0)], (0.5, 0), "NONE", "parameters differ"),
        ("int8", [(0.5, 0), (0.5, 1)], (0.5, 0), "NONE", "parameters differ"),
        ("int16", [(0.5, 0), (0.5, 1)], (0.5, 0), "NONE", "zero point"),
        ("float32", [(None, 0)] * 2, (None, 0), "RELU", "activation"),
    ],
)
def test_what_concatenation_refuses(dtype, params, output, activation, words):
    model = concat_model([(2, 2)] * 2, 0, dtype, params, output, activation)
    assert refusal(model, [np.zeros((2, 2), dtype)] * 2)
    with pytest.raises(UnsupportedOperatorError, match=words):
        Interpreter(model).allocate_tensors()


@pytest.mark.parametrize(
    ("shapes", "axis"), [([(2, 2), (3, 2)], 1), ([(2, 2), (2, 2, 1)], 0), ([(2, 2)] * 2, 2)]
)
def test_concatenation_refuses_shapes_that_do_not_fit(shapes, axis):
    model = concat_model(shapes, axis, "int8", [(0.5, 0)] * 2, (0.5, 0))
    assert refusal(model, [np.zeros(shape, np.int8) for shape in shapes])
    with pytest.raises(UnsupportedOperatorError):
        Interpreter(model).allocate_tensors()
