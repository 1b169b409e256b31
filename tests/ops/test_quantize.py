"""QUANTIZE and DEQUANTIZE against TFLite, the pages and quantcore.affine."""

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import QuantizationError, UnsupportedOperatorError
from quantcore.runtime import Interpreter
from tests.ops.harness import (
    PROFILES,
    TFLITE,
    Op,
    assert_same_bits,
    check,
    covers,
    graph_model,
    instruction_sets,
    op_model,
    packed,
    random_floats,
    random_values,
    refusal,
    run_page,
    tensor,
    using,
)

BOUNDS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "int32": (-(2**31), 2**31 - 1)}
# what TensorFlow 2.21's reference kernels requantize
PAIRS = [("int8", "int8"), ("int8", "uint8"), ("uint8", "int8"), ("uint8", "uint8"), ("int16", "int8"),
         ("int16", "int16"), ("int16", "int32"), ("int32", "int8"), ("int32", "int16")]  # fmt: skip
MICRO_PAIRS = [("int8", "int16"), ("int8", "int32")]  # of TFLite Micro only


def quantize_model(shape, dtype, scale, zero_point, axis=0):
    return op_model("QUANTIZE", [tensor(shape, "float32")], [tensor((), dtype, scale, zero_point, axis=axis)])


def dequantize_model(shape, dtype, scale=None, zero_point=0, axis=0, version=2):
    x = tensor(shape, dtype, scale, zero_point, axis=axis)
    return op_model("DEQUANTIZE", [x], [tensor((), "float32")], version=version)


def requantize_model(shape, a, b, p, p2):
    stored = shape if (a, b) in MICRO_PAIRS else ()  # TFLite cannot compute it
    return op_model("QUANTIZE", [tensor(shape, a, *p)], [tensor(stored, b, *p2)], version=2)


def random_scales(rng, size=None):
    """Half of them powers of two, whose multiples make exact ties."""
    exponent = np.where(rng.random(size) < 0.5, rng.integers(-9, 5, size), rng.uniform(-9, 5, size))
    return (2.0**exponent).astype(np.float32)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_quantize(dtype, profile):
    """Sizes around the blocks of 8; ties, NaN, infinities and overflow."""
    if (profile, dtype) == ("tflm", "uint8"):
        pytest.skip("TFLite Micro does not have it")
    rng = np.random.default_rng(0)
    page = run_page("quantize")["quantize"]
    low, high = BOUNDS[dtype]
    seen = []
    for size in (1, 7, 8, 9, 16, 33, 4003):
        for _ in range(5 if profile == "reference" else 3):
            scale, zero_point = random_scales(rng), int(rng.integers(low, high, endpoint=True))
            x = random_floats(rng, (size,), scale=float(scale), special=True)
            (y,) = check(quantize_model(x.shape, dtype, scale, zero_point), [x], numerics=profile)
            assert_same_bits(page(x, scale, zero_point, dtype, profile=profile), y)
            if profile == "reference":
                assert_same_bits(qc.quantize(x, qc.QuantParams(scale, zero_point, dtype)), y)
            seen.append(y)
    covers(np.concatenate(seen))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_nan_infinity_and_overflow(dtype, profile):
    """In the body, in the tail, and where the sum with the zero point wraps."""
    if (profile, dtype) == ("tflm", "uint8"):
        pytest.skip("TFLite Micro does not have it")
    edges = [2.0**31, -(2.0**31), 2.0**31 - 128, -(2.0**31) - 256, 2.0**30, 3e9, -3e9, 1e38, -1e38]
    x = np.array([np.nan, -np.nan, np.inf, -np.inf, *edges, 0.0, -0.0, 1e-45], np.float32)
    for zero_point in (-100, -1, 0, 1, 100):
        if BOUNDS[dtype][0] <= zero_point:
            for scale in (1.0, 2.0**-5):
                for order in (x, x[::-1].copy()):
                    check(quantize_model(x.shape, dtype, scale, zero_point), [order], numerics=profile)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 5, 4), 0), ((3, 5, 4), 1), ((2, 3, 19), 2), ((9,), 0), ((2, 1), 0)]
)
def test_quantize_per_channel(dtype, shape, axis):
    """By the definition in every profile that has it."""
    rng = np.random.default_rng(1)
    page = run_page("quantize")["quantize"]
    channels = shape[axis]
    scale = random_scales(rng, channels)
    zero_point = rng.integers(*BOUNDS[dtype], channels, endpoint=True)
    x = random_floats(rng, shape, special=True)
    model = quantize_model(shape, dtype, scale, zero_point, axis)
    for profile in TFLITE:
        (y,) = check(model, [x], numerics=profile)
    assert_same_bits(page(x, scale, zero_point, dtype, axis), y)
    assert_same_bits(qc.quantize(x, qc.QuantParams(scale, zero_point, dtype, axis)), y)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_dequantize(dtype, profile):
    """Every value, in the body; and sizes around the blocks of 8."""
    rng = np.random.default_rng(2)
    page = run_page("dequantize")["dequantize"]
    low, high = BOUNDS[dtype]
    every = np.arange(low, high + 1).astype(dtype)
    for size in (*[every.size] * 6, 1, 7, 8, 9, 15):
        q = every if size == every.size else random_values(rng, (size,), dtype)
        scale = np.float32(2.0 ** rng.uniform(-30, 30))
        zero_point = 0 if dtype == "int16" else int(rng.integers(low, high, endpoint=True))
        (x,) = check(dequantize_model(q.shape, dtype, scale, zero_point), [q], numerics=profile)
        assert_same_bits(page(q, scale, zero_point, profile=profile), x)
        if profile == "reference":
            assert_same_bits(qc.dequantize(q, qc.QuantParams(scale, zero_point, dtype)), x)


