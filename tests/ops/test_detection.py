"""TFLite_Detection_PostProcess against TFLite: what is filled, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers

from quantcore.errors import KernelError, UnsupportedOperatorError
from quantcore.graph import Model, Tensor
from quantcore.runtime import Interpreter
from tests.ops.harness import (
    PROFILES,
    assert_same_bits,
    const,
    get_oracle,
    op_model,
    run_ours,
    run_page,
    tensor,
)

OPTIONS = {
    "max_detections": 10,
    "max_classes_per_detection": 1,
    "nms_score_threshold": 1e-8,
    "nms_iou_threshold": 0.6,
    "num_classes": 3,
    "y_scale": 10.0,
    "x_scale": 10.0,
    "h_scale": 5.0,
    "w_scale": 5.0,
}


def model(inputs: list[Tensor], options: dict[str, Any] | bytes) -> Model:
    outputs = [tensor((), "float32") for _ in range(4)]
    if isinstance(options, dict):
        places = options["max_detections"] * options["max_classes_per_detection"]
        shapes = ((1, places, 4), (1, places), (1, places), (1,))
        outputs = [tensor(shape, "float32") for shape in shapes]
        options = bytes(flexbuffers.Dumps(options))
    code = "TFLite_Detection_PostProcess"
    return op_model("CUSTOM", inputs, outputs, custom_code=code, custom_options=options)


def draw(rng: np.random.Generator, *, levels: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return encodings, scores of so many levels (0: all different) and anchors."""
    boxes, background = int(rng.integers(1, 120)), int(rng.integers(0, 2))
    places = [rng.random((boxes, 2)), rng.uniform(0.05, 0.5, (boxes, 2))]
    anchors = np.concatenate(places, axis=1).astype(np.float32)
    encodings = (rng.standard_normal((1, boxes, rng.choice([4, 7]))) * 2).astype(np.float32)
    scores = rng.random((1, boxes, classes + background)).astype(np.float32)
    if levels:
        scores = (np.floor(scores * levels) / levels).astype(np.float32)
    return encodings, scores, anchors


def filled(options: dict[str, Any], count: int) -> np.ndarray:
    """Return which places TFLite fills."""
    listed = options["max_classes_per_detection"]
    place, column = np.divmod(np.arange(options["max_detections"] * listed), listed)
    if options["use_regular_nms"]:
        return place * listed + column < options["max_detections"]
    return (place < count) & (column < options["num_classes"])


def compare(numerics: str, options: dict[str, Any], inputs: list[Tensor], values: list[np.ndarray]) -> Any:
    built = model(inputs, options)
    expected = get_oracle(numerics).run(built, values)
    ours = run_ours(built, values, numerics)
    assert_same_bits(ours[3], expected[3], "count")
    keep = filled(options, int(expected[3][0]))
    for a, b in zip(ours[:3], expected[:3], strict=True):
        assert_same_bits(a[:, keep], b[:, keep], f"{numerics}: {options}")
    return ours


