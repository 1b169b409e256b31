"""What is refused before any work is done."""

from __future__ import annotations

from quantcore.errors import QuantizationError
from quantcore.graph import Model, Subgraph, Tensor
from quantcore.quantizer.settings import Settings

__all__ = ["STATIC", "check_dataset", "check_float_model"]

STATIC = ("int8", "int16x8")  # modes that need the ranges of activations
FEW = 5  # how many of a long list an error names


def check_float_model(model: Model, settings: Settings) -> None:
    """Refuse a model that is quantized already, or has nothing to quantize.

    The mode int8 takes a model of the mode dynamic, whose only quantized tensors are int8 weights, and keeps
    these, as TensorFlow's quantizer does. Its quantizer for int16x8 refuses such a model, and so do we.

    Raises
    ------
    QuantizationError
        Naming the tensors.
    """
    main = model.subgraphs[0]
    quantized = [t for t, tensor in enumerate(main.tensors) if is_quantized(tensor)]
    hybrid = all(is_int8_weight(main.tensors[t]) for t in quantized)
    if quantized and not (hybrid and settings.mode == "int8"):
        kind = "has int8 weights already" if hybrid else "is quantized already"
        raise QuantizationError(
            f"{model.source} {kind}: {named(main, quantized)}; mode {settings.mode!r} needs a float model"
        )
    halves = [t for t, tensor in enumerate(main.tensors) if tensor.is_constant and tensor.dtype == "float16"]
    if halves:
        raise QuantizationError(
            f"{model.source} has float16 weights already: {named(main, halves)}; quantize the float32 model"
        )
    if not any(tensor.dtype == "float32" for tensor in main.tensors):
        raise QuantizationError(f"{model.source} has no float32 tensors: there is nothing to quantize")


def check_dataset(settings: Settings, has_dataset: bool, has_ranges: bool) -> None:
    """Refuse a representative dataset that is missing, or that nothing is measured on.

    Raises
    ------
    QuantizationError
    """
    if settings.mode not in STATIC:
        if has_dataset or has_ranges:
            what = "representative dataset" if has_dataset else "ranges"
            raise QuantizationError(
                f"mode {settings.mode!r} quantizes weights only and takes no {what}; leave it out, or choose "
                f"one of {', '.join(STATIC)}"
            )
    elif has_dataset and has_ranges:
        raise QuantizationError("got ranges and a representative dataset to find them on; give one of them")
    elif not has_dataset and not has_ranges:
        raise QuantizationError(
            f"mode {settings.mode!r} needs the ranges of activations; give a representative dataset (some "
            "samples of real inputs), or ranges that were saved"
        )


def is_quantized(tensor: Tensor) -> bool:
    """Whether a tensor holds quantized numbers; blockwise ones have their scales in a tensor of their own."""
    blockwise = tensor.quantization is not None and tensor.quantization.details_type is not None
    return (tensor.is_quantized or blockwise) and tensor.dtype != "float32"


def is_int8_weight(tensor: Tensor) -> bool:
    """Whether a tensor is a quantized constant as the mode dynamic makes them: int8 and symmetric."""
    quantization = tensor.quantization
    symmetric = quantization is not None and quantization.scale.size > 0 and not quantization.zero_point.any()
    return tensor.is_constant and tensor.dtype == "int8" and symmetric


def named(graph: Subgraph, tensors: list[int]) -> str:
    """Return tensors with names and dtypes, as far as a line holds them."""
    listed = [f"tensor {t} {graph.tensors[t].name!r} ({graph.tensors[t].dtype})" for t in tensors[:FEW]]
    if len(tensors) > FEW:
        listed.append(f"and {len(tensors) - FEW} more")
    return ", ".join(listed)
