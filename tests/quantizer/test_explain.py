"""The account of a quantized model, measured on samples."""

from __future__ import annotations

import numpy as np

from quantcore.quantizer.account import Account
from quantcore.quantizer.explain import explain
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import apply, find_ranges, plan
from tests.ops.harness import Op, graph_model, tensor


def test_inputs_without_a_batch() -> None:
    """Each sample has one of them, which is no batch of one."""
    tensors = {name: tensor(shape, "float32") for name, shape in {"x": (1, 3), "k": (), "y": (1, 3)}.items()}
    planned = plan(graph_model(tensors, [Op("MUL", ["x", "k"], ["y"])], ["x", "k"], ["y"]), Settings())
    samples = [[np.float32([[1, -2, 3]]) * k, np.float32(k)] for k in (1, 2, 3)]
    ranges, account = find_ranges(planned, samples), Account()
    rows = explain(planned, apply(planned, ranges, account), ranges, account, samples)
    assert {row.name: row.range_max for row in rows} == {"x": 9, "k": 3, "y": 27}
    assert all(row.sqnr_db is not None and row.sqnr_db > 20 for row in rows)
