"""Ranges as JSON: every float32 comes back, people can edit the file, and what is wrong is named."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantcore.calibration import Ranges, TensorRange
from quantcore.errors import QuantizationError
from quantcore.graph import Model, Subgraph, Tensor

float32s = st.floats(width=32, allow_nan=False, allow_infinity=False)
known = st.none() | float32s
entries = st.builds(
    lambda name, ends, samples, method, low, high, clipped: TensorRange(
        name, min(ends), max(ends), samples, method, low, high, clipped
    ),
    st.text(st.characters(exclude_categories=["Cs"])), st.tuples(float32s, float32s), st.integers(0, 10**9),
    st.sampled_from(["min_max", "given", "percentile:99.9"]), known, known, st.none() | st.floats(0, 1),
)  # fmt: skip

LINE = '{"index": 7, "name": "scores", "rmin": 0.0, "rmax": 6.0}'


def document(*lines, head='"format": "quantcore ranges", "version": 1'):
    return f'{{{head}, "tensors": [{", ".join(lines)}]}}'


def changed(**fields):
    return json.dumps({"index": 7, "name": "scores", "rmin": 0.0, "rmax": 6.0} | fields)


@given(st.dictionaries(st.integers(0, 10**6), entries, max_size=4))
def test_everything_comes_back(given_ranges):
    ranges = Ranges(given_ranges)
    text = ranges.to_json()
    back = Ranges.from_json(text)
    assert back == ranges
    assert back.to_json() == text
    for index, found in ranges.items():
        assert np.signbit(back[index].rmin) == np.signbit(found.rmin)


def test_one_line_per_tensor_in_the_order_of_indices(tmp_path):
    third = float(np.float32(1 / 3))
    ranges = Ranges()
    ranges[9] = TensorRange("output", 0.0, 6.0, 10, "mse", -0.5, third, 0.25)
    ranges[0] = TensorRange("ïnput", -third, 1.0)
    ranges.save(tmp_path / "r.json")
    assert (tmp_path / "r.json").read_text(encoding="utf-8").splitlines() == [
        "{",
        '  "format": "quantcore ranges",',
        '  "version": 1,',
        '  "tensors": [',
        '    {"index": 0, "name": "ïnput", "rmin": -0.33333334, "rmax": 1.0, "samples": 0, '
        '"method": "given"},',
        '    {"index": 9, "name": "output", "rmin": 0.0, "rmax": 6.0, "samples": 10, "method": "mse", '
        '"seen_min": -0.5, "seen_max": 0.33333334, "clipped": 0.25}',
        "  ]",
        "}",
    ]
    assert Ranges.load(tmp_path / "r.json") == ranges
    assert Ranges.from_json(Ranges().to_json()) == {}


def test_numbers_entered_by_hand_become_float32():
    found = Ranges.from_json(document(changed(rmin=-1, rmax=0.1)))[7]
    assert found == TensorRange("scores", -1.0, float(np.float32(0.1)))
    assert type(found.rmin) is float


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON.*line 1"),
        ("[" * 100_000, "no JSON"),
        (document(changed().replace("6.0", "9" * 5000)), "no JSON"),
        ('{"format": "quantcore ranges"\n "version": 1}', "line 2"),
        ("[]", "holds no ranges"),
        (document(head='"format": "ranges", "version": 1'), "holds no ranges"),
        (document(head='"format": "quantcore ranges", "version": 2'), "version 2"),
        ('{"format": "quantcore ranges", "version": 1}', 'no list "tensors"'),
        (document("3"), r"tensors\[0\]: 3; expected an object"),
        (document(LINE, LINE), r"tensors\[1\] \(index 7, name 'scores'\): index 7 is also that of 'scores'"),
        (document('{"index": 7, "rmin": 0.0, "rmax": 6.0}'), r"\(index 7\): name is missing; known"),
        (document(changed(max=3)), "'max' is no field; known fields are index, name, rmin"),
        (document(LINE.replace('"rmax"', '"rmin"')), '"rmin" occurs twice'),
        (document(changed(index="7")), "index is '7'; expected an integer"),
        (document(changed(index=-1)), "index is -1"),
        (document(changed(index=True)), "index is True"),
        (document(changed(samples=1.5)), "samples is 1.5"),
        (document(changed(name=None)), "name is None; expected a string"),
        (document(changed(method=1)), "method is 1; expected a string"),
        (document(changed(rmin=float("nan"))), "rmin is nan; expected a finite number"),
        (document(changed(rmax=float("inf"))), "rmax is inf"),
        (document(changed(rmax=1e39)), "rmax is 1e.39"),
        (document(changed(rmax=10**400)), "rmax is 1000"),
        (document(changed(rmax=None)), "rmax is None"),
        (document(changed(seen_min="a")), "seen_min is 'a'"),
        (document(changed(rmin=7)), "rmin 7 is above rmax 6.0"),
        (document(changed(clipped=1.5)), "clipped is 1.5; expected a share"),
    ],
)
def test_what_is_refused(text, words, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(QuantizationError, match=words) as caught:
        Ranges.load(path)
    assert str(path) in str(caught.value)


def test_what_cannot_be_loaded_is_not_saved(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("as before", encoding="utf-8")
    for low, high in ((np.nan, 1.0), (2.0, 1.0), (0.0, 1e39)):
        with pytest.raises(QuantizationError, match=r"tensors\[0\]"):
            Ranges({3: TensorRange("x", low, high)}).save(path)
    assert path.read_text(encoding="utf-8") == "as before"
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(QuantizationError, match="no text in UTF-8"):
        Ranges.load(tmp_path / "binary")
    with pytest.raises(FileNotFoundError):
        Ranges.load(tmp_path / "missing")


def test_ranges_belong_to_a_model():
    tensors = [
        Tensor("x", (1, 4), "float32"),
        Tensor("w", (4, 4), "float32", data=np.zeros((4, 4), np.float32)),
        Tensor("i", (1,), "int32"),
    ]
    model = Model([Subgraph("main", tensors, [], (0,), (2,))], source="net.tflite")
    Ranges({0: TensorRange("x", 0.0, 1.0)}).check(model)
    for index, name, words in (
        (3, "y", "tensor 3 .'y'., but the model has 3 tensors"),
        (0, "y", "tensor 0 is 'y' in the ranges and 'x' in the model"),
        (1, "w", "tensor 1 .'w'. is a constant"),
        (2, "i", "tensor 2 .'i'. is int32"),
    ):
        with pytest.raises(QuantizationError, match=f"net.tflite: {words}"):
            Ranges({index: TensorRange(name, 0.0, 1.0)}).check(model)
    with pytest.raises(QuantizationError, match="and 1 more"):
        Ranges({1: TensorRange("w", 0.0, 1.0), 2: TensorRange("i", 0.0, 1.0)}).check(model)
