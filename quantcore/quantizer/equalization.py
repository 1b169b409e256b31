"""Cross-layer equalization: scale the channels between two layers so that both quantize better.

A layer whose outputs reach only the next layer, through nothing but positively homogeneous operators (RELU,
pooling ...), may divide its output channels by any positive factors if the next layer's weights take them
back: the network computes the same. Source: Nagel et al., "Data-Free Quantization Through Weight Equalization
and Bias Correction" (2019), section 4.1. It equalizes the weights of both layers; weights with a scale per
channel gain nothing from that, and there activations are equalized with the weights that read them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from quantcore.calibration.dataset import Dataset, read_samples
from quantcore.comparison.runs import WholeRun
from quantcore.graph import Model, Tensor
from quantcore.quantizer.float_graph import FloatGraph
from quantcore.quantizer.layer_pairs import (
    BIAS,
    INPUT_AXIS,
    OUTPUT_AXIS,
    WEIGHTS,
    LayerPair,
    channel_count,
    find_pairs,
)

__all__ = ["Equalized", "equalize"]

ROUNDS = 20  # at most; factors settle in a few
SETTLED = 1e-3  # largest change of a factor, as a power of two
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
LARGEST = 2.0**10  # factor in one round: a dead channel is not blown up without end


@dataclass(slots=True)
class Equalized:
    """What `equalize` returns.

    Attributes
    ----------
    model : Model
    pairs : dict of LayerPair to ndarray of float64, shape (channels,)
        What the channels were divided by.
    skipped : dict of int to str
        Operators with weights that no pair begins with, and why.
    """

    model: Model
    pairs: dict[LayerPair, np.ndarray] = field(default_factory=dict)
    skipped: dict[int, str] = field(default_factory=dict)


def equalize(
    model: Model,
    dataset: Dataset | None = None,
    *,
    exact: bool = False,
) -> Equalized:
    """Return a float model that computes the same and quantizes better.

    Without data, each channel c between two layers is divided by ``sqrt(r1[c] / r2[c])``: the largest
    absolute weights of the first layer for that output channel, and of the second for that input; over all
    pairs, until nothing changes. That is for weights with one scale. With data, it is divided by
    ``a[c]**p / r2[c]**(1 - p)``, where ``a`` is the largest absolute activation and p, in 0..1, is chosen for
    each pair so that the noise expected behind the second layer is least; or by nothing, if that is better.
    That is for weights with a scale per channel.

    Parameters
    ----------
    model : Model
        Not changed. Calibrate the result, not this one: ranges are others.
    dataset : optional
        As for `quantcore.calibration.collect_ranges`.
    exact : bool
        Round factors to powers of two, so that the float model's outputs stay the same to the last bit (as
        long as nothing underflows). Otherwise they change by float rounding, and factors fit better.

    Returns
    -------
    Equalized

    Raises
    ------
    QuantizationError
        Bad data, see `quantcore.calibration.dataset.read_samples`.

    Notes
    -----
    A bounded activation between the layers (RELU6) is not homogeneous: the pair is left alone, and
    `Equalized.skipped` says so. So are layers whose output others read too, and quantized weights.
    """
    graph = FloatGraph.of(model)
    pairs, skipped = find_pairs(graph)
    result = Equalized(model, skipped=skipped)
    if not pairs:
        return result
    if dataset is None:
        factors = _by_weights(graph, pairs, exact)
    else:
        found = _activations(model, dataset, pairs)
        factors = {}
        for pair in pairs:
            weights, axis = _weights(graph, pair.second), INPUT_AXIS[graph.operators[pair.second].op]
            factors[pair] = _rounded(_by_activations(weights, axis, *found[pair]), exact)
    tensors = list(graph.subgraph.tensors)
    for pair in pairs:
        result.pairs[pair] = factors[pair]
        _scale(tensors, graph, pair, factors[pair])
    result.model = model.with_main(replace(graph.subgraph, tensors=tensors))
    return result


def _activations(
    model: Model, dataset: Dataset, pairs: list[LayerPair]
) -> dict[LayerPair, tuple[np.ndarray, np.ndarray]]:
    """Return the largest absolute activation, and the mean of the squares, of each channel between layers."""
    run = WholeRun(model)
    largest: dict[LayerPair, np.ndarray] = {}
    squares: dict[LayerPair, np.ndarray] = {}
    count = 0
    for sample in read_samples(model, dataset):
        run.run(sample)
        count += 1
        for pair in pairs:
            values = np.abs(run.value(pair.tensor), dtype=np.float64)
            values = values.reshape(-1, values.shape[-1])
            largest[pair] = np.maximum(largest.get(pair, 0.0), values.max(axis=0))
            squares[pair] = squares.get(pair, 0.0) + (values**2).mean(axis=0)
    return {pair: (largest[pair], squares[pair] / count) for pair in pairs}


def _by_activations(weights: np.ndarray, axis: int, largest: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return the factors ``a**p / w**(1 - p)`` with the least noise behind the second layer, or ones.

    The noise, up to a constant, of rounding the activations with one step, ``max(a / s)``, and the weights
    with a step per output channel o, ``max(w[o] * s)``::

        (max(a / s) / 255)**2 * sum(s**2 * w**2) + sum over o: (max(w[o] * s) / 127)**2 * sum(E[x**2] / s**2)
    """
    channels = largest.size
    rows = np.moveaxis(weights, axis, -1).reshape(-1, channels)  # weights that read each channel
    outputs = channels if axis == 3 and weights.shape[0] == 1 else weights.shape[0]
    depthwise = outputs == channels and weights.shape[0] == 1
    norms, tops = (rows**2).sum(axis=0), rows.max(axis=0)
    alive = (largest > 0) & (tops > 0)
    if not alive.any():
        return np.ones(channels)

    def noise(s: np.ndarray) -> float:
        activations = float((np.max(largest / s) / 255) ** 2 * (s**2 * norms).sum())
        if depthwise:  # each output channel reads one input channel: its step makes up for any factor
            return activations
        scaled = (rows * s).reshape(outputs, -1)
        steps = (scaled.max(axis=1) / 127) ** 2
        return activations + float(steps.sum() * (squares / s**2).sum() * rows.shape[0] / outputs)

    best = np.ones(channels)
    for power in POWERS:
        s = np.ones(channels)
        s[alive] = largest[alive] ** power / tops[alive] ** (1 - power)
        s[alive] /= np.exp(np.log(s[alive]).mean())
        s = np.clip(s, 1 / LARGEST, LARGEST)
        if noise(s) < noise(best):
            best = s
    return best


