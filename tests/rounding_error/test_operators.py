"""The bounds of docs/numerics/qat.md: of kernels in each profile, of TensorFlow's forward pass; the page."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.numerics import get_profile
from quantcore.rounding_error import DERIVED, RealOutput, RealValues
from quantcore.runtime import Interpreter
from tests.ops.harness import PROFILES, check, op_model, run_page, tensor, tie_scales
from tests.rounding_error.layers import LAYERS, Layer, forward, int8

COUNT = 3  # layers of each kind, with other scales


@cache
def layers() -> list[Layer]:
    rng = np.random.default_rng(71)
    return [make(rng) for make in LAYERS.values() for _ in range(COUNT)]


@cache
def forward_passes() -> list[np.ndarray]:
    return forward(layers())


def runs(layer: Layer, numerics: str) -> bool:
    """TFLite Micro has one scale for a filter of 4 bits, and no GELU."""
    if layer.name == "GELU":
        return numerics != "tflm"
    return numerics != "tflm" or layer.name.split()[-2:] != ["4", "bits"] or "FULLY" in layer.name


def real_output(layer: Layer, y: np.ndarray, numerics: str = "reference") -> RealOutput:
    subgraph = layer.model.subgraphs[0]
    values = dict(zip(subgraph.inputs, layer.inputs, strict=True)) | {layer.output: y}
    values |= {t: item.data for t, item in enumerate(subgraph.tensors) if item.data is not None}
    return RealValues(subgraph, get_profile(numerics), values, set(subgraph.inputs)).at(layer.output)


def less_zero_point(layer: Layer, y: np.ndarray) -> np.ndarray:
    quantization = layer.tensors[layer.output].quantization
    assert quantization is not None
    return y.astype(np.float64) - quantization.zero_point[0]


@pytest.mark.parametrize("numerics", PROFILES)
def test_kernels_are_within_their_bounds(numerics: str) -> None:
    """Ours, which are compared with the oracle's in the same call."""
    for layer in layers():
        if not runs(layer, numerics):
            continue
        (y,) = check(layer.model, layer.inputs, numerics=numerics)
        real = real_output(layer, y, numerics)
        slack = real.kernel_slack(less_zero_point(layer, y))
        assert slack.min() >= 0, f"{layer.name} {numerics}: {slack.min()}"


@pytest.mark.slow
def test_forward_passes_are_within_their_bounds() -> None:
    """TensorFlow's float operators and fake quantization: kernels differ at most by one, near a tie."""
    for layer, y in zip(layers(), forward_passes(), strict=True):
        (kernel,) = Interpreter(layer.model).run(layer.inputs)
        real = real_output(layer, kernel)
        slack = real.forward_slack(less_zero_point(layer, y))
        assert slack.min() >= 0, f"{layer.name}: {slack.min()}"
        differing = kernel != y
        assert np.abs(kernel - y).max() <= 1
        assert not (differing & ~real.undecided()).any(), layer.name


@pytest.mark.parametrize("numerics", PROFILES)
def test_bounds_say_something(numerics: str) -> None:
    """Most outputs are decided: one that rounds a quarter of a step late leaves its bounds in every layer."""
    for layer in layers():
        if not runs(layer, numerics):
            continue
        y = Interpreter(layer.model, numerics=numerics).run(layer.inputs)[0]
        real = real_output(layer, y, numerics)
        wide = layer.name == "MEAN True" and numerics == "optimized"
        wide = wide or (layer.name == "QUANTIZE" and numerics == "xnnpack")
        info = np.iinfo(np.int8)
        late = np.clip(np.floor(real.value + 0.75), *(info.min - 0.0, info.max + 0.0))
        inside = (y > info.min) & (y < info.max)
        if not wide:
            assert real.undecided().mean() < 0.4, (layer.name, real.undecided().mean())
            assert (real.kernel_slack(late)[inside] < 0).any(), layer.name
            assert (real.forward_slack(late)[inside] < 0).any(), layer.name


def test_double_rounding_uses_its_whole_bound() -> None:
    """Accumulators of 3 with M = 1/8, the page's example: 0.375 becomes 1."""
    scales = tie_scales(np.random.default_rng(72), 3)
    weights = tensor((1, 1), "int8", [scales[1]], data=np.ones((1, 1), np.int8))
    x = np.array([[3], [-3], [4], [11]], np.int8)
    bias = tensor((1,), "int32", [scales[0] * scales[1]], data=np.zeros(1, np.int32))
    model = op_model(
        "FULLY_CONNECTED", [int8(x.shape, scales[0], 0), weights, bias], [int8((), scales[2], 0)], version=4
    )
    layer = Layer("FULLY_CONNECTED", model, [x], ("", {}))
    (y,) = check(model, [x], numerics="tflm")
    real = real_output(layer, y, "tflm")
    assert real.value.ravel().tolist() == [0.375, -0.375, 0.5, 1.375]
    assert y.ravel().tolist() == [1, 0, 1, 2]
    assert 0 <= real.kernel_slack(y.astype(np.float64)).min() < 1e-6


