"""The three steps of quantization, of the library and of the command line alike.

`plan` checks everything that can be checked before data is looked at; `find_ranges` calibrates; `apply` runs
the passes of the mode.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from quantcore.calibration.collect import RANGES, collect_ranges
from quantcore.calibration.intermediates import with_intermediates
from quantcore.calibration.methods import Method
from quantcore.calibration.ranges import Ranges
from quantcore.errors import QuantizationError
from quantcore.graph import Model
from quantcore.quantizer.account import Account
from quantcore.quantizer.checks import check_float_model, check_operators, check_trained
from quantcore.quantizer.finish import finish
from quantcore.quantizer.recipe import RecipeSource, read_recipe
from quantcore.quantizer.refusal import refuse_float, refuse_int16, without_form
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.trained import has_trained_ranges, take_ranges

__all__ = ["Plan", "RangesSource", "apply", "check_ranges_source", "find_ranges", "given_ranges", "plan"]

Advance = Callable[[int], None]
RangesSource = str | os.PathLike[str] | Ranges


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, before data is looked at.

    Attributes
    ----------
    model : Model
        The float model; where the mode needs ranges, with tensors for values inside of operators.
    settings : Settings
    methods : dict of int to method
        Calibration methods by tensor, where a recipe asks for another than the usual one.

    Raises
    ------
    QuantizationError
        Operators are to run in 16x8 that are not there, or have no such form.
    """

    model: Model
    settings: Settings
    methods: dict[int | str, Method] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_int16(self.model, self.settings)
        if self.settings.static and not self.settings.trained:
            object.__setattr__(self, "model", with_intermediates(self.model))


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
    if has_trained_ranges(model):
        check_trained(model, settings)
        trained = take_ranges(model)
        model, settings = trained.model, replace(settings, trained=trained.params)
    check_float_model(model, settings)
    check_operators(model)
    methods: dict[int | str, Method] = {}
    if recipe is not None:
        choices = read_recipe(recipe).choices(model)
        methods = choices.methods
        if settings.trained and (methods or choices.int16_operators or choices.weight_bits):
            raise QuantizationError(
                f"{model.source} has trained ranges: a recipe can leave its operators in float; it can "
                "choose no calibration, 16x8 or weight_bits"
            )
        settings = replace(
            settings,
            float_operators=settings.float_operators | choices.float_operators,
            int16_operators=settings.int16_operators | choices.int16_operators,
            operator_weight_bits={**settings.operator_weight_bits, **choices.weight_bits},
        )
    if methods and not settings.static:
        raise QuantizationError(
            f"the recipe chooses calibration methods; mode {settings.mode!r} does not calibrate"
        )
    planned = Plan(model, settings, methods)
    if settings.static:
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
        A tensor has no usable range, or operators would stay float.
    """
    settings = planned.settings
    if settings.static and ranges is None and not settings.trained:
        raise QuantizationError(
            f"mode {settings.mode!r} needs the ranges of activations; calibrate the model first"
        )
    account = Account() if account is None else account
    passes = import_module(f"quantcore.quantizer.{settings.mode}")
    draft = passes.quantize(planned.model, ranges or Ranges(), settings, account)
    if settings.static:
        refuse_float(planned.model, settings, account.kept_float)
    return finish(draft, settings, account)