def _by_weights(graph: FloatGraph, pairs: list[LayerPair], exact: bool) -> dict[LayerPair, np.ndarray]:
    """Return the factors of all pairs, after as many rounds as it takes."""
    weights = {i: _weights(graph, i) for pair in pairs for i in (pair.first, pair.second)}
    ops = {i: graph.operators[i].op for i in weights}
    total = {pair: np.ones(channel_count(graph, pair.first, OUTPUT_AXIS)) for pair in pairs}
    for _ in range(ROUNDS):
        changed = False
        for pair in pairs:
            a, b = weights[pair.first], weights[pair.second]
            out, into = OUTPUT_AXIS[ops[pair.first]], INPUT_AXIS[ops[pair.second]]
            r1, r2 = (_largest(w, axis, total[pair].size) for w, axis in ((a, out), (b, into)))
            step = np.sqrt(np.divide(r1, r2, out=np.ones_like(r1), where=(r1 > 0) & (r2 > 0)))
            step = _rounded(np.clip(step, 1 / LARGEST, LARGEST), exact)
            if np.max(np.abs(np.log2(step))) < SETTLED:
                continue
            changed = True
            total[pair] *= step
            a /= _along(step, a, out)
            b *= _along(step, b, into)
        if not changed:
            break
    return total


def _rounded(factors: np.ndarray, exact: bool) -> np.ndarray:
    """Return factors as the nearest powers of two, if `exact`."""
    return np.exp2(np.round(np.log2(factors))) if exact else factors


def _weights(graph: FloatGraph, i: int) -> np.ndarray:
    """Return the absolute weights of operator `i`, in memory of their own."""
    return np.abs(np.asarray(graph.tensor(graph.operators[i].inputs[WEIGHTS]).data, np.float64))


def _largest(weights: np.ndarray, axis: int, channels: int) -> np.ndarray:
    """Return the largest value of each channel; a flattened image has each channel many times."""
    largest: np.ndarray = np.moveaxis(weights, axis, -1).reshape(-1, channels).max(axis=0)
    return largest


def _along(factors: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Return factors shaped to multiply `weights` along `axis`."""
    shape = [1] * weights.ndim
    shape[axis] = weights.shape[axis]
    return np.tile(factors, weights.shape[axis] // factors.size).reshape(shape)


def _scale(tensors: list[Tensor], graph: FloatGraph, pair: LayerPair, factors: np.ndarray) -> None:
    """Divide the first layer's outputs by `factors`, and multiply the second's weights."""
    first, second = graph.operators[pair.first], graph.operators[pair.second]
    _multiply(tensors, first.inputs[WEIGHTS], 1 / factors, OUTPUT_AXIS[first.op])
    if len(first.inputs) > BIAS and first.inputs[BIAS] >= 0:
        _multiply(tensors, first.inputs[BIAS], 1 / factors, 0)
    _multiply(tensors, second.inputs[WEIGHTS], factors, INPUT_AXIS[second.op])


def _multiply(tensors: list[Tensor], t: int, factors: np.ndarray, axis: int) -> None:
    """Give a constant new values, in memory of its own."""
    data = tensors[t].data
    assert data is not None
    scaled = (data * _along(factors, data, axis)).astype(np.float32)
    tensors[t] = replace(tensors[t], data=scaled, buffer=0)
