"""`collect_ranges` with quantcore's own kernels: ranges, threads, and what is wrong with data."""

from __future__ import annotations

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import Percentile, collect_ranges
from quantcore.calibration.inplace import overwritten_inputs
from quantcore.calibration.intermediates import with_intermediates
from quantcore.calibration.measured_plan import MeasuredMemory, MeasuredPlan
from quantcore.calibration.methods import make_tracker, narrow
from quantcore.calibration.observation import observed_tensors
from quantcore.errors import QuantizationError
from quantcore.graph import Model, Operator, Subgraph, Tensor
from quantcore.numerics import CALIBRATION

FLT_MIN = float(np.finfo(np.float32).tiny)


def unary_chain(*ops: str) -> Model:
    """Return a float model of operators without options, one after the other."""
    tensors = [Tensor(f"t{i}", (1, 4), "float32") for i in range(len(ops) + 1)]
    operators = [Operator(op, 1, (i,), (i + 1,)) for i, op in enumerate(ops)]
    return Model([Subgraph("main", tensors, operators, (0,), (len(ops),))])


def residual() -> Model:
    """Return ``tanh(x) + relu(x)``, then LOGISTIC."""
    tensors = [Tensor(name, (1, 4), "float32") for name in ("x", "tanh", "relu", "sum", "y")]
    operators = [
        Operator("TANH", 1, (0,), (1,)),
        Operator("RELU", 1, (0,), (2,)),
        Operator("ADD", 1, (1, 2), (3,), {"fused_activation_function": "NONE", "pot_scale_int16": True}),
        Operator("LOGISTIC", 1, (3,), (4,)),
    ]
    return Model([Subgraph("main", tensors, operators, (0,), (4,))])


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((20, 1, 4)).astype(np.float32)


def ends(ranges: qc.calibration.Ranges) -> dict[int, tuple[float, float]]:
    return {t: (r.rmin, r.rmax) for t, r in ranges.items()}


def test_ranges_are_those_of_every_tensor_that_run_all_returns(samples: np.ndarray) -> None:
    model = residual()
    found = collect_ranges(model, samples)
    interpreter = qc.Interpreter(model)
    runs = [interpreter.run_all(x) for x in samples]
    assert list(found) == [0, 1, 2, 3, 4]
    for t, r in found.items():
        values = np.stack([run[t] for run in runs])
        assert (r.rmin, r.rmax) == (values.min(), values.max()) == (r.seen_min, r.seen_max)
        assert (r.name, r.samples, r.method) == (model.subgraphs[0].tensors[t].name, 20, "min_max")


def test_real_models_match_run_all(model_path) -> None:
    model = qc.load(model_path)
    if "float" not in model_path.stem:
        with pytest.raises(QuantizationError, match="quantized already"):
            collect_ranges(model, [])
        return
    data = qc.samples.random_samples(model, 0, 3, 1)
    found = collect_ranges(model, data, num_threads=2)
    model = with_intermediates(model)
    main = model.subgraphs[0]
    inside = {t for op in main.operators for t in op.intermediates}
    if any(tensor.is_variable for tensor in main.tensors):
        data = data[:1]
        found = collect_ranges(model, data)
    runs = [qc.Interpreter(model).run_all(x) for x in data]
    for t, r in found.items():
        if not main.tensors[t].is_variable and t not in inside:
            values = np.stack([run[t] for run in runs])
            ends = values.min(), values.max()
            # sums of products that are rounded, or not: other last bits
            np.testing.assert_allclose((r.rmin, r.rmax), ends, rtol=0, atol=2e-6 * (ends[1] - ends[0]))


