"""The forms of a representative dataset, and what is wrong with bad ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantcore.calibration.dataset import read_samples
from quantcore.errors import QuantcoreError, QuantizationError
from quantcore.graph import Model, Operator, Signature, Subgraph, Tensor


def adder(inputs: int) -> Model:
    """Return a model that sums `inputs` inputs of shape (1, 3)."""
    names = [f"in{i}" for i in range(inputs)]
    tensors = [Tensor(name, (1, 3), "float32") for name in (*names, "out")]
    graph = Subgraph(
        "main",
        tensors,
        [Operator("ADD_N", 1, tuple(range(inputs)), (inputs,))],
        tuple(range(inputs)),
        (inputs,),
    )
    signature = Signature("serve", 0, {f"arg{i}": i for i in range(inputs)}, {"out": inputs})
    return Model([graph], signatures=[signature, Signature("other", 1, {}, {})])


class Foreign:
    """An array of another library."""

    def __init__(self, value: np.ndarray) -> None:
        self.value = value

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        return self.value


A = np.arange(12, dtype=np.float32).reshape(4, 3)
B = -A
ROWS = [A[i : i + 1] for i in range(4)]


def check(model: Model, dataset: Any, *columns: np.ndarray) -> None:
    """Check that `dataset` gives the rows of each of `columns`."""
    found = list(read_samples(model, dataset))
    assert len(found) == 4
    for i, sample in enumerate(found):
        assert [x.shape for x in sample] == [(1, 3)] * len(columns)
        for x, column in zip(sample, columns, strict=True):
            np.testing.assert_array_equal(x[0], column[i])
            assert x.flags.c_contiguous


@pytest.mark.parametrize(
    "dataset",
    [
        A,
        Foreign(A),
        [A],
        ROWS,
        [[row] for row in ROWS],
        [A[:2], A[2:]],
        list(A),
        {"in0": A},
        {"arg0": A},
        [{"arg0": row} for row in ROWS],
        [("serve", {"arg0": row}) for row in ROWS],
        [(row,) for row in ROWS],
        (row for row in ROWS),
        ([Foreign(row)] for row in ROWS),
        lambda: ([row] for row in ROWS),
        lambda: A,
        A[:, ::-1][:, ::-1],
    ],
)
def test_forms_for_one_input(dataset: Any) -> None:
    check(adder(1), dataset, A)


@pytest.mark.parametrize(
    "dataset",
    [
        [A, B],
        {"in1": B, "in0": A},
        {"arg1": B, "arg0": A},
        [[a, b] for a, b in zip(A, B, strict=True)],
        [{"in1": b, "in0": a} for a, b in zip(A, B, strict=True)],
        [("serve", {"arg1": b, "arg0": a}) for a, b in zip(A, B, strict=True)],
        lambda: ((a[None], b[None]) for a, b in zip(A, B, strict=True)),
    ],
)
def test_forms_for_two_inputs(dataset: Any) -> None:
    check(adder(2), dataset, A, B)


def test_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", A)
    np.savez(tmp_path / "ab.npz", in1=B, in0=A)
    check(adder(1), tmp_path / "a.npy", A)
    check(adder(2), str(tmp_path / "ab.npz"), A, B)
    with pytest.raises((OSError, QuantcoreError), match="missing"):
        list(read_samples(adder(1), tmp_path / "missing.npz"))


def test_a_generator_is_consumed_one_sample_at_a_time() -> None:
    taken = []

    def samples() -> Iterator[list[np.ndarray]]:
        for i, row in enumerate(ROWS):
            taken.append(i)
            yield [row]

    iterator = read_samples(adder(1), samples)
    next(iterator)
    assert taken == [0]


@pytest.mark.parametrize("empty", [[], A[:0], lambda: iter([]), list, (), {"in0": A[:0]}])
def test_empty(empty: Any) -> None:
    with pytest.raises(QuantizationError, match=r"no samples|got \(0, 3\)"):
        list(read_samples(adder(1), empty))


def failing() -> Iterator[np.ndarray]:
    yield ROWS[0]
    yield ROWS[1]
    raise OSError("disk is gone")


def not_callable() -> None:
    raise RuntimeError("no data")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (failing, "failed at sample 2: OSError: disk is gone"),
        (not_callable, "failed at sample 0: RuntimeError: no data"),
        (3, "dataset is int; expected"),
        (None, "dataset is NoneType; expected"),
        ([ROWS[0], "x"], "sample 1: a sample is str; expected"),
        (iter([[ROWS[0]], 7]), "sample 1: a sample is int; expected"),
        (
            iter([[ROWS[0]], [ROWS[0].astype(np.float64)]]),
            "sample 1: input 'in0' has dtype float32, got float64",
        ),
        (A.astype(np.float64), "dtype float32, got float64"),
        (iter([[ROWS[0], ROWS[0]]]), "sample 0: the model has 1 inputs, got 2"),
        (iter([{"x": ROWS[0]}]), r"sample 0: the inputs are called \['in0'\], got \['x'\]"),
        ({"x": A}, r"the inputs are called \['in0'\], got \['x'\]"),
        (
            [("nope", {"arg0": ROWS[0]})],
            "sample 0: no signature 'nope' in the model; it has: 'serve', 'other'",
        ),
        ([("other", {})], "sample 0: signature 'other' runs subgraph 1"),
        ([("serve", ROWS[0])], "sample 0: signature 'serve' comes with ndarray"),
        (
            iter([np.zeros((1, 1, 3), np.float32)]),
            r"sample 0: input 'in0' has shape \(1, 3\), got \(1, 1, 3\)",
        ),
        (
            iter([np.zeros((1, 4), np.float32)]),
            r"sample 0: input 'in0' has shape \(1, 3\), got \(1, 4\); only",
        ),
        (iter([np.zeros((0, 3), np.float32)]), r"sample 0: input 'in0' has shape \(1, 3\), got \(0, 3\)"),
        (iter([ROWS[0], A]), r"sample 1: input 'in0' has shape \(4, 3\), in sample 0 it has \(1, 3\)"),
        (np.zeros((2, 4), np.float32), r"does not fit the model: input 'in0' has shape \(1, 3\)"),
    ],
)
def test_bad_data(dataset: Any, message: str) -> None:
    with pytest.raises(QuantizationError, match=message):
        list(read_samples(adder(1), dataset))


def test_dimensions_that_the_model_marks_as_unknown_may_differ() -> None:
    model = adder(1)
    model.subgraphs[0].tensors[0].shape_signature = (1, -1)
    sample = np.zeros((2, 7), np.float32)
    assert [x.shape for (x,) in read_samples(model, iter([sample, sample]))] == [(2, 7)] * 2


def test_the_cause_is_chained() -> None:
    with pytest.raises(QuantizationError) as raised:
        list(read_samples(adder(1), failing))
    assert isinstance(raised.value.__cause__, OSError)
