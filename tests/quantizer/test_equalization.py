"""Cross-layer equalization: the same float network, smaller errors once it is quantized."""

from __future__ import annotations

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import collect_ranges
from quantcore.graph import Model
from quantcore.quantizer.equalization import equalize
from quantcore.quantizer.layer_pairs import LayerPair
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply
from tests.quantizer.networks import images, unbalanced


def sqnr(model: Model, origin: Model, per_channel: bool) -> float:
    """Return the SQNR of the output of `model` in int8, on other images than it was calibrated on."""
    settings = Settings("int8", "int8", per_channel=per_channel, per_channel_dense=per_channel)
    quantized = apply(Plan(model, settings), collect_ranges(model, images()))
    return qc.compare(origin, quantized, images(seed=1)).outputs[0].measures.sqnr_db


@pytest.mark.parametrize("data", [None, images()], ids=["weights", "activations"])
def test_powers_of_two_change_no_bit(data: np.ndarray | None) -> None:
    model, x = unbalanced(), images(20, seed=2)
    before = [None if t.data is None else t.data.copy() for t in model.subgraphs[0].tensors]
    found = equalize(model, data, exact=True)
    np.testing.assert_array_equal(qc.Interpreter(found.model).run(x), qc.Interpreter(model).run(x))
    assert list(found.pairs) == [LayerPair(0, 1, 3), LayerPair(1, 4, 6)]
    assert all((np.exp2(np.round(np.log2(f))) == f).all() for f in found.pairs.values())
    assert any(np.ptp(f) > 0 for f in found.pairs.values())
    for old, tensor in zip(before, model.subgraphs[0].tensors, strict=True):
        assert (old is None and tensor.data is None) or np.array_equal(old, tensor.data)


def test_who_reads_the_shape_alone_does_not_matter() -> None:
    model = unbalanced(computed=True)
    assert list(equalize(model).pairs) == [LayerPair(0, 1, 3), LayerPair(1, 7, 6)]
    assert sqnr(equalize(model, images()).model, model, True) > sqnr(model, model, True) + 6


@pytest.mark.parametrize(("data", "per_channel"), [(None, False), (images(), True)])
def test_gain(data: np.ndarray | None, per_channel: bool) -> None:
    """The channels span three orders of magnitude: seven bits are not enough for the small ones."""
    model = unbalanced()
    found = equalize(model, data)
    y, z = (qc.Interpreter(m).run(images(seed=3)) for m in (model, found.model))
    np.testing.assert_allclose(z, y, rtol=1e-4, atol=1e-5 * np.abs(y).max())
    assert sqnr(found.model, model, per_channel) > sqnr(model, model, per_channel) + 6


def test_weights_of_both_layers_have_equal_ranges_in_the_end() -> None:
    model = equalize(unbalanced()).model
    tensors = model.subgraphs[0].tensors
    w1, w2 = (np.asarray(tensors[t].data) for t in (1, 4))
    np.testing.assert_allclose(np.abs(w1).max(axis=(1, 2, 3)), np.abs(w2).max(axis=(0, 1, 2)), rtol=1e-2)


def test_bounded_activations_are_left_alone() -> None:
    model = unbalanced("RELU6")
    found = equalize(model)
    assert found.model is model
    assert found.pairs == {}
    assert found.skipped == {
        0: "RELU6 is bounded or not homogeneous",
        1: "RELU6 is bounded or not homogeneous",
        4: "its output is an output of the model",
    }


def test_values_that_others_read_are_left_alone() -> None:
    found = equalize(unbalanced(residual=True))
    assert found.pairs == {}
    assert found.skipped[0] == "its output is read by several, or beside another value"
    assert found.skipped[1] == "its output is read by several, or beside another value"


def test_dead_channels() -> None:
    model = unbalanced()
    tensors = model.subgraphs[0].tensors
    weights = np.array(tensors[1].data)
    weights[1] = 0
    tensors[1].data, tensors[2].data = weights, np.float32([1, -1, 0, 0])
    for data in (None, images()):
        found = equalize(model, data)
        assert all(np.isfinite(f).all() and (f > 0).all() for f in found.pairs.values())
        x = images(seed=4)
        expected = qc.Interpreter(model).run(x)
        np.testing.assert_allclose(qc.Interpreter(found.model).run(x), expected, rtol=1e-4, atol=1e-3)