def test_real_models_are_measured_whole(model_path) -> None:
    model = qc.load(model_path)
    if "float" not in model_path.stem:
        return
    (sample,) = qc.samples.random_samples(model, 0, 1, 1)
    tensors = observed_tensors(model.subgraphs[0])
    counted = {t: Percentile() for t in tensors if not model.subgraphs[0].tensors[t].is_variable}
    memory = MeasuredMemory(MeasuredPlan(model, sample, tensors, counted, True, CALIBRATION))
    memory.run(0, sample)
    seen, states = memory.seen(), memory.counted()
    assert sorted(seen) == tensors
    assert sorted(states) == sorted(counted)
    for t, tracker in counted.items():
        assert seen[t] == (memory.view(t).min(), memory.view(t).max())
        expected = Percentile()
        expected.update(memory.view(t))
        tracker.take(*states[t])
        assert tracker == expected


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_do_not_change_ranges(samples: np.ndarray, threads: int) -> None:
    assert collect_ranges(residual(), samples, num_threads=threads) == collect_ranges(residual(), samples)


def test_converter_ranges_join_overwritten_inputs_with_outputs(samples: np.ndarray) -> None:
    model = residual()
    clean = ends(collect_ranges(model, samples))
    converter = ends(collect_ranges(model, samples, ranges="converter"))
    assert overwritten_inputs(model.subgraphs[0]) == [(1, 3)]
    assert clean[3][1] > clean[1][1]
    assert converter == {**clean, 1: (min(clean[1][0], clean[3][0]), clean[3][1])}


def test_converter_maximum_starts_at_the_smallest_normal() -> None:
    data = np.full((2, 1, 4), -1, np.float32)
    assert ends(collect_ranges(unary_chain("TANH"), data))[0] == (-1, -1)
    assert ends(collect_ranges(unary_chain("TANH"), data, ranges="converter"))[0] == (-1, FLT_MIN)


def test_methods_are_chosen_by_index_and_pattern(samples: np.ndarray) -> None:
    model = residual()
    found = collect_ranges(
        model, samples, methods={"t*": "moving_average", 4: {"method": "moving_average", "momentum": 0.5}}
    )
    assert [found[t].method for t in range(5)] == [
        "min_max",
        "moving_average",
        *["min_max"] * 2,
        "moving_average:momentum=0.5",
    ]
    tracker = qc.calibration.MovingAverage(0.5)
    for x in samples:
        tracker.update(qc.Interpreter(model).run(x))
    assert (found[4].rmin, found[4].rmax) == tracker.range()
    assert found[4].seen_max is not None
    assert found[4].seen_max > found[4].rmax
    assert found[4].clipped is None


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_histograms_are_counted_while_the_model_runs(samples: np.ndarray, threads: int) -> None:
    """By steps of the plan, or from memory that is kept, where another tensor's method needs that."""
    model = residual()
    methods = {4: "percentile:90", 3: "mse:int4", 2: "entropy:bins=2048", 1: "percentile:50"}
    trackers = {t: make_tracker(method) for t, method in methods.items()}
    for x in samples:
        run = qc.Interpreter(model).run_all(x)
        for t, tracker in trackers.items():
            tracker.update(run[t])
    found = collect_ranges(model, samples, methods=methods, num_threads=threads)
    kept = collect_ranges(model, samples, methods={**methods, 0: "moving_average"}, num_threads=threads)
    for t, tracker in trackers.items():
        low, high, clipped = narrow(tracker)
        assert found[t] == kept[t]
        assert (found[t].rmin, found[t].rmax, found[t].clipped) == (low, high, clipped)
        assert (found[t].seen_min, found[t].seen_max) == (tracker.seen_min, tracker.seen_max)
    assert [found[t].method for t in (4, 3, 2)] == [
        "percentile:percentile=90",
        "mse:dtype=int4",
        "entropy:bins=2048",
    ]
    assert found[4].clipped == pytest.approx(0.1, abs=0.05)
    assert qc.calibration.Ranges.from_json(found.to_json()) == found