def int4_model(op, q, scale, zero_point, axis=0):
    """A constant, as it is in models, and an addition that uses it."""
    constant = tensor(q.shape, "int4", scale, zero_point, axis=axis, data=packed(q))
    others = {name: tensor(q.shape, "float32") for name in "dxy"}
    nodes = [Op(op, ["c"], ["d"], version=6), Op("ADD", ["x", "d"], ["y"])]
    return graph_model({"c": constant, **others}, nodes, ["x"], ["d"])


@pytest.mark.parametrize("profile", TFLITE)
def test_four_bits(profile):
    """Every value, sizes around the blocks of 8, per tensor and per channel; and CAST."""
    rng = np.random.default_rng(9)
    page = run_page("dequantize")["dequantize"]
    for size in (1, 2, 7, 8, 9, 16, 37, 160):
        q = np.resize(np.arange(-8, 8, dtype=np.int8), size)
        scale, zero_point = np.float32(rng.uniform(0.01, 1)), int(rng.integers(-8, 8))
        x = np.zeros(size, np.float32)
        (y,) = check(int4_model("DEQUANTIZE", q, scale, zero_point), [x], numerics=profile)
        like = "reference" if profile == "reference" else "optimized"
        assert_same_bits(page(q, scale, zero_point, profile=like), y)
        if profile == "reference":
            (y,) = check(int4_model("CAST", q, scale, 0), [x])
            assert_same_bits(q.astype(np.float32), y)
    q = rng.integers(-8, 8, (3, 5, 3)).astype(np.int8)
    scale = rng.uniform(0.01, 1, 5).astype(np.float32)
    check(int4_model("DEQUANTIZE", q, scale, 0, axis=1), [np.zeros(q.shape, np.float32)], numerics=profile)


def test_four_bits_at_run_time_are_refused():
    model = dequantize_model((4,), "int4", 0.5)
    with pytest.raises(UnsupportedOperatorError, match="expected a constant"):
        Interpreter(model).allocate_tensors()


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize(("shape", "axis"), [((3, 5, 4), 0), ((3, 5, 4), 1), ((2, 3, 19), 2), ((9,), 0)])
def test_dequantize_per_channel(dtype, shape, axis):
    rng = np.random.default_rng(3)
    scale = random_scales(rng, shape[axis])
    zero_point = rng.integers(*BOUNDS[dtype], shape[axis], endpoint=True)
    q = random_values(rng, shape, dtype)
    for profile in TFLITE:
        (x,) = check(dequantize_model(shape, dtype, scale, zero_point, axis), [q], numerics=profile)
    assert_same_bits(run_page("dequantize")["dequantize"](q, scale, zero_point, axis), x)


