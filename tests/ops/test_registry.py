"""What holds for every operator of the registry: in each form and profile it computes what the oracle does.

Rows of the registry get these tests by being there; `tests.ops.examples` has the models.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantcore import verify
from quantcore.errors import OracleRefused, QuantcoreError, UnsupportedOperatorError
from quantcore.graph import Model, Operator
from quantcore.numerics import PROFILES, Profile
from quantcore.ops.node import Definition
from quantcore.ops.registry import load_operators
from quantcore.quantizer.versions import needed_version
from quantcore.runtime import Interpreter
from quantcore.verification.result import CLOSE, EXACT
from quantcore.verification.rules import make_node
from tests.ops.examples import EXAMPLES, example, forms, inputs_of
from tests.ops.harness import get_oracle, run_ours, with_shapes

DEFINITIONS = load_operators()
FORMS = [(op, form) for op in sorted(DEFINITIONS) for form in forms(DEFINITIONS[op])]

# What we run and the oracle does not: nobody has confirmed it. Operator, profile and form ("" for all)
UNCONFIRMED = {
    ("CEIL", "reference", ""): "BUILTIN_REF lacks the operator; computed as in the optimized kernels",
    ("ELU", "reference", ""): "BUILTIN_REF lacks the operator; computed as in the optimized kernels",
    ("ROUND", "reference", ""): "BUILTIN_REF lacks the operator; computed as in the optimized kernels",
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", "reference", "int16"): "only TFLite Micro has it; by its rules",
    ("STABLEHLO_COMPOSITE", "tflm", ""): "its subgraph is run in place; TFLite Micro lacks the operator",
    **{(op, "tflm", form): "TFLite Micro takes float32 and int8; the rule names the output, not the input"
       for op in ("ARG_MAX", "ARG_MIN") for form in ("uint8", "int32", "bool")},
    **{(op, profile, form): "copies elements of any size; TFLite lists dtypes, and not this one"
       for op, form in (("PACK", "bool"), ("SPLIT", "bool"), ("SPLIT_V", "bool"), ("UNPACK", "int64"))
       for profile in ("reference", "optimized", "xnnpack")},
}  # fmt: skip
# What the registry lists and we refuse
REFUSED = {("SUM", "reference", "int16"): "the oracle reads and writes half of the data, as bytes"}


def listed(definition: Definition, form: str, profile: Profile) -> bool:
    """Return whether the registry says that the profile has the form."""
    if definition.expand is not None:
        return True
    if profile.default is not None:
        return not {form, "any"}.isdisjoint(definition.dtypes)
    dtype, _, variant = form.partition(" ")
    return profile.rule(definition.rules, dtype, variant=variant) is not None


def refusal(model: Model, numerics: str) -> str:
    """Return why a profile does not run the model; empty where it does."""
    try:
        Interpreter(model, numerics).allocate_tensors()
    except UnsupportedOperatorError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("op", sorted(DEFINITIONS))
def test_there_is_an_example_of_each_form(op: str) -> None:
    for form in forms(DEFINITIONS[op]):
        try:
            model = example(op, form)
            refused = {numerics: refusal(model, numerics) for numerics in PROFILES}
            assert not all(refused.values()), f"no profile runs it: {refused}"
        except Exception as error:
            where = "its row in" if op in EXAMPLES else "a row for it in"
            raise AssertionError(
                f"the example of {op} in the form {form!r} does not run: {error}\nIf the operator is right, "
                f"write {where} EXAMPLES of tests/ops/examples.py, a function that returns a model of it "
                "with operands that it takes"
            ) from error


@pytest.mark.oracle
@pytest.mark.parametrize("numerics", PROFILES)
@pytest.mark.parametrize(("op", "form"), FORMS)
def test_as_the_oracle(op: str, form: str, numerics: str) -> None:
    """What runs is compared as `verify` does it: in bits, or in ULPs where the backend defines no bits."""
    model = example(op, form)
    if refused := refusal(model, numerics):
        assert not listed(DEFINITIONS[op], form, PROFILES[numerics]) or (op, numerics, form) in REFUSED, (
            f"the registry lists the form for {numerics}, but its example is refused: {refused}"
        )
        return
    given = inputs_of(op, model)
    first = [values[0] for values in given]
    if not {(op, numerics, form), (op, numerics, "")}.isdisjoint(UNCONFIRMED):
        with pytest.raises(OracleRefused):  # or its row in the table above can go
            get_oracle(numerics).run(with_shapes(model, first), first)
        return
    if numerics in ("xnnpack", "tflm"):
        model = with_shapes(model, first)
    row = DEFINITIONS[op].rules.get(numerics, {}).get(form)
    node = make_node(model, 0, len(model.subgraphs[0].operators) - 1, {}, numerics)
    assert row is None or node.rule == row, "the example goes by another row of the registry"
    before = [values.copy() for values in given]
    result = verify(model, given, numerics=numerics, oracle=get_oracle(numerics))
    compared = [*result.operators, *(row for row in result.end_to_end if row.subgraph == 0)]
    assert compared
    assert not [row for row in compared if row.status not in (EXACT, CLOSE)]
    assert all(np.array_equal(a, b) for a, b in zip(before, given, strict=True)), "inputs were written to"


def edited(model: Model, **changes: object) -> Model:
    """Return the model with another last operator."""
    main = model.subgraphs[0]
    operators = [*main.operators[:-1], replace(main.operators[-1], **changes)]  # type: ignore[arg-type]
    return replace(model, subgraphs=[replace(main, operators=operators), *model.subgraphs[1:]])


def last(model: Model) -> Operator:
    return model.subgraphs[0].operators[-1]


@pytest.mark.parametrize("op", sorted(DEFINITIONS))
def test_a_version_that_nobody_read_is_refused(op: str) -> None:
    model = example(op, forms(DEFINITIONS[op])[0])
    newer = DEFINITIONS[op].max_version + 1
    with pytest.raises(UnsupportedOperatorError, match=f"version {newer} is not implemented"):
        Interpreter(edited(model, version=newer)).allocate_tensors()


@pytest.mark.parametrize("op", sorted(DEFINITIONS))
def test_operands_that_are_missing_do_not_crash(op: str) -> None:
    """Each operand left out by its place, and the last ones by their number: refused, or optional."""
    model = example(op, forms(DEFINITIONS[op])[0])
    given = [values[0] for values in inputs_of(op, model)]
    inputs, outputs = last(model).inputs, last(model).outputs
    damaged = [edited(model, inputs=(*inputs[:k], -1, *inputs[k + 1 :])) for k in range(len(inputs))]
    damaged += [edited(model, inputs=inputs[:k]) for k in range(len(inputs))]
    damaged += [edited(model, outputs=outputs[:k]) for k in range(len(outputs))]
    refused = 0
    for changed in damaged:
        try:
            run_ours(changed, given)
        except QuantcoreError:
            refused += 1
    assert refused


@pytest.mark.oracle
@pytest.mark.parametrize("op", sorted(name for name, d in DEFINITIONS.items() if d.registered))
def test_versions_that_the_resolver_does_not_register(op: str) -> None:
    """Its kernels compute them: `verify` gives it the file with the version that it registers."""
    limit = DEFINITIONS[op].registered["BUILTIN_REF"]
    later = []
    for form in forms(DEFINITIONS[op]):
        model = example(op, form)
        newer = needed_version(model.subgraphs[0], len(model.subgraphs[0].operators) - 1)
        if newer > limit:
            later.append(edited(model, version=newer))
    for model in later:
        first = [values[0] for values in inputs_of(op, model)]
        with pytest.raises(OracleRefused, match=f"'{op}' version"):
            get_oracle().run(with_shapes(model, first), first)
        assert verify(model, samples=2, oracle=get_oracle()).bit_exact
    assert later or op == "DEPTHWISE_CONV_2D"  # of which tests/quantizer/test_four_bits.py has one