def test_a_known_tensor_has_a_histogram(samples: np.ndarray) -> None:
    """A tensor that does not depend on the inputs has no step, and one sample of the same values per run."""
    tensors = [Tensor(name, (1, 4), "float32") for name in ("x", "c", "tanh", "y")]
    tensors[1].data = np.array([[-3, 0, 1, 2]], np.float32)
    operators = [
        Operator("TANH", 1, (1,), (2,)),
        Operator("ADD", 1, (0, 2), (3,), {"fused_activation_function": "NONE", "pot_scale_int16": True}),
    ]
    model = Model([Subgraph("main", tensors, operators, (0,), (3,))])
    found = collect_ranges(model, samples, method="percentile:60", num_threads=2)
    tracker = make_tracker("percentile:60")
    tracker.update(np.tile(np.tanh(tensors[1].data), len(samples)))
    assert (found[2].rmin, found[2].rmax) == pytest.approx(tracker.range())
    assert found[2].clipped == pytest.approx(narrow(tracker)[2])


@pytest.mark.parametrize("text", ["moving_average:0.5", "moving_average:momentum=0.5"])
def test_methods_as_text(samples: np.ndarray, text: str) -> None:
    method = {"method": "moving_average", "momentum": 0.5}
    assert collect_ranges(residual(), samples, method=text) == collect_ranges(
        residual(), samples, method=method
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "moving_average:"}, "such as 'moving_average:0.99' or 'moving_average:momentum="),
        ({"method": "moving_average:fast"}, "momentum is 'fast', which is no number"),
        ({"method": "moving_average:0.5,0.6"}, "'0.6' has no name"),
        ({"method": "moving_average:speed=1"}, "does not take"),
        ({"method": "moving_average:1.5"}, "1.5"),
        ({"method": "max_min:3"}, "unknown; known: min_max"),
        ({"method": "max_min"}, "unknown; known: min_max"),
        ({"methods": {"nothing": "min_max"}}, "no calibrated tensor is called 'nothing'"),
        ({"methods": {99: "min_max"}}, "no calibrated tensor is called 99"),
        ({"method": {"method": "moving_average", "speed": 1}}, "does not take"),
        ({"method": "moving_average", "ranges": "converter"}, "must be 'min_max'"),
        ({"engine": "torch"}, "expected one of"),
        ({"ranges": "dirty"}, "expected one of clean, converter"),
        ({"num_threads": 0}, "at least 1"),
    ],
)
def test_wrong_arguments(samples: np.ndarray, arguments: dict, message: str) -> None:
    with pytest.raises(QuantizationError, match=message):
        collect_ranges(residual(), samples, **arguments)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(samples: np.ndarray, bad: float, threads: int) -> None:
    data = samples.copy()
    data[7, 0, 2] = data[9, 0, 2] = bad
    with pytest.raises(
        QuantizationError, match=r"sample 7: tensor 0 \('x'\), an input .* 1 of 4 .* \(0, 2\)"
    ):
        collect_ranges(residual(), data, num_threads=threads)


@pytest.mark.parametrize("method", ["min_max", "percentile", "moving_average"])
def test_the_operator_that_made_an_infinity_is_named(method: str) -> None:
    data = np.ones((5, 1, 4), np.float32)
    data[3, 0, 1] = 100
    with pytest.raises(
        QuantizationError, match=r"sample 3: tensor 2 \('t2'\), written by operator 1 \(EXP\): 1 of 4"
    ):
        collect_ranges(unary_chain("ABS", "EXP", "TANH"), data, method=method)


def test_advance_counts_the_samples(samples: np.ndarray) -> None:
    steps: list[int] = []
    collect_ranges(residual(), samples, advance=steps.append)
    assert sum(steps) == 20


def test_the_model_is_resized_to_the_first_sample(samples: np.ndarray) -> None:
    model = residual()
    batches = list(samples.reshape(5, 4, 4))
    assert ends(collect_ranges(model, iter(batches))) == ends(collect_ranges(model, samples))