def test_all_65536_halves():
    """Bits, not values: a NaN becomes quiet and keeps its payload."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    model = dequantize_model(halves.shape, "float16", version=3)
    for profile in TFLITE:
        (x,) = check(model, [halves], numerics=profile)
    ours = Interpreter(model).run([halves])[0]
    np.testing.assert_array_equal(ours.view(np.uint32), x.view(np.uint32))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("a", "b"), PAIRS + MICRO_PAIRS)
def test_requantize(a, b, profile):
    """Ties, both ends of the ratios that XNNPACK takes and beyond, and sizes around the blocks of 16."""
    if ((a, b) in MICRO_PAIRS and profile != "tflm") or (a, b, profile) == ("uint8", "uint8", "tflm"):
        pytest.skip("the profile does not have it")
    rng = np.random.default_rng(4)
    page = run_page("requantize")["requantize"]
    seen = []
    for case in range(12):
        s2 = random_scales(rng)
        exponent = [rng.integers(-6, 3), rng.uniform(-9, 8), 0, rng.choice([-9, -8, 7, 8])][case % 4]
        s = np.float32(s2 * 2.0**exponent)
        z, z2 = (int(rng.integers(*BOUNDS[d if d != "int32" else "int16"])) for d in (a, b))
        if a == b == "int16":
            z = z2 = 0  # TFLite requires it
        near = np.clip(z + np.arange(-600, 600), *BOUNDS[a]).astype(a)
        q = np.concatenate([near, random_values(rng, (100,), a)])
        q = q if case % 3 else rng.choice(q, int(rng.choice([1, 15, 16, 17, 47, 600])))
        (y,) = check(requantize_model(q.shape, a, b, (s, z), (s2, z2)), [q], numerics=profile)
        assert_same_bits(page(q, s, z, s2, z2, b, profile), y)
        p, p2 = qc.QuantParams(s, z, a), qc.QuantParams(s2, z2, b)
        assert_same_bits(qc.requantize(q, p, p2, numerics=profile), y)
        seen.append(y)
    if b in ("int8", "uint8"):
        covers(np.concatenate(seen))


def test_the_tail_is_that_of_the_flat_array():
    """Whatever the memory layout of the array: its last elements in C order."""
    rng = np.random.default_rng(7)
    p, p2 = qc.QuantParams(0.125, 3, "int8"), qc.QuantParams(1.0, -5, "int8")
    q = random_values(rng, (7, 5, 3), "int8")
    (y,) = check(requantize_model(q.shape, "int8", "int8", (0.125, 3), (1.0, -5)), [q], numerics="optimized")
    for same in (q, np.asfortranarray(q), q[::-1].copy()[::-1]):
        assert_same_bits(qc.requantize(same, p, p2, numerics="optimized"), y)
    assert (y != qc.requantize(q, p, p2)).any()  # the profiles differ on these ties
    with pytest.raises(QuantizationError, match="per channel"):
        qc.requantize(q, qc.QuantParams([1, 2, 3], 0, "int8", 2), p2, numerics="optimized")
    wide = qc.QuantParams(1, 0, "int32")
    with pytest.raises(QuantizationError, match="no confirmed rule"):
        qc.requantize(q.astype(np.int32), wide, wide, numerics="tflm")


@pytest.mark.parametrize("name", instruction_sets())
def test_every_instruction_set_has_the_tail(name):
    page = run_page("requantize")["requantize"]
    with using(name):
        for size in (511, 512, 527, 528, 1039):
            q = np.resize(np.arange(-128, 128).astype(np.int8), size)
            got = qc.requantize(q, qc.QuantParams(0.125, 3), qc.QuantParams(1.0, -5), numerics="optimized")
            assert_same_bits(got, page(q, 0.125, 3, 1.0, -5, "int8", "optimized"), f"{size} [{name}]")


@pytest.mark.parametrize("size", [1, 255, 511, 512, 513, 5000])
def test_sizes_around_the_table_of_the_fast_version(size):
    q = random_values(np.random.default_rng(5), (size,), "uint8")
    check(requantize_model(q.shape, "uint8", "int8", (0.02, 100), (0.03, -9)), [q])
    check(requantize_model(q.shape, "uint8", "int8", (1 / 255, 0), (1 / 255, -128)), [q])


def test_ties_of_the_pages():
    for page, name in (("quantize", "quantize"), ("requantize", "requantize")):
        namespace = run_page(page)
        for arguments, expected in namespace["TIES"]:
            assert namespace[name](*arguments).tolist() == expected
    arguments, expected = run_page("quantize")["TIES"][0]
    x, scale, zero_point, dtype = arguments
    (y,) = check(quantize_model(x.shape, dtype, scale, zero_point), [x])
    assert y.tolist() == expected
    arguments, expected = run_page("requantize")["TIES"][0]
    q, s, z, s2, z2, dtype = arguments
    (y,) = check(requantize_model(q.shape, str(q.dtype), dtype, (s, z), (s2, z2)), [q])
    assert y.tolist() == expected


def model_of(op, a, b, p=(None, 0), p2=(None, 0), axis=0):
    return op_model(op, [tensor((2, 3), a, *p, axis=axis)], [tensor((), b, *p2, axis=axis)])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (model_of("QUANTIZE", "int64", "int8", (1, 0), (1, 0)), r"dtype is int64 \(tensor 0\)"),
        (model_of("QUANTIZE", "int8", "int32", (1, 0), (1, 0)), "int8 to int32"),
        (model_of("QUANTIZE", "float32", "int32", p2=(1, 0)), "float32 to int32"),
        (model_of("QUANTIZE", "float32", "int8"), "no scale"),
        (model_of("QUANTIZE", "int16", "int16", (1, 1), (1, 0)), "int16 zero points"),
        (model_of("DEQUANTIZE", "int32", "float32", (1, 0)), r"dtype is int32 \(tensor 0\)"),
        (model_of("DEQUANTIZE", "int16", "float32", (1, 1)), "int16 zero point"),
        (model_of("DEQUANTIZE", "int16", "float32", ([1, 2], 0)), "per channel"),
    ],
)
def test_what_both_refuse(model, words):
    dtype = model.subgraphs[0].tensors[0].dtype
    assert refusal(model, [np.zeros((2, 3), dtype)])
    with pytest.raises(UnsupportedOperatorError, match=words):
        Interpreter(model).allocate_tensors()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (model_of("QUANTIZE", "int8", "int8", (1e30, 0), (1e-9, 0)), "multiplier"),
        (model_of("QUANTIZE", "int8", "int8", (1, 0), (0, 0)), "multiplier"),
        (model_of("QUANTIZE", "int8", "int8", (np.nan, 0), (1, 0)), "multiplier"),
        (model_of("QUANTIZE", "float32", "int8", p2=([1, 2], 0), axis=1), "2 scales along dimension 1"),
        (
            model_of("QUANTIZE", "float32", "int8", p2=(1, 2**40)),
            f"zero points from .* to {2**40}; expected int32",
        ),
        (model_of("DEQUANTIZE", "int8", "float32"), "no scale"),
        (model_of("DEQUANTIZE", "int8", "int8", (1, 0)), r"dtype is int8 \(tensor 1\)"),
    ],
)
def test_hostile_parameters_are_refused(model, words):
    with pytest.raises(UnsupportedOperatorError, match=words):
        Interpreter(model).allocate_tensors()


def test_what_profiles_refuse():
    for model, profile, words in (
        (model_of("DEQUANTIZE", "int8", "float32", ([1, 2, 3], 0), axis=1), "tflm", "3 scales"),
        (model_of("QUANTIZE", "float32", "int8", p2=([1, 2, 3], 0), axis=1), "tflm", "3 scales"),
        (model_of("QUANTIZE", "uint8", "uint8", (1, 0), (1, 0)), "tflm", "uint8 to uint8"),
        (model_of("QUANTIZE", "int8", "int16", (1, 0), (1, 0)), "optimized", "int8 to int16"),
        (model_of("QUANTIZE", "float32", "int8", p2=(1e-40, 0)), "xnnpack", "126"),
    ):
        with pytest.raises(UnsupportedOperatorError, match=words):
            Interpreter(model, profile).allocate_tensors()


@pytest.mark.parametrize("scale", [np.nan, np.inf, 0.0, -1.0, 1e-45])
def test_strange_scales_do_not_crash(scale):
    x = random_floats(np.random.default_rng(6), (37,), special=True)
    for profile in PROFILES[:2]:
        Interpreter(quantize_model(x.shape, "int8", scale, 3), profile).run([x])
        Interpreter(dequantize_model((37,), "int8", scale, 3), profile).run([np.arange(37, dtype=np.int8)])
