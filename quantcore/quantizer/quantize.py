"""`quantize_model`: from a float model to a quantized one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from quantcore.calibration.collect import RANGES
from quantcore.calibration.dataset import Sample, read_samples
from quantcore.calibration.ranges import Ranges
from quantcore.graph import Model
from quantcore.quantizer.account import Account
from quantcore.quantizer.bias_correction import correct_biases as corrected_model
from quantcore.quantizer.checks import check_dataset, check_improvements
from quantcore.quantizer.equalization import equalize as equalized_model
from quantcore.quantizer.recipe import RecipeSource
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.source import FloatModel, load_float_model
from quantcore.quantizer.steps import (
    Advance,
    Plan,
    RangesSource,
    apply,
    check_ranges_source,
    find_ranges,
    given_ranges,
    plan,
)
from quantcore.quantizer.trained import has_trained_ranges

__all__ = ["corrected", "equalized", "quantize_model"]


def quantize_model(
    float_model: FloatModel,
    representative_dataset: Any = None,
    mode: str = "int8",
    io: str | None = None,
    *,
    engine: str = "quantcore",
    ranges: RangesSource = "clean",
    method: str = "min_max",
    recipe: RecipeSource | None = None,
    allow_float: bool = False,
    per_channel: bool = True,
    per_channel_dense: bool = True,
    weight_bits: int = 8,
    equalize: bool = False,
    correct_biases: bool = False,
    num_threads: int | None = None,
    advance: Advance | None = None,
    account: Account | None = None,
) -> Model:
    """Quantize a float model by the decisions of TensorFlow Lite's converter.

    Parameters
    ----------
    float_model : Model, path, bytes-like or Keras model
        A float ``.tflite``; or, through TensorFlow's conversion to one, a ``.keras`` or ``.h5`` file, a
        SavedModel folder, or a Keras model.
    representative_dataset : callable, iterable, ndarray, mapping or path, optional
        Samples of real inputs, see `quantcore.calibration.collect_ranges`. The modes int8 and int16x8 need
        it, unless `ranges` holds what was found before. A model with trained ranges (fake quantization) is
        quantized by these, in the mode int8, and takes neither dataset nor ranges.
    mode : {"int8", "int16x8", "dynamic", "float16"}
        int8 activations and weights; int16 activations and int8 weights; int8 weights and float activations;
        float16 weights.
    io : {"float32", "int8", "uint8", "int16"}, optional
        Dtype of inputs and outputs. By default that of the activations; see `quantcore.quantizer.settings`
        for what each mode has.
    engine : {"quantcore", "tflite"}
        Who runs the float model. ``tflite`` runs it as the converter does, for its scales to the last bit,
        and needs the extra ``oracle``.
    ranges : {"clean", "converter"}, Ranges, or path
        ``clean``: each tensor has the range of its own values. ``converter``: as the converter records them,
        where an operator that overwrites its input adds the range of its output. Or ranges that were found
        before, or the path of a ``.json`` file of them.
    method : str
        How ranges follow from values, such as ``min_max`` or ``percentile:99.99``.
    recipe : Recipe, mapping or path, optional
        Operators that stay float or run in 16x8, and other methods for some tensors; see
        docs/quantization/recipes.md.
    allow_float : bool
        Leave operators in float that have no quantized form. Otherwise a model that has such is refused with
        the list of them; but for mode int8 with `io` float32, which is no request for integers only.
    per_channel, per_channel_dense : bool
        One scale per channel of the weights, where TensorFlow Lite has that; of FULLY_CONNECTED.
    weight_bits : {8, 4}
        Mode int8: bits of the weights of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED.
    equalize, correct_biases : bool
        Better than the converter: scale channels between layers, see `quantcore.quantizer.equalization`, and
        take back in the biases what rounding weights shifts, see `quantcore.quantizer.bias_correction`. Both
        need the dataset, which is kept.
    num_threads : int, optional
        Threads of the calibration by the engine ``quantcore``, whose ranges do not depend on it; default: one
        per CPU.
    advance : callable, optional
        Called with the number of samples that have been seen since the last call.
    account : Account, optional
        An empty one, to be filled with the rule that fixed each tensor's parameters, and the operators that
        stay float.

    Returns
    -------
    Model
        A new one; `float_model` is not changed. `quantcore.save` writes it. The same arguments give the same
        bytes.

    Raises
    ------
    QuantizationError
        Options that do not fit together, a model that is quantized already, operators that would stay float,
        samples that do not fit the model or lead to NaN or infinity; with what is wrong and where.
    ModelFormatError, UnsupportedOperatorError
        The model cannot be read, or the engine ``quantcore`` cannot run it.
    OracleError
        TensorFlow is needed (for the conversion, or the engine ``tflite``) and failed or is not installed.

    Examples
    --------
    >>> model = qc.quantize_model("float.tflite", images, io="int8")      # doctest: +SKIP
    >>> qc.save(model, "int8.tflite")                                     # doctest: +SKIP
    """
    settings = Settings(mode, io or "", allow_float, per_channel, per_channel_dense, weight_bits=weight_bits)
    found = ranges if isinstance(ranges, Ranges) or ranges not in RANGES else None
    if found is not None:
        check_ranges_source(found)
    if equalize or correct_biases:
        check_improvements(settings, representative_dataset is not None, found is not None)
    model = load_float_model(float_model)
    trained = has_trained_ranges(model)
    check_dataset(settings, representative_dataset is not None, found is not None, trained)
    planned = plan(model, settings, recipe)
    if equalize or correct_biases:
        representative_dataset = list(read_samples(planned.model, representative_dataset))
    if equalize:
        planned, _ = equalized(planned, representative_dataset)
    measured = None
    if found is not None:
        measured = given_ranges(planned, found)
    elif settings.static and not trained:
        measured = find_ranges(
            planned,
            representative_dataset,
            engine=engine,
            ranges=str(ranges),
            method=method,
            num_threads=num_threads,
            advance=advance,
        )
    if correct_biases:
        planned, _ = corrected(planned, measured, representative_dataset)
    return apply(planned, measured, account)


def equalized(planned: Plan, samples: list[Sample]) -> tuple[Plan, int]:
    """Return the plan for the equalized model, and how many pairs of layers were; before calibration.

    Activations are equalized where weights have a scale per channel, otherwise weights.
    """
    found = equalized_model(planned.model, samples if planned.settings.per_channel else None)
    return replace(planned, model=found.model), len(found.pairs)


def corrected(planned: Plan, ranges: Ranges | None, samples: list[Sample]) -> tuple[Plan, int]:
    """Return the plan for the model with corrected biases, and how many were; after calibration."""
    found = corrected_model(planned.model, ranges, samples, planned.settings)
    return replace(planned, model=found.model), len(found.shifts)
