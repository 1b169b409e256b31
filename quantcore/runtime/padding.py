"""PAD as part of the convolutions behind it.

Where an image of 8 or 16 bits is padded with its zero point, a convolution without padding computes the same
sums from the image itself, with explicit padding: a place outside adds nothing to a sum of integers. Sums of
floats would differ, since 0 * infinity is not 0, and 0.0 + -0.0 is not -0.0.
"""

from __future__ import annotations

from collections.abc import Collection

from quantcore.graph import Subgraph
from quantcore.ops.node import ImagePadding, Node
from quantcore.ops.registry import load_operators

__all__ = ["fusible_pads", "padding_of_image"]


def fusible_pads(subgraph: Subgraph, whole: Collection[int] = ()) -> Collection[int]:
    """Return the operators that pad, and whose output nothing but convolutions without padding read.

    The operators `whole` stay as they are.
    """
    definitions, uses = load_operators(), subgraph.uses()
    return {
        index
        for index, op in enumerate(subgraph.operators)
        if index not in whole
        and op.name in definitions
        and definitions[op.name].zero_padding is not None
        and not set(op.outputs) & {*subgraph.outputs}
        and all(
            use[0] not in whole and _takes(subgraph, *use)
            for t in op.outputs
            for use in uses.get(t, [(index, 0)])
        )
    }


def _takes(subgraph: Subgraph, index: int, position: int) -> bool:
    op = subgraph.operators[index]
    definition = load_operators().get(op.name)
    plain = position == 0 and op.options.get("padding") == "VALID"
    return (
        plain and definition is not None and definition.takes_padding and op.inputs.count(op.inputs[0]) == 1
    )


def padding_of_image(node: Node) -> ImagePadding | None:
    """Return what a lowered operator adds to an image, above and below, left and right; None for others."""
    x, y = node.input(0), node.output
    if node.definition is None or node.definition.zero_padding is None or x.value is not None:
        return None
    rows = node.definition.zero_padding(node)
    if rows is None or len(rows) != 4 or rows[0] != (0, 0) or rows[3] != (0, 0) or 0 in x.shape:
        return None
    return (rows[1], rows[2]) if y.dtype in ("int8", "uint8", "int16") and y.quantized else None
