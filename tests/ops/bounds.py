"""Float operators whose bits a backend does not define, compared within the bounds that verification has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantcore.graph import Model
from quantcore.runtime import Interpreter
from quantcore.verification.floats import allowances
from tests.ops.harness import (
    assert_same_bits,
    get_oracle,
    invoke_ours,
    kernels_of,
    lower_instruction_sets,
    run_ours,
    using,
    with_shapes,
)

SMALLEST_LOSS = 1e-40  # of subnormal products, for which the bounds do not allow


def check_within_bounds(
    model: Model, inputs: Sequence[np.ndarray], numerics: str, *, rtol: float | None = None, atol: float = 0.0
) -> list[np.ndarray]:
    """Run one sample through both engines, assert that they differ by no more than allowed.

    Where every bit is defined, as for what a delegate declines, all must agree. The bounds are those of the
    worst case; `rtol` and `atol`, as of NumPy, are for data far from it. Returns the oracle's outputs.
    """
    model = with_shapes(model, inputs)
    expected, ours = get_oracle(numerics).run(model, inputs), same_in_every_version(model, inputs, numerics)
    values = dict(zip(model.subgraphs[0].inputs, inputs, strict=True))
    allowed = allowances(model, 0, 0, values, ours, numerics)
    for k, (a, b) in enumerate(zip(ours, expected, strict=True)):
        if allowed is None:
            assert_same_bits(a, b, f"{numerics}: output {k}")
            continue
        assert (a.dtype, a.shape) == (b.dtype, b.shape), f"{numerics}: output {k}"
        excess = np.abs(a.astype(np.float64) - b) - allowed[1][k]
        assert excess.max(initial=0) <= SMALLEST_LOSS, f"{numerics}: output {k}, beyond by {excess.max()}"
        if rtol is not None:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
    return expected


def same_in_every_version(model: Model, inputs: Sequence[np.ndarray], numerics: str) -> list[np.ndarray]:
    """Return our outputs, asserted to have the same bits in every version of the kernels."""
    interpreter = Interpreter(model, numerics)
    ours = invoke_ours(interpreter, inputs)
    for isa in lower_instruction_sets(kernels_of(interpreter)):
        with using(isa):
            for k, (a, b) in enumerate(zip(run_ours(model, inputs, numerics), ours, strict=True)):
                assert_same_bits(a, b, f"{isa}, {numerics}: output {k}")
    return ours
