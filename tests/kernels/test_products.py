"""Products requantized in registers, of drawn shapes: the bits of the definition by every instruction set."""

from __future__ import annotations

import numpy as np

from tests.kernels.drawn_products import Product, convolutions, fully_connecteds
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
