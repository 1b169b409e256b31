"""STRIDED_SLICE: every mask, both directions, against TFLite and against the page."""

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.runtime import Interpreter
from tests.ops.harness import assert_same_bits, check, const, op_model, refusal, run_page, tensor

MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def slice_model(shape, begin, end, strides, dtype="int32", **options):
    inputs = [tensor(shape, dtype), *(const(np.array(v, np.int32)) for v in (begin, end, strides))]
    return op_model("STRIDED_SLICE", inputs, [tensor((), dtype)], options)


def numbered(shape, dtype="int32"):
    return (np.arange(np.prod(shape, dtype=int)) + 1).reshape(shape).astype(dtype)


def random_case(rng):
    """Return ``(shape, begin, end, strides, masks)``; at most 5 dimensions come out, TFLite's limit."""
    shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 5)))
    if rng.random() < 0.1:
        shape = (*shape[:-1], 0)
    positions = int(rng.integers(1, len(shape) + 1))
    begin, end = (rng.integers(-6, 7, positions).tolist() for _ in range(2))
    strides = (rng.choice([-1, 1, 1], positions) * rng.integers(1, 4, positions)).tolist()
    bits = rng.random((5, positions)) < np.array([0.3, 0.3, 0, 0, 0.15])[:, None]
    masks = {
        name: int(sum(1 << i for i in np.flatnonzero(row))) for name, row in zip(MASKS, bits, strict=True)
    }
    if rng.random() < 0.4:
        masks["new_axis_mask"] = 1 << int(rng.integers(positions))
    if rng.random() < 0.4:
        masks["ellipsis_mask"] = 1 << int(rng.integers(positions))
    return shape, begin, end, strides, masks


def test_random_slices():
    rng = np.random.default_rng(7)
    page = run_page("strided_slice")["strided_slice"]
    compared = refused = 0
    while compared < 400:
        shape, begin, end, strides, masks = random_case(rng)
        model = slice_model(shape, begin, end, strides, **masks)
        x = numbered(shape)
        try:
            Interpreter(model).allocate_tensors()
        except UnsupportedOperatorError:
            refused += 1
            continue
        (y,) = check(model, [x])
        assert_same_bits(page(x, begin, end, strides, **masks), y, f"{shape} {begin} {end} {strides} {masks}")
        compared += 1
    assert refused < 200


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64", "float32", "bool"])
def test_every_dtype(dtype):
    x = numbered((3, 4, 5), dtype)
    check(slice_model(x.shape, [2, 0, -1], [0, 4, 0], [-1, 2, -3], dtype), [x])


def test_the_batch_size_of_a_flatten():
    model = slice_model((4,), [0], [1], [1], shrink_axis_mask=1)
    (y,) = check(model, [np.array([7, 28, 28, 1], np.int32)])
    assert y.shape == ()
    assert y == 7


def test_offset_makes_end_a_count():
    x = numbered((6, 5))
    (y,) = check(slice_model(x.shape, [1, 2], [3, 2], [1, 1], offset=True), [x])
    assert_same_bits(y, x[1:4, 2:4])


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (([0, 0], [1, 1], [0, 1]), {}, "strides"),
        (([0, 0, 0], [1, 1, 1], [1, 1, 1]), {}, "too many"),
        (([5, 0], [6, 1], [1, 1]), {"shrink_axis_mask": 1}, "position 0 takes element 5"),
        (([0, 0], [6, 1], [-1, 1]), {"shrink_axis_mask": 1}, "position 0"),
        (([0, 0], [1, 1], [1, 1]), {"ellipsis_mask": 3}, "ellipsis_mask"),
        (([0, 0], [1], [1, 1]), {}, "1 values; expected 2"),
        (([2], [2], [1]), {"offset": True}, "offset"),
        (([2, 2], [2, 2], [1, 1]), {"offset": True}, "takes 2 elements from 2"),
    ],
)
def test_what_is_refused(arguments, options, words):
    with pytest.raises(UnsupportedOperatorError, match=words):
        Interpreter(slice_model((4, 3), *arguments, **options)).allocate_tensors()


def test_tflite_refuses_a_stride_of_zero_too():
    assert "stride" in refusal(slice_model((4,), [0], [1], [0]), [np.zeros(4, np.int32)])


def test_bounds_that_are_inputs():
    indices = [tensor((1,), "int32") for _ in range(3)]
    model = op_model("STRIDED_SLICE", [tensor((4,), "int8"), *indices], [tensor((), "int8")])
    bounds = [np.array([value], np.int32) for value in (3, 0, -2)]
    check(model, [np.arange(4, dtype=np.int8), *bounds])
