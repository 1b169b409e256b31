"""TFLite_Detection_PostProcess, a custom operator of TensorFlow Lite."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from quantcore.kernels import detection as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node, Operand
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import check_operands, per_tensor

LARGEST = np.iinfo(np.int32).max
PER_CLASS = 100  # where the option detections_per_class is missing


class Options:
    """The operator's options: a FlexBuffer map, in which what is missing is 0."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.values: dict[str, Any] = {}
        try:
            root = flexbuffers.Loads(node.op.custom_options or b"")
        except Exception as error:  # the parser has no error of its own for a damaged buffer
            raise node.refuse(f"its options are no FlexBuffer: {error}") from None
        if not isinstance(root, dict):
            raise node.refuse(f"its options are a FlexBuffer {type(root).__name__}; expected a map")
        self.values = root

    def number(self, name: str, default: float = 0) -> float:
        """Return the number called `name`."""
        value = self.values.get(name)
        value = default if value is None else value
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise self.node.refuse(f"the option {name} is {value!r}; expected a number")
        return value

    def single(self, name: str) -> np.float32:
        """Return the number called `name`, rounded to float32."""
        with np.errstate(over="ignore"):
            return np.float32(self.number(name))

    def integer(self, name: str, low: int, default: int = 0) -> int:
        """Return the integer called `name`, which must be at least `low`."""
        value = int(self.number(name, default))
        if not low <= value <= LARGEST:
            raise self.node.refuse(f"the option {name} is {value}; expected {low} to {LARGEST}")
        return value


def parameters(node: Node, operand: Operand) -> tuple[float, int]:
    """Return scale and zero point of a uint8 input; 0 for float32."""
    if operand.dtype == "float32":
        return 0.0, 0
    if operand.dtype != "uint8" or node.rule.form == "micro":
        raise node.refuse(
            f"tensor {operand.index} is {operand.dtype}; expected float32, or uint8 in TensorFlow Lite"
        )
    per_tensor(node, operand)
    return float(operand.scale), operand.zero_point


@operator(
    "CUSTOM:TFLite_Detection_PostProcess",
    dtypes=("float32",),
    max_version=1,
    page="detection_postprocess",
    rules={"optimized": {"float32": Rule()}, "tflm": {"float32": Rule(form="micro")}},
)
def lower_detection(node: Node) -> KernelCall:
    """Lower TFLite_Detection_PostProcess; all outputs are float32."""
    check_operands(node, 3, 4)
    encodings, scores, anchors = (node.input(i) for i in range(3))
    if any(y.dtype != "float32" for y in node.outputs):
        raise node.refuse(f"outputs are {[y.dtype for y in node.outputs]}; expected float32")
    if encodings.dtype != anchors.dtype:
        raise node.refuse(f"boxes are {encodings.dtype}, anchors {anchors.dtype}; expected one dtype")
    options = Options(node)
    classes = options.integer("num_classes", 1)
    boxes = encodings.shape[1] if len(encodings.shape) == 3 else -1
    if len(encodings.shape) != 3 or encodings.shape[0] != 1 or encodings.shape[2] < 4:
        raise node.refuse(f"boxes have shape {encodings.shape}; expected (1, boxes, 4 or more)")
    if scores.shape not in ((1, boxes, classes), (1, boxes, classes + 1)):
        raise node.refuse(
            f"scores have shape {scores.shape}; expected (1, {boxes}, {classes}), or one class more"
        )
    if anchors.shape != (boxes, 4):
        raise node.refuse(f"anchors have shape {anchors.shape}; expected ({boxes}, 4)")
    most = options.integer("max_detections", 0)
    listed = options.integer("max_classes_per_detection", 1)
    overlap = options.single("nms_iou_threshold")
    if not 0 < overlap <= 1:
        raise node.refuse(f"the option nms_iou_threshold is {overlap}; expected a number above 0, at most 1")
    regular = bool(options.number("use_regular_nms"))
    micro = node.rule.form == "micro"
    if micro and listed > 1 and not regular:
        raise node.refuse(
            "lists several classes of a box, which TFLite Micro writes past the end of its outputs"
        )
    if max(most * listed, boxes * scores.shape[2], boxes + most + classes) > LARGEST // 16:
        raise node.refuse(f"lists {most} times {listed} detections of {boxes} boxes; expected fewer")
    places = most * listed
    for y, shape in zip(node.outputs, ((1, places, 4), (1, places), (1, places), (1,)), strict=True):
        y.shape = shape
    return kernels.detection_call(
        encodings=parameters(node, encodings),
        scores=parameters(node, scores),
        anchors=parameters(node, anchors),
        boxes=boxes,
        encoding=encodings.shape[2],
        classes=classes,
        columns=scores.shape[2],
        max_detections=most,
        max_classes=listed,
        per_class=options.integer("detections_per_class", 1, PER_CLASS),
        regular=regular,
        not_empty=micro,
        score_threshold=options.single("nms_score_threshold"),
        iou_threshold=overlap,
        scale=[options.single(f"{name}_scale") for name in "yxhw"],
    )
