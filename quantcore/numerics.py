"""Numerics profiles: which backend's rounding quantcore reproduces, as data.

The same model gives different integers on different runtimes because they round differently. A
profile names, per operator and dtype, the requantization rule, the product that forms the real
multiplier, and the few other points in which the backend differs. The heavy code is shared:
accumulation is exact, the rule is applied in the store.

A profile other than ``reference`` runs only what its table names: an operator without a row is refused,
never computed by a rule that nobody has confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from quantcore.errors import QuantcoreError

__all__ = ["PROFILES", "Profile", "Rule", "get_profile", "rows"]


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


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of rules, bit-exact with one backend.

    Attributes
    ----------
    name : str
    description : str
    resolver : str
        Member of ``tf.lite.experimental.OpResolverType`` that selects the backend in the oracle.
    confirmed_on : dict of str to str
        Oracle package and the version on which the tests last confirmed the profile.
    default : Rule or None
        Rule of operators without a row; None to refuse them.
    rules : dict
        ``(operator, dtype of the output)`` to `Rule`; the dtype ``any`` stands for all without a row.
        Operators that convert are listed by both dtypes, ``int8_to_float32``.
        A variant that is computed by a rule of its own is named behind the dtype: ``int8 grouped``.
    package : str or None
        Oracle package, where only one will do.
    fallback : str or None
        For a delegate: the profile that computes what the delegate declines.
    """

    name: str
    description: str
    resolver: str
    confirmed_on: dict[str, str]
    default: Rule | None = None
    rules: dict[tuple[str, str], Rule] = field(default_factory=dict)
    package: str | None = None
    fallback: str | None = None

    def rule(self, op: str, dtype: str, *, variant: str = "", delegated: bool = False) -> Rule | None:
        """Return the rule of operator `op` for outputs of `dtype`; None where the profile has none.

        `variant` names a kind of the operator that may have a row of its own. `delegated` says that the
        profile's delegate takes the operator.
        """
        if self.fallback is not None and not delegated:
            return PROFILES[self.fallback].rule(op, dtype, variant=variant)
        rows = (self.rules.get((op, key)) for key in (f"{dtype} {variant}", dtype, "any"))
        return next((row for row in rows if row is not None), self.default)


# Operators that move data without computing on it: alike in all of TensorFlow Lite's backends.
MOVEMENT = {
    (op, "any"): Rule()
    for op in (
        "CONCATENATION", "EXPAND_DIMS", "GATHER", "PACK", "PAD", "PADV2", "RESHAPE", "SHAPE", "SLICE",
        "SPLIT", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE", "UNPACK",
    )
}  # fmt: skip


def rows(dtypes: str, *operators: str, rule: Rule = Rule()) -> dict[tuple[str, str], Rule]:
    """Return the same row for several operators and output dtypes (one string, separated by blanks)."""
    return {(op, dtype): rule for op in operators for dtype in dtypes.split()}


COMPARISONS = (
    "EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR",
    "NOT_EQUAL",
)  # fmt: skip
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

RELUS = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")

# Conversions, by both dtypes
TO_8_BITS = "float32_to_int8 float32_to_uint8"
FROM_8_BITS = "int8_to_float32 uint8_to_float32"
BETWEEN_8_BITS = "int8_to_int8 int8_to_uint8 uint8_to_int8 uint8_to_uint8"
BETWEEN_WIDE = "int16_to_int8 int16_to_int16 int16_to_int32 int32_to_int8 int32_to_int16"
TFLM_CASTS = ("bool", "int8", "int16", "int32", "uint32", "float32")

