"""Products requantized in registers, of drawn shapes: the bits of the definition by every instruction set."""

from __future__ import annotations

import mmap

import numpy as np
import pytest
from quantcore.kernels._core import Requant
from quantcore.kernels._fully_connected import fully_connected_call

from quantcore.kernels.sum_bound import sum_bound
from tests.kernels.drawn_products import Product, convolutions, fully_connecteds
from tests.kernels.guarded import Guarded
from tests.ops.harness import instruction_sets, using


def compare(product: Product) -> None:
    """Run the product with every instruction set."""

    def run(isa: str) -> np.ndarray:
        output = np.full(product.output_shape, 77, product.inputs[0].dtype)
        with using(isa):
            call = product.make()
        call(product.inputs, [output])
        return output

    expected = run("scalar")
    for isa in instruction_sets()[1:]:
        np.testing.assert_array_equal(run(isa), expected, err_msg=f"{isa}: {product.what}")


def test_convolutions_of_drawn_shapes() -> None:
    for product in convolutions(150):
        compare(product)


def test_fully_connected_of_drawn_shapes() -> None:
    for product in fully_connecteds(100):
        compare(product)


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="needs mprotect")
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_single_rows_with_one_multiplier_for_all_units(dtype: str) -> None:
    """All numbers of blocks of 16 units and of bytes beyond whole quads, with a bias and without."""
    guarded, rng, info = Guarded(), np.random.default_rng(2), np.iinfo(dtype)
    rules = ("double_rounding", "ruy", "float32", "float64")
    for number, units in enumerate([1, 15, 16, 17, 32, 40, 48, 63, 64, 65, 100, 112, 128, 200]):
        depth, filter_offset = int(rng.integers(1, 40)), int(rng.integers(2)) * int(rng.integers(-128, 128))
        x, w = (
            guarded(rng.integers(info.min, info.max, shape, dtype, endpoint=True))
            for shape in ((1, depth), (units, depth))
        )
        offsets = {"input_offset": int(rng.integers(-128, 128)), "filter_offset": filter_offset}
        bias = None if number % 3 == 0 else guarded(rng.integers(-9000, 9000, units).astype(np.int32))
        bound = sum_bound(dtype, w, bias, axis=0, **offsets)
        store = {"multiplier": 1518500250, "shift": -8, "real_multiplier": 0.0028}
        results = []
        for isa in instruction_sets():
            with using(isa):
                rule = Requant(
                    rules[number % 4],
                    **store,
                    output_offset=3,
                    activation_min=info.min,
                    activation_max=info.max,
                )
                size = {"batches": 1, "depth": depth, "units": units}
                call = fully_connected_call(dtype, filter=w, **size, **offsets, requant=rule, sum_bound=bound)
            results.append(guarded(np.zeros((1, units), dtype)))
            call([x, w, bias], [results[-1]])
            np.testing.assert_array_equal(
                results[-1], results[0], err_msg=f"{isa}: {units} units, {depth} deep"
            )
