"""What is refused before any work is done."""

from __future__ import annotations

from quantcore.errors import QuantizationError
from quantcore.graph import Model, Operator, Subgraph, Tensor
from quantcore.ops.shared.quantization_rule import QuantizationRule
from quantcore.quantizer.float_graph import rule_of
from quantcore.quantizer.settings import STATIC, Settings

__all__ = ["check_dataset", "check_float_model", "check_improvements", "check_operators", "check_trained"]

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
    conversions = {op.outputs[0] for op in main.operators if settings.trained and op.op == "QUANTIZE"}
    quantized = [t for t, tensor in enumerate(main.tensors) if is_quantized(tensor) and t not in conversions]
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


def check_operators(model: Model) -> None:
    """Refuse operators that no engine could run, and that the passes would stumble over.

    Ranges may be given, and some modes need none: then nothing has run the model before.

    Raises
    ------
    QuantizationError
        An operator lacks an operand, has weights or a bias of a wrong shape, or reads what is computed later.
    """
    for graph in model.subgraphs:
        producers = graph.producers()
        for i, op in enumerate(graph.operators):
            late = [t for t in op.inputs if producers.get(t, -1) >= i]
            fault = f"it reads tensor {late[0]}, which is computed later" if late else ""
            fault = fault or operand_fault(graph, op, rule_of(op))
            if fault:
                raise QuantizationError(f"{model.source}: operator {i} ({op.name}): {fault}")


def operand_fault(graph: Subgraph, op: Operator, rule: QuantizationRule) -> str:
    """Return what is wrong with the weights and the bias of an operator; empty if nothing is."""
    needed = () if rule.dynamic_weights_together else (*(rule.bias or ())[1:], *rule.dynamic_weights)
    for position in needed:
        if position >= len(op.inputs) or op.inputs[position] < 0:
            return f"input {position} is missing"
    if rule.bias is None:
        return ""
    position, _, source = rule.bias
    shape, axis = graph.tensors[op.inputs[source]].shape, rule.weights.get(source)
    if axis is None:
        return ""
    if axis >= len(shape):
        return f"its weights have shape {shape}; expected channels along axis {axis}"
    present = position < len(op.inputs) and op.inputs[position] >= 0
    bias = graph.tensors[op.inputs[position]] if present else None
    if bias is not None and bias.data is not None and bias.data.size != shape[axis]:
        return f"its bias has shape {bias.shape}; expected one value for each of {shape[axis]} channels"
    return ""


def check_trained(model: Model, settings: Settings) -> None:
    """Refuse to quantize a quantization-aware model in another mode than int8.

    Raises
    ------
    QuantizationError
    """
    if settings.mode != "int8":
        raise QuantizationError(
            f"{model.source} has trained ranges (QUANTIZE and DEQUANTIZE between float tensors), which are "
            f"for mode 'int8'; mode {settings.mode!r} needs the model without fake quantization"
        )
    if settings.weight_bits != 8:
        raise QuantizationError(
            f"{model.source} has trained ranges: its weights have the bits that they were trained with; "
            "leave weight_bits out"
        )


def check_dataset(settings: Settings, has_dataset: bool, has_ranges: bool, trained: bool = False) -> None:
    """Refuse a representative dataset that is missing, or that nothing is measured on.

    Parameters
    ----------
    settings : Settings
    has_dataset, has_ranges : bool
        What is given.
    trained : bool
        Whether the model brings its ranges.

    Raises
    ------
    QuantizationError
    """
    if trained:  # in another mode than int8 the model is refused
        if settings.mode == "int8" and (has_dataset or has_ranges):
            what = "a representative dataset" if has_dataset else "ranges"
            raise QuantizationError(
                f"the model has trained ranges, and {what} would give it others; leave that out, or quantize "
                "the model without fake quantization"
            )
    elif not settings.static:
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


def check_improvements(settings: Settings, has_dataset: bool, has_ranges: bool) -> None:
    """Refuse to improve what no data shows, or what the given ranges do not belong to.

    Raises
    ------
    QuantizationError
    """
    if not settings.static:
        raise QuantizationError(
            f"mode {settings.mode!r} has no improvements: equalization, bias correction and the search "
            "are for int8 and int16x8"
        )
    if has_ranges or not has_dataset:
        raise QuantizationError(
            "equalization, bias correction and the search look at the values of the model; give a "
            "representative dataset, and no saved ranges"
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