PROFILES: dict[str, Profile] = {
    "reference": Profile(
        name="reference",
        description="TensorFlow Lite's reference kernels",
        resolver="BUILTIN_REF",
        confirmed_on={"tensorflow": "2.21.0"},
        default=Rule(),
        rules={
            **rows("int8 int16", "BATCH_MATMUL", rule=FLOAT_PRODUCT),
            **rows("int16", "CONV_2D", "DEPTHWISE_CONV_2D", rule=INT16_MULTIPLIER),
            ("CONV_2D", "int16 int32_bias"): Rule(),
            ("CONV_2D", "int16 int32_bias_grouped"): Rule(),
            ("CONV_2D", "uint8"): Rule("double_rounding", "float_product"),
            ("DEPTHWISE_CONV_2D", "uint8"): Rule("double_rounding", "float_product"),
            ("FULLY_CONNECTED", "int16"): Rule("float64"),
            ("FULLY_CONNECTED", "int8"): Rule("float64"),
            ("FULLY_CONNECTED", "uint8"): Rule("float64"),
            **rows("int8 uint8 int16", "MUL", rule=FLOAT32_QUOTIENT),
            ("TRANSPOSE_CONV", "uint8"): Rule("double_rounding", "float_product"),
            **rows("int8 int16", "ABS", "RSQRT", rule=FLOAT32_QUOTIENT),
            **rows("int8 uint8 int16", "DIV", rule=FLOAT32_QUOTIENT),
            **rows("int8 uint8 int16", *RELUS, rule=FLOAT32_QUOTIENT),
            **rows("int8 uint8", "PRELU", rule=FLOAT32_QUOTIENT),
            ("GELU", "float32"): APPROXIMATE,
            ("SVDF", "int8"): Rule("double_rounding", "float32"),
            **rows("float32", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM", rule=Rule(form="whole")),
            **rows("int8 int16", "SUM", rule=Rule(form="bytes")),
            ("UNIDIRECTIONAL_SEQUENCE_LSTM", "int8"): Rule("double_rounding", "float32"),
        },
    ),
    "optimized": Profile(
        name="optimized",
        description="TensorFlow Lite's optimized kernels without delegates (ruy), x86",
        resolver="BUILTIN_WITHOUT_DEFAULT_DELEGATES",
        confirmed_on={"tensorflow": "2.21.0"},
        rules={
            **MOVEMENT,
            **rows("any", "SELECT", "SELECT_V2"),
            **rows("float32 int8 int32", "SQUARED_DIFFERENCE"),
            **rows("any", "MAXIMUM", "MINIMUM"),
            ("ADD", "int8"): Rule(form="combined", block=16),
            ("ADD", "uint8"): Rule(form="truncated", block=8),
            ("ADD", "int16"): Rule(form="combined", block=16),
            **rows("float32 int32 int64", "ADD", "MUL", "SUB"),
            **rows("int8 uint8 int16", "SUB"),
            ("MUL", "int8"): Rule(product="float32", block=16),
            ("MUL", "uint8"): Rule(product="float32", block=8),
            ("MUL", "int16"): FLOAT32_QUOTIENT,
            **rows("any", "EMBEDDING_LOOKUP"),
            **rows("any", "GATHER_ND"),
            **rows("float32 int8 uint8 int32 int64", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH"),
            **rows("float32 int8 uint8 int16 int32 int64", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND"),
            **rows("float32 int8 uint8 int16 int32 int64", "MIRROR_PAD"),
            **rows("float32 int8 uint8 int32 int64 bool", "TILE"),
            **rows("float32 int8 uint8 int16 int32 int64 bool", "BROADCAST_TO"),
            **rows("float32 int8 int16 int32 int64 bool", "FILL"),
            **rows("float32 int32 int64", "ZEROS_LIKE", "RANGE"),
            **rows("int32 int64", "BROADCAST_ARGS"),
            **rows("int32", "RANK"),
            **rows("float32 int8 uint8 int16 int32 int64", "TOPK_V2"),
            **rows("float32 int8 uint8 int32 int64 bool", "ONE_HOT"),
            **rows("float32 int8 uint8 int16 int32 int64 bool", "REVERSE_V2"),
            **rows("float32 uint8 int16 int32 int64", "REVERSE_SEQUENCE"),
            ("CUSTOM:TFLite_Detection_PostProcess", "float32"): Rule(),
            **rows("complex64", "RFFT2D"),
            **rows("float32", "COMPLEX_ABS", "IMAG", "REAL"),
            **rows("float32 int32 int64", "CUMSUM"),
            **rows("bool", *COMPARISONS),
            **rows("float32 int8 uint8 int32 int64", "SCATTER_ND"),
            **rows("float32 int8 int16 int32 int64 bool", "DYNAMIC_UPDATE_SLICE"),
            **rows("float32", "CEIL", "COS", "FLOOR", "ROUND", "SIN", "SQUARE"),
            **rows("float32 int8 int16", "EXP", "LOG", "SQRT"),
            **rows("float32 int32", "ABS"),
            **rows("float32", "RSQRT"),
            **rows("int8 int16", "ABS", "RSQRT", rule=FLOAT32_QUOTIENT),
            **rows("float32 int8 int16 int32", "FLOOR_DIV"),
            **rows("float32 int8 int16 int32 int64", "FLOOR_MOD", "NEG"),
            **rows("float32 int8 uint8 int16", "RESIZE_NEAREST_NEIGHBOR"),
            **rows("float32 int32", "DIV"),
            **rows("int8 uint8 int16", "DIV", rule=FLOAT32_QUOTIENT),
            **rows("float32 int32", "SIGN"),
            **rows("int8 int16", "RESIZE_BILINEAR"),
            **rows("int32 int64", "ARG_MAX", "ARG_MIN"),
            **rows("float32 int8 uint8 int16", "AVERAGE_POOL_2D", "MAX_POOL_2D"),
            **rows("int8 uint8 int16", "SOFTMAX", rule=Rule(form="table")),
            **rows("int8 uint8", "LOG_SOFTMAX", rule=Rule(form="table")),
            ("LOG_SOFTMAX", "float32"): APPROXIMATE,
            **rows("int16 int32 int64", "MEAN"),
            ("MEAN", "float32"): SUMMED,
            **rows("int32 int64", "SUM"),
            **rows("int8 uint8 int16", "SUM", rule=Rule(form="scaled_sum")),
            **rows("int8 uint8 int16 int32 int64", "REDUCE_MAX", "REDUCE_MIN"),
            **rows("float32", "REDUCE_MAX", "REDUCE_MIN", "SUM", rule=Rule(form="first")),
            **rows("float32 int8 uint8 int16 int32 int64", "REDUCE_PROD", rule=Rule(form="first")),
            **rows("bool", "REDUCE_ANY", "REDUCE_ALL"),
            ("SOFTMAX", "float32"): APPROXIMATE,
            **rows("int8 uint8", "MEAN", rule=Rule("ruy", "float32", form="image", block=16)),
            **rows("hybrid int32", "BATCH_MATMUL"),
            **rows("int8 int16", "BATCH_MATMUL", rule=FLOAT_PRODUCT),
            ("BATCH_MATMUL", "float32"): SUMMED,
            ("FULLY_CONNECTED", "float32"): SUMMED,
            ("FULLY_CONNECTED", "hybrid"): Rule(form="four_bit_kernel"),
            ("FULLY_CONNECTED", "int16"): Rule("ruy", "float_product"),
            ("FULLY_CONNECTED", "int8"): Rule("ruy", "float_product"),
            ("FULLY_CONNECTED", "uint8"): Rule("ruy", "float_product"),
            ("CONV_2D", "float32"): SUMMED,
            ("CONV_2D", "float32 grouped"): Rule(),
            ("CONV_2D", "hybrid"): Rule(form="optimized"),
            ("CONV_2D", "hybrid grouped"): Rule(),
            ("CONV_2D", "int8"): Rule("ruy"),
            ("CONV_2D", "int8 grouped"): Rule(),
            **rows("int16", "CONV_2D", "DEPTHWISE_CONV_2D", rule=INT16_MULTIPLIER),
            ("CONV_2D", "int16 int32_bias"): Rule("ruy"),
            ("CONV_2D", "int16 int32_bias_grouped"): Rule(),
            ("CONV_2D", "uint8"): Rule("ruy", "float_product"),
            ("CONV_2D", "uint8 grouped"): FLOAT_PRODUCT,
            ("DEPTHWISE_CONV_2D", "float32"): SUMMED,
            ("DEPTHWISE_CONV_2D", "hybrid"): Rule(form="optimized"),
            ("DEPTHWISE_CONV_2D", "int8"): Rule("ruy", block=8),
            ("DEPTHWISE_CONV_2D", "uint8"): FLOAT_PRODUCT,
            ("RESIZE_BILINEAR", "float32"): Rule(form="weights"),
            ("RESIZE_BILINEAR", "uint8"): Rule(form="weights"),
            **rows("float32 hybrid", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
            ("SVDF", "int8"): Rule("double_rounding", "float32"),
            ("UNIDIRECTIONAL_SEQUENCE_LSTM", "int8"): Rule("double_rounding", "float32"),
            ("CAST", "any"): Rule(),
            **rows("float32", "LOGISTIC", "TANH", rule=Rule(form="eigen")),
            **rows("int8 uint8", "LOGISTIC", "TANH"),
            **rows("int16", "LOGISTIC", "TANH", rule=Rule(form="fixed")),
            **rows("float32", *RELUS),
            **rows("int8 uint8", *RELUS, rule=FLOAT32_QUOTIENT),
            **rows("int16", "RELU", "RELU6", rule=FLOAT32_QUOTIENT),
            ("HARD_SWISH", "float32"): Rule(form="product"),
            **rows("float32", "PRELU", "ELU"),
            **rows("int8 uint8", "PRELU", rule=FLOAT32_QUOTIENT),
            **rows("float32 int8 uint8", "L2_NORMALIZATION"),
            ("ELU", "int8"): Rule(),
            **rows("int8 uint8 int16", "GELU"),
            ("GELU", "float32"): APPROXIMATE,
            **rows("int8 uint8", "HARD_SWISH"),
            **rows("float32 int8 uint8 int16", "LEAKY_RELU"),
            **rows(TO_8_BITS + " float32_to_int16", "QUANTIZE", rule=Rule(form="reciprocal", block=8)),
            **rows(BETWEEN_8_BITS, "QUANTIZE", rule=Rule("ruy", block=16)),
            **rows(BETWEEN_WIDE, "QUANTIZE"),
            **rows(FROM_8_BITS + " int4_to_float32", "DEQUANTIZE", rule=Rule(form="terms", block=8)),
            **rows("int16_to_float32 float16_to_float32", "DEQUANTIZE"),
            ("TRANSPOSE_CONV", "float32"): SUMMED,
            ("TRANSPOSE_CONV", "hybrid"): Rule(),
            ("TRANSPOSE_CONV", "int16"): Rule("ruy", form="col2im", block=8),
            ("TRANSPOSE_CONV", "int8"): Rule("ruy", form="col2im", block=8),
            ("TRANSPOSE_CONV", "uint8"): Rule("ruy", "float_product", form="col2im", block=16),
        },
    ),
    "xnnpack": Profile(
        name="xnnpack",
        description="TensorFlow Lite's default: XNNPACK, and optimized kernels for what it declines, x86",
        resolver="AUTO",
        confirmed_on={"tensorflow": "2.21.0"},
        rules={
            **rows("int8 uint8", "ADD", "SUB", rule=Rule(form="weighted_sum", bounds="xnnpack")),
            **rows("int8 uint8", "MUL", rule=Rule("float32", "float32", bounds="xnnpack")),
            **rows("float32", "ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", rule=Rule(form="flushed")),
            **rows("float32", "SQUARED_DIFFERENCE", "SUB", rule=Rule(form="flushed")),
            ("BATCH_MATMUL", "float32"): SUMMED,
            ("BATCH_MATMUL", "int8"): Rule("float32", "float32", form="symmetric_rhs"),
            **rows("float32", "CONV_2D", "DEPTHWISE_CONV_2D", rule=SUMMED),
            **rows("int8 uint8", "CONV_2D", "DEPTHWISE_CONV_2D", rule=FLOAT32_STORE),
            ("COS", "float32"): APPROXIMATE,
            **rows("float32", "LOGISTIC", "TANH", rule=APPROXIMATE),
            **rows("int8 uint8", "LOGISTIC", "TANH", rule=Rule(form="xnnpack")),
            ("HARD_SWISH", "float32"): Rule(form="fused"),
            **rows("float32", "ELU", "GELU", rule=APPROXIMATE),
            ("ELU", "int8"): Rule(form="xnnpack"),
            ("LEAKY_RELU", "float32"): Rule(form="keeps_zeros"),
            **rows("int8 uint8", "LEAKY_RELU", rule=FIXED8),
            **rows(FROM_8_BITS, "DEQUANTIZE"),
            **rows(TO_8_BITS, "QUANTIZE", rule=Rule(form="saturating")),
            **rows("int8_to_int8 uint8_to_uint8", "QUANTIZE", rule=FIXED8),
            ("EXP", "float32"): APPROXIMATE,
            ("FULLY_CONNECTED", "float32"): SUMMED,
            **rows("hybrid", "BATCH_MATMUL", "FULLY_CONNECTED", "TRANSPOSE_CONV", rule=Rule(form="fma")),
            ("CONV_2D", "hybrid"): Rule(form="fma"),
            ("FULLY_CONNECTED", "int8"): Rule("float32", "float32", "symmetric_filter", bounds="xnnpack"),
            ("FULLY_CONNECTED", "uint8"): Rule("float32", "float32", bounds="xnnpack"),
            **rows("int8 uint8", "MAX_POOL_2D", rule=Rule(bounds="xnnpack")),
            ("AVERAGE_POOL_2D", "float32"): SUMMED,
            **rows("float32", "MAX_POOL_2D", "REDUCE_MAX", "REDUCE_MIN", rule=APPROXIMATE),
            **rows("float32", "MEAN", "SUM", rule=SUMMED),
            **rows("int8 uint8", "MEAN", "SUM", rule=Rule(form="scaled")),
            **rows("int8 uint8", "REDUCE_MAX", "REDUCE_MIN"),
            ("SOFTMAX", "float32"): APPROXIMATE,
            ("RESIZE_BILINEAR", "float32"): Rule(form="lerp"),
            ("RESIZE_BILINEAR", "int8"): Rule(form="fixed11"),
            ("RESIZE_BILINEAR", "uint8"): Rule(form="fixed11"),
            ("ROUND", "float32"): Rule(form="rint"),
            ("RSQRT", "float32"): APPROXIMATE,
            ("SIN", "float32"): APPROXIMATE,
            ("SQRT", "float32"): APPROXIMATE,
            ("TRANSPOSE_CONV", "float32"): SUMMED,
            ("TRANSPOSE_CONV", "int8"): Rule("float32", "float32", form="col2im", bounds="xnnpack"),
            ("TRANSPOSE_CONV", "uint8"): Rule("float32", "float32", form="col2im", bounds="xnnpack"),
        },
        fallback="optimized",
    ),
    "tflm": Profile(
        name="tflm",
        description="TensorFlow Lite Micro's reference kernels; CMSIS-NN requantizes alike",
        resolver="TFLM",
        confirmed_on={"tflite-micro": "0.dev20261023182759"},
        rules={
            **rows("float32 int8 int16", "SELECT_V2"),
            **rows("float32 int8 int32", "SQUARED_DIFFERENCE"),
            **rows("float32 int8 int16 int32 int64", "MAXIMUM", "MINIMUM"),
            **rows("float32 int8 int16 int32", "MUL"),
            **rows("float32 int8 int32", "ADD", "SUB"),
            **rows("int16", "ADD", "SUB", rule=Rule(form="general")),
            ("ADD", "int32"): Rule(form="unbounded"),
            **rows("any", "RESHAPE", "SHAPE", "SQUEEZE"),
            **rows("float32 int8 int16 int32 int64 bool", "CONCATENATION"),
            **rows("float32 int8 int16 int32 int64", "PACK"),
            **rows("float32 int8 int16 int32 bool", "SLICE", "STRIDED_SLICE"),
            **rows("float32 int8 int16 int32", "DYNAMIC_UPDATE_SLICE", "PAD", "PADV2"),
            **rows("float32 int8 int16 int32", "SPLIT", "SPLIT_V", "UNPACK"),
            **rows("float32 int8 int16", "EXPAND_DIMS", "TRANSPOSE"),
            **rows("float32 int8", "GATHER"),
            **rows("float32", "CEIL", "COS", "EXP", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "LOG", "NEG"),
            **rows("float32", "ROUND", "SIN", "SQRT", "SQUARE"),
            **rows("float32 int8", "BATCH_TO_SPACE_ND", "DEPTH_TO_SPACE", "MIRROR_PAD", "SPACE_TO_DEPTH"),
            **rows("float32 int8", "SPACE_TO_BATCH_ND", rule=Rule(form="zero")),
            **rows("float32 int8 uint8 int16 int32 int64 bool", "BROADCAST_TO", "REVERSE_V2"),
            **rows("float32 int8 int32", "FILL"),
            **rows("float32 int32 int64", "ZEROS_LIKE"),
            ("CUSTOM:TFLite_Detection_PostProcess", "float32"): Rule(form="micro"),
            **rows("float32", "CUMSUM"),
            **rows("float32 int8", "GATHER_ND", "RESIZE_BILINEAR", "RSQRT"),
            **rows("float32 int8 int16", "ABS", "RESIZE_NEAREST_NEIGHBOR"),
            **rows("float32 int8 int32", "DIV"),
            **rows("int32", "ARG_MAX", "ARG_MIN"),
            **rows("bool", *COMPARISONS, rule=Rule(form="tflm")),
            ("RSQRT", "int16"): Rule(form="newton"),
            **rows("float32 int16", "LOGISTIC", "TANH"),
            **rows("int8", "LOGISTIC", "TANH", rule=Rule(form="fixed31")),
            **rows("float32 int8 int16", "RELU"),
            ("RELU6", "float32"): Rule(),
            **rows("int8 int16", "RELU6", rule=Rule(form="unscaled")),
            **rows("float32 int8", "HARD_SWISH"),
            **rows("float32 int8", "PRELU", "L2_NORMALIZATION"),
            ("ELU", "float32"): Rule(),
            ("ELU", "int8"): Rule(form="exp"),
            ("LEAKY_RELU", "float32"): Rule(),
            **rows("int8 int16", "LEAKY_RELU", rule=Rule(form="wide")),
            **{("CAST", f"{a}_to_{b}"): Rule(form="saturating") for a in TFLM_CASTS for b in TFLM_CASTS},
            **rows("float32_to_int8 float32_to_int16", "QUANTIZE", rule=Rule(form="per_tensor")),
            **rows("int8_to_int8 int8_to_uint8 uint8_to_int8 int8_to_int16 int8_to_int32", "QUANTIZE"),
            **rows(BETWEEN_WIDE, "QUANTIZE"),
            **rows(FROM_8_BITS + " int16_to_float32", "DEQUANTIZE", rule=Rule(form="per_tensor")),
            ("SOFTMAX", "int16"): Rule(form="float32_tables"),
            **rows("float32 int8", "LOG_SOFTMAX", "SOFTMAX"),
            **rows("float32 int8 int16", "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "SUM"),
            **rows("float32 int8", "REDUCE_MAX", "REDUCE_MIN"),
            **rows("bool", "REDUCE_ALL"),
            **rows("float32 hybrid", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM", rule=Rule(form="tflm")),
            ("SVDF", "int8"): Rule("double_rounding", "float32", form="tflm"),
            ("UNIDIRECTIONAL_SEQUENCE_LSTM", "int16"): Rule(form="tflm"),
            ("UNIDIRECTIONAL_SEQUENCE_LSTM", "int8"): Rule(form="tflm"),
            **rows("float32 int8", "EMBEDDING_LOOKUP"),
            **rows("float32 int8", "FULLY_CONNECTED", "TRANSPOSE_CONV"),
            **rows("float32 int8", "CONV_2D", "DEPTHWISE_CONV_2D"),
            **rows("int16", "CONV_2D", "DEPTHWISE_CONV_2D", rule=INT16_MULTIPLIER),
            ("CONV_2D", "int16 int32_bias"): Rule(),
            ("CONV_2D", "int16 int32_bias_grouped"): Rule(),
            **rows("float32 int8 int16", "BATCH_MATMUL"),
            ("FULLY_CONNECTED", "int16"): Rule(),
            ("TRANSPOSE_CONV", "int16"): Rule("int16_multiplier"),
        },
        package="tflite_micro",
    ),
}


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
