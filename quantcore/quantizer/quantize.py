"""`quantize_model`: from a float model to a quantized one, in three steps.

`plan` checks everything that can be checked before data is looked at; `find_ranges` calibrates; `apply` runs
the passes of the mode. The command line takes the same three steps.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from quantcore.calibration import Ranges, collect_ranges
from quantcore.calibration.dataset import read_samples
from quantcore.calibration.intermediates import with_intermediates
from quantcore.calibration.methods import Method
from quantcore.errors import QuantizationError
from quantcore.graph import Model
from quantcore.quantizer.account import Account
from quantcore.quantizer.checks import STATIC, check_dataset, check_float_model, check_operators
from quantcore.quantizer.finish import finish
from quantcore.quantizer.recipe import RecipeSource, read_recipe
from quantcore.quantizer.refusal import refuse_float, refuse_int16, without_form
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.source import FloatModel, load_float_model

__all__ = ["RANGES", "Plan", "apply", "find_ranges", "plan", "quantize_model"]

RANGES = ("clean", "converter")  # ways to calibrate; anything else is ranges that were found before
Advance = Callable[[int], None]
RangesSource = str | os.PathLike[str] | Ranges


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, before data is looked at.

    Attributes
    ----------
    model : Model
        The float model.
    settings : Settings
    methods : dict of int to method
        Calibration methods by tensor, where a recipe asks for another than the usual one.
    """

    model: Model
    settings: Settings
    methods: dict[int | str, Method] = field(default_factory=dict)

    @property
    def static(self) -> bool:
        """Whether the mode needs the ranges of activations."""
        return self.settings.mode in STATIC


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
        it, unless `ranges` holds what was found before.
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
    from quantcore.quantizer import improve  # here, since it takes the steps below

    settings = Settings(mode, io or "", allow_float, per_channel, per_channel_dense)
    found = ranges if isinstance(ranges, Ranges) or ranges not in RANGES else None
    if found is not None:
        check_ranges_source(found)
    if equalize or correct_biases:
        improve.check_improvements(settings, representative_dataset is not None, found is not None)
    check_dataset(settings, representative_dataset is not None, found is not None)
    planned = plan(load_float_model(float_model), settings, recipe)
    if equalize or correct_biases:
        representative_dataset = list(read_samples(planned.model, representative_dataset))
    if equalize:
        planned, _ = improve.equalized(planned, representative_dataset)
    measured = None
    if found is not None:
        measured = given_ranges(planned, found)
    elif planned.static:
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
        planned, _ = improve.corrected(planned, measured, representative_dataset)
    return apply(planned, measured, account)


def plan(model: Model, settings: Settings, recipe: RecipeSource | None = None) -> Plan:
    """Check a float model against what is asked, as far as no data is needed.

    Parameters
    ----------
    model : Model
    settings : Settings
        `float_operators` and `int16_operators` come on top of those that the recipe chooses.
    recipe : Recipe, mapping or path, optional

    Raises
    ------
    QuantizationError
        The model is quantized already, the recipe does not fit it or its mode, operators would stay float, or
        have no form in 16x8, and are to run in it.
    """
    check_float_model(model, settings)
    check_operators(model)
    methods: dict[int | str, Method] = {}
    if recipe is not None:
        choices = read_recipe(recipe).choices(model)
        methods = choices.methods
        settings = replace(
            settings,
            float_operators=settings.float_operators | choices.float_operators,
            int16_operators=settings.int16_operators | choices.int16_operators,
        )
    planned = Plan(model, settings, methods)
    if planned.static:
        planned = replace(planned, model=with_intermediates(model))
    if methods and not planned.static:
        raise QuantizationError(
            f"the recipe chooses calibration methods; mode {settings.mode!r} does not calibrate"
        )
    if planned.static:
        refuse_int16(model, settings)
        refuse_float(model, settings, without_form(model, settings))
    return planned


def find_ranges(
    planned: Plan,
    dataset: Any,
    *,
    engine: str = "quantcore",
    ranges: str = "clean",
    method: str = "min_max",
    num_threads: int | None = None,
    advance: Advance | None = None,
) -> Ranges:
    """Calibrate the model of a plan; see `quantize_model`."""
    return collect_ranges(
        planned.model,
        dataset,
        engine=engine,
        ranges=ranges,
        method=method,
        methods=planned.methods,
        num_threads=num_threads,
        advance=advance,
    )


def given_ranges(planned: Plan, source: RangesSource) -> Ranges:
    """Return ranges that were found before, checked against the model of a plan."""
    if planned.methods:
        raise QuantizationError("the recipe chooses calibration methods, but the ranges are given")
    check_ranges_source(source)
    ranges = source if isinstance(source, Ranges) else Ranges.load(source)
    ranges.check(planned.model)
    return ranges


def check_ranges_source(source: RangesSource) -> None:
    """Refuse what is neither ranges nor a file; a misspelt way to calibrate, mostly."""
    if not isinstance(source, Ranges) and not Path(source).exists():
        known = ", ".join(RANGES)
        raise QuantizationError(f"ranges is {os.fspath(source)!r}; expected {known}, or a file of ranges")


def apply(planned: Plan, ranges: Ranges | None, account: Account | None = None) -> Model:
    """Quantize the model of a plan.

    Raises
    ------
    QuantizationError
        A tensor has no usable range, operators would stay float, or have no form in 16x8 that they need.
    """
    refuse_int16(planned.model, planned.settings)
    account = Account() if account is None else account
    passes = import_module(f"quantcore.quantizer.{planned.settings.mode}")
    draft = passes.quantize(planned.model, ranges, planned.settings, account)
    if planned.static:
        refuse_float(planned.model, planned.settings, account.kept_float)
    return finish(draft, planned.settings, account)