@pytest.mark.parametrize("numerics", PROFILES)
@pytest.mark.parametrize("regular", [False, True])
def test_float(numerics: str, regular: bool) -> None:
    rng = np.random.default_rng(int(regular))
    page = run_page("detection_postprocess")["detect"]
    for trial in range(24 if numerics in ("reference", "tflm") else 6):
        classes = int(rng.integers(1, 13))
        levels = (0, 6, 40)[trial % 3]
        encodings, scores, anchors = draw(rng, levels=levels, classes=classes)
        options = OPTIONS | {
            "num_classes": classes,
            "max_detections": int(rng.integers(1, 20)),
            "max_classes_per_detection": 1 if numerics == "tflm" else int(rng.integers(1, 6)),
            "nms_score_threshold": float(rng.choice([1e-8, 0.3])),
            "nms_iou_threshold": float(rng.choice([0.3, 0.6, 1.0])),
            "use_regular_nms": regular,
        }
        if trial % 5 == 0:
            options["detections_per_class"] = int(rng.integers(1, 6))
        inputs = [tensor(encodings.shape, "float32"), tensor(scores.shape, "float32"), const(anchors)]
        boxes, names, values, count = compare(numerics, options, inputs, [encodings, scores])
        if levels and not regular and options["max_classes_per_detection"] > 1:
            continue  # equal scores of a box: the page does not have their order
        decoded, found = page(
            encodings[0],
            scores[0],
            anchors,
            classes,
            options["max_detections"],
            min(classes, options["max_classes_per_detection"]),
            (options["nms_score_threshold"], options["nms_iou_threshold"]),
            [options[f"{axis}_scale"] for axis in "yxhw"],
            regular,
            options.get("detections_per_class", 100),
        )
        keep = filled(options, int(count[0]))
        listed = np.array([[box, name] for box, name, _ in found], int).reshape(-1, 2)
        assert np.array_equal(names[0][keep][: len(found)], listed[:, 1])
        assert np.array_equal(values[0][keep][: len(found)], np.array([s for _, _, s in found], np.float32))
        np.testing.assert_allclose(boxes[0][keep][: len(found)], decoded[listed[:, 0]], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("regular", [False, True])
def test_uint8(regular: bool) -> None:
    rng = np.random.default_rng(2)
    for _ in range(8):
        encodings, scores, anchors = (
            rng.integers(0, 256, v.shape).astype(np.uint8) for v in draw(rng, levels=0, classes=5)
        )
        anchors[:, 2:] = np.maximum(anchors[:, 2:], 20)
        parameters = [(0.07, 128), (1 / 256, int(rng.integers(0, 3))), (0.004, int(rng.integers(0, 3)))]
        inputs = [
            tensor(encodings.shape, "uint8", *parameters[0]),
            tensor(scores.shape, "uint8", *parameters[1]),
            const(anchors, *parameters[2]),
        ]
        options = OPTIONS | {"num_classes": 5, "use_regular_nms": regular, "max_classes_per_detection": 2}
        compare("reference", options, inputs, [encodings, scores])


def small(options: dict[str, Any] | bytes, scores: tuple[int, ...] = (1, 5, 4)) -> Model:
    shapes = ((1, 5, 4), scores, (5, 4))
    return model([tensor(shape, "float32") for shape in shapes], options)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"num_classes": 0}, "num_classes"),
        ({"num_classes": 2}, "scores have shape"),
        ({"nms_iou_threshold": 0.0}, "nms_iou_threshold"),
        ({"nms_iou_threshold": 1.5}, "nms_iou_threshold"),
        ({"max_detections": -1}, "max_detections"),
        ({"max_detections": 2**30}, "expected fewer"),
        ({"max_classes_per_detection": 0}, "max_classes_per_detection"),
        ({"use_regular_nms": True, "detections_per_class": 0}, "detections_per_class"),
        ({"y_scale": "ten"}, "y_scale"),
    ],
)
def test_refused_options(change: dict[str, Any], reason: str) -> None:
    encoded = bytes(flexbuffers.Dumps(OPTIONS | change))
    with pytest.raises(UnsupportedOperatorError, match=reason):
        Interpreter(small(encoded)).allocate_tensors()


def test_damaged_options() -> None:
    good = bytes(flexbuffers.Dumps(OPTIONS))
    rng = np.random.default_rng(3)
    for data in [b"", b"\x00", b"\xff" * 40, good[:-3], bytes(flexbuffers.Dumps([1, 2]))]:
        with pytest.raises(UnsupportedOperatorError):
            Interpreter(small(data)).allocate_tensors()
    for _ in range(200):  # anything but a crash
        data = bytearray(good)
        data[rng.integers(len(data))] = rng.integers(256)
        try:
            Interpreter(small(bytes(data))).allocate_tensors()
        except UnsupportedOperatorError:
            continue


def test_an_inverted_box_is_an_error() -> None:
    values = [
        np.zeros((1, 5, 4), np.float32),
        np.zeros((1, 5, 4), np.float32),
        np.full((5, 4), -1, np.float32),
    ]
    with pytest.raises(KernelError, match="out of range"):
        run_ours(small(OPTIONS), values)


def test_what_tflite_micro_does_wrong_is_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="past the end"):
        Interpreter(small(OPTIONS | {"max_classes_per_detection": 2}), "tflm").allocate_tensors()


def test_another_custom_operator_is_not_implemented() -> None:
    other = op_model("CUSTOM", [tensor((1,), "float32")], [tensor((), "float32")], custom_code="ADD")
    with pytest.raises(UnsupportedOperatorError, match="custom operator 'ADD' is not implemented"):
        Interpreter(other).allocate_tensors()
