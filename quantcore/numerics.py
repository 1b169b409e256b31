"""Numerics profiles: which backend's rounding quantcore reproduces, as data.

The same model gives different integers on different runtimes because they round differently. A
profile names, per operator and dtype, the requantization rule, the product that forms the real
multiplier, and the few other points in which the backend differs. The heavy code is shared:
accumulation is exact, the rule is applied in the store.

The profiles stand here; their rules stand with the operators (``rules=`` in `quantcore.ops`), and
``docs/operators.md`` shows them profile by profile. A profile other than ``reference`` runs only operators
that have a rule for it: others are refused, never computed by a rule that nobody has confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from quantcore.errors import QuantcoreError

__all__ = ["CALIBRATION", "PROFILES", "Profile", "Rule", "Rules", "get_profile", "split_keys"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How an accumulator becomes an output.

    Attributes
    ----------
    rounding : str
        Requantization rule by name, see ``csrc/include/quantcore/requantize.h``.
    product : str
        How the real multiplier ``s_input * s_filter / s_output`` is formed: ``double`` (every step in
        float64), ``float_product`` (the product of the two input scales rounded to float32, the
        division in float64; with a scale per channel as ``double``) or ``float32`` (both steps in float32).
    form : str
        Which of several arithmetics an operator uses, where they differ in more than the requantization;
        the operator's page lists them. Empty for the reference form. ``fused`` is for float sums of products
        that are not rounded. ``summed`` and ``approximate`` mark
        float operators whose bits the backend does not define: it adds in an order of its own, or
        approximates a function. Those are verified in ULPs.
    block : int
        Width of the backend's vector body, in channels or in elements of the flat output (the operator's
        page says which); 0 where all elements are treated alike.
    tail : str
        Requantization rule of what is left after the last full block.
    bounds : str
        How the bounds of a fused activation are rounded: ``tflite`` or ``xnnpack``.
    """

    rounding: str = "double_rounding"
    product: str = "double"
    form: str = ""
    block: int = 0
    tail: str = "double_rounding"
    bounds: str = "tflite"

    def body(self, length: int) -> int | None:
        """Return how many of `length` elements are in full blocks; None where all are treated alike."""
        return length // self.block * self.block if self.block else None


# How the profiles compute an operator: rules by the name of the profile, then by the dtype of the output. A
# key may name several dtypes, ``int8, uint8``; ``any`` stands for all without a row. Operators that convert
# are listed by both dtypes, ``int8_to_float32``. A variant that is computed by a rule of its own is named
# behind the dtype, ``int8 grouped``.
Rules = Mapping[str, Mapping[str, Rule]]


def split_keys(rules: Rules) -> dict[str, dict[str, Rule]]:
    """Return the rules of an operator with one dtype in each key.

    Raises
    ------
    ValueError
        If a profile has two rules for a dtype.
    """
    found: dict[str, dict[str, Rule]] = {}
    for profile, rows in rules.items():
        pairs = [(dtype, rule) for dtypes, rule in rows.items() for dtype in dtypes.split(", ")]
        found[profile] = dict(pairs)
        if len(found[profile]) < len(pairs):
            raise ValueError(f"the profile {profile!r} has two rules for a dtype: {', '.join(rows)}")
    return found


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of rules, bit-exact with one backend. The rules stand with the operators that they are for.

    Attributes
    ----------
    name : str
    description : str
    resolver : str
        Member of ``tf.lite.experimental.OpResolverType`` that selects the backend in the oracle.
    confirmed_on : dict of str to str
        Oracle package and the version on which the tests last confirmed the profile.
    default : Rule or None
        Rule where an operator has none for the profile; None to refuse it.
    package : str or None
        Oracle package, where only one will do.
    fallback : str or None
        For a delegate: the profile that computes what the delegate declines.
    base : str or None
        The profile whose rules hold where an operator has none for this one.
    """

    name: str
    description: str
    resolver: str
    confirmed_on: dict[str, str]
    default: Rule | None = None
    package: str | None = None
    fallback: str | None = None
    base: str | None = None

    @property
    def micro(self) -> bool:
        """Whether the backend is TensorFlow Lite Micro."""
        return self.package == "tflite_micro"

    def rule(self, rules: Rules, dtype: str, *, variant: str = "", delegated: bool = False) -> Rule | None:
        """Return which of an operator's `rules` holds for outputs of `dtype`; None where there is none.

        Parameters
        ----------
        rules : dict
            One dtype in each key, see `split_keys`.
        dtype : str
        variant : str
            The kind of the operator, which may have a row of its own.
        delegated : bool
            The profile's delegate takes the operator.
        """
        if self.fallback is not None and not delegated:
            return PROFILES[self.fallback].rule(rules, dtype, variant=variant)
        own = rules.get(self.name, {})
        for key in (f"{dtype} {variant}", dtype, "any"):
            if key in own:
                return own[key]
        if self.base is not None:
            return PROFILES[self.base].rule(rules, dtype, variant=variant)
        return self.default


FLOAT32_QUOTIENT = Rule(product="float32")
FLOAT_PRODUCT = Rule(product="float_product")
# Of int16 activations with int64 sums
INT16_MULTIPLIER = Rule("int16_multiplier")
# XNNPACK's, for integer sums
FLOAT32_STORE = Rule("float32", "float32", bounds="xnnpack")
# Float sums in an order that depends on the CPU: not exact
SUMMED = Rule(form="summed")
# XNNPACK approximates these float functions as the CPU's instructions allow: not exact
APPROXIMATE = Rule(form="approximate")
# XNNPACK multiplies by ratios of scales in fixed point with 8 fractional bits
FIXED8 = Rule("single_rounding", "float32", form="fixed8")


PROFILES: dict[str, Profile] = {
    "reference": Profile(
        name="reference",
        description="TensorFlow Lite's reference kernels",
        resolver="BUILTIN_REF",
        confirmed_on={"tensorflow": "2.21.0"},
        default=Rule(),
    ),
    "optimized": Profile(
        name="optimized",
        description="TensorFlow Lite's optimized kernels without delegates (ruy), x86",
        resolver="BUILTIN_WITHOUT_DEFAULT_DELEGATES",
        confirmed_on={"tensorflow": "2.21.0"},
    ),
    "xnnpack": Profile(
        name="xnnpack",
        description="TensorFlow Lite's default: XNNPACK, and optimized kernels for what it declines, x86",
        resolver="AUTO",
        confirmed_on={"tensorflow": "2.21.0"},
        fallback="optimized",
    ),
    "tflm": Profile(
        name="tflm",
        description="TensorFlow Lite Micro's reference kernels; CMSIS-NN requantizes alike",
        resolver="TFLM",
        confirmed_on={"tflite-micro": "0.dev20261023182759"},
        package="tflite_micro",
    ),
}

# Of calibration alone: the reference kernels, but for float sums. No two float engines share their last bits,
# and they are twice as fast where products are added unrounded.
CALIBRATION = replace(
    PROFILES["reference"],
    name="calibration",
    description="float activations for calibration",
    base="reference",
)


def get_profile(name: str) -> Profile:
    """Return the profile called `name`.

    Raises
    ------
    QuantcoreError
        If there is no such profile; the message lists the known ones.
    """
    try:
        return PROFILES[name]
    except KeyError:
        known = ", ".join(PROFILES)
        raise QuantcoreError(f"unknown numerics profile {name!r}; known: {known}") from None