def test_an_operator_without_bounds() -> None:
    model = op_model("ELU", [int8((2, 3), 0.1, 0)], [int8((), 0.1, 0)])
    layer = Layer("ELU", model, [np.zeros((2, 3), np.int8)], ("", {}))
    assert "ELU" not in DERIVED
    with pytest.raises(UnsupportedOperatorError, match="not derived"):
        real_output(layer, layer.inputs[0])


# The page -------------------------------------------------------------------------------------------


def parameters(layer: Layer) -> list[tuple[np.ndarray, int]]:
    found = []
    for item in layer.tensors:
        if item.quantization is not None:
            found.append((item.quantization.scale, int(item.quantization.zero_point[0])))
    return found


def by_page(page: dict[str, Any], layer: Layer) -> Any:
    """Return ``(v, kernel, forward)`` by the page's function, where it has one for the layer as it is."""
    op = layer.model.subgraphs[0].operators[0].op
    given = parameters(layer)
    (s, _), scale = given[0], given[-1][0]
    d = [q.astype(np.float64) - zero for q, (_, zero) in zip(layer.inputs, given, strict=False)]
    if op == "FULLY_CONNECTED":
        w = layer.call[1]["b"].T / given[1][0].reshape(-1, 1)
        w, bias = np.rint(w.astype(np.float64)), np.asarray(layer.tensors[2].data, np.float64)
        total, size = d[0] @ w.T, np.abs(d[0]) @ np.abs(w).T
        return page["sum_of_products"](total, size, w.shape[1], bias, s, given[1][0], scale, "float64")
    if op in ("ADD", "MUL"):
        arguments = (*d, s[0], given[1][0][0], scale[0])
        return (
            page["add"](*arguments) if op == "ADD" else page["mul"](*arguments, "double_rounding", "float32")
        )
    if op == "MEAN":
        return page["mean"](d[0].transpose(1, 2, 0, 3).reshape(-1, *d[0].shape[::3]), s[0], scale[0])
    if op == "QUANTIZE":
        return page["requantize"](d[0], s[0], scale[0], "double_rounding")
    if op in ("LOGISTIC", "SOFTMAX"):
        return page[op.lower()](d[0], s[0], *([scale[0]] if op == "LOGISTIC" else []))
    return None


@pytest.mark.slow
def test_the_page_has_the_bounds_that_are_checked() -> None:
    page, compared = run_page("qat"), set()
    for layer, y_forward in zip(layers(), forward_passes(), strict=True):
        found = by_page(page, layer) if layer.activation == "NONE" else None
        if found is None:
            continue
        (y,) = Interpreter(layer.model).run(layer.inputs)
        real = real_output(layer, y)
        zero_point = parameters(layer)[-1][1]
        v = np.clip(found[0], -128 - zero_point, 127 - zero_point)
        for ours, theirs in zip((real.value, real.kernel, real.forward), (v, *found[1:]), strict=True):
            np.testing.assert_allclose(
                ours.ravel(), np.broadcast_to(theirs, v.shape).ravel(), rtol=1e-12, atol=1e-15
            )
        integers = (
            less_zero_point(layer, y).reshape(v.shape),
            less_zero_point(layer, y_forward).reshape(v.shape),
        )
        assert page["allowed"](v, found[1] + 1e-12, found[2] + 1e-12, *integers).all()
        compared.add(layer.name.split()[0])
    assert compared == {"FULLY_CONNECTED", "ADD", "MUL", "MEAN", "QUANTIZE", "LOGISTIC", "SOFTMAX"}


def test_a_rounded_input_is_refused() -> None:
    """Two operators in a row with nothing exact between: no bound for the second."""
    layer = next(layer for layer in layers() if layer.name == "SUB NONE")
    values = dict(zip(layer.model.subgraphs[0].inputs, layer.inputs, strict=True))
    reals = RealValues(layer.model.subgraphs[0], get_profile("reference"), values, frozenset())
    with pytest.raises(UnsupportedOperatorError, match="computed by no operator"):
        reals.at(layer.output)
