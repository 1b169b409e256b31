"""One operator run alone: shapes that the file does not have, integers that say shapes."""

from __future__ import annotations

import numpy as np

from quantcore.comparison.runs import OperatorRun
from quantcore.graph import Model
from tests.ops.harness import Op, const, graph_model, tensor


def padded() -> Model:
    """Return a model of any height whose paddings are computed, so that its stored shapes are worthless."""
    tensors = {
        "x": tensor((1, 1, 4, 1), "float32"),
        "p": tensor((4, 2), "int32"),
        "q": tensor((4, 2), "int32"),
        "twice": const(np.int32([2])),
        "padded": tensor((1, 1, 1, 1), "float32"),
        "blocks": tensor((1, 1, 1, 1), "float32"),
        "block": const(np.int32([2, 2])),
        "none": const(np.zeros((2, 2), np.int32)),
    }
    operators = [
        Op("MUL", ("p", "twice"), ("q",)),
        Op("PAD", ("x", "q"), ("padded",)),
        Op("SPACE_TO_BATCH_ND", ("padded", "block", "none"), ("blocks",)),
    ]
    return graph_model(tensors, operators, ["x", "p"], ["blocks"])


def test_actual_shapes_and_new_paddings() -> None:
    model, x = padded(), np.arange(8, dtype=np.float32).reshape(1, 2, 4, 1)
    pad, blocks = OperatorRun(model, 1), OperatorRun(model, 2)
    for margin in (0, 2, 2, 4):
        paddings = np.zeros((4, 2), np.int32)
        paddings[1] = margin
        values = {0: x, 2: paddings}
        found = pad.run(values.__getitem__)[4]
        np.testing.assert_array_equal(found, np.pad(x, paddings))
        assert blocks.run({4: found}.__getitem__)[5].shape == (4, 1 + margin, 2, 1)
