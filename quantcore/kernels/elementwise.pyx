"""ADD, SUB, MUL, MAXIMUM, MINIMUM over csrc/reference/elementwise.c and maximum.c, with broadcasting."""

from math import lcm

from quantcore.errors import KernelError
import numpy as np

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset
from numpy cimport PyArray_DATA

from quantcore.kernels._core cimport KernelCall, Requant, make_call, qc_requant

from quantcore.kernels._core import BYTES_PER_NANOSECOND, DTYPE_SUFFIX, ELEMENTS_PER_GRAIN, ITEM_BYTES

cdef extern from "quantcore/elementwise.h" nogil:
    ctypedef struct qc_body:
        int32_t block
        int32_t variant
    enum:
        QC_ADD_COMBINED
        QC_ADD_TRUNCATED
        QC_MUL_SATURATED
        QC_MUL_WRAPPED
        QC_MUL_VANISHED
    ctypedef struct qc_pair_sum:
        int32_t fits
    ctypedef struct qc_add_rule:
        qc_body body
        qc_body repeated_body
        int32_t left_shift
        int32_t input1_offset
        int32_t input1_multiplier
        int32_t input1_shift
        int32_t input2_offset
        int32_t input2_multiplier
        int32_t input2_shift
        int32_t output_offset
        int32_t output_multiplier
        int32_t output_shift
        int32_t activation_min
        int32_t activation_max
        qc_pair_sum plain_sum
        qc_pair_sum body_sum
        qc_pair_sum repeated_sum
    ctypedef struct qc_fit_add_params:
        int32_t is_sub
        int32_t is_unsigned
    ctypedef struct qc_add_params:
        qc_broadcast broadcast
        qc_add_rule rule
    ctypedef struct qc_weighted_sum_rule:
        int32_t input1_offset
        int32_t input2_offset
        int32_t weight1
        int32_t weight2
        int32_t shift
        int32_t output_offset
        int32_t activation_min
        int32_t activation_max
    ctypedef struct qc_weighted_sum_params:
        qc_broadcast broadcast
        qc_weighted_sum_rule rule
    ctypedef struct qc_shifted_sum_rule:
        int32_t shift1
        int32_t shift2
        int32_t activation_min
        int32_t activation_max
    ctypedef struct qc_shifted_sum_params:
        qc_broadcast broadcast
        qc_shifted_sum_rule rule
    ctypedef struct qc_mul_params:
        qc_broadcast broadcast
        qc_body body
        qc_body repeated_body
        int32_t input1_offset
        int32_t input2_offset
        qc_requant requant

cdef qc_body NO_BODY = qc_body(0, 0)

cdef extern from "quantcore/maximum.h" nogil:
    ctypedef struct qc_selection_params:
        qc_broadcast broadcast


def broadcast_shape(shape1, shape2):
    """Return the shape that two shapes broadcast to, as NumPy and TFLite do.

    Raises
    ------
    KernelError
        If a dimension differs and neither is 1.
    """
    rank = max(len(shape1), len(shape2))
    sizes1 = (1,) * (rank - len(shape1)) + tuple(shape1)
    sizes2 = (1,) * (rank - len(shape2)) + tuple(shape2)
    if any(a != b and a != 1 and b != 1 for a, b in zip(sizes1, sizes2)):
        raise KernelError(f"shapes {tuple(shape1)} and {tuple(shape2)} do not broadcast")
    return tuple(b if a == 1 else a for a, b in zip(sizes1, sizes2))


def broadcast_walk(shape1, shape2):
    """Return ``[(size, stride1, stride2), ...]`` of as few dimensions as possible, outermost first.

    Dimensions of one element go, and a dimension that continues the next one in both inputs is merged with
    it. Strides are in elements, 0 where an input repeats.
    """
    shape = broadcast_shape(shape1, shape2)
    sizes1 = (1,) * (len(shape) - len(shape1)) + tuple(shape1)
    sizes2 = (1,) * (len(shape) - len(shape2)) + tuple(shape2)
    walk = []
    step1 = step2 = 1
    for size, size1, size2 in reversed(list(zip(shape, sizes1, sizes2))):
        stride1, stride2 = (step1 if size1 == size else 0), (step2 if size2 == size else 0)
        step1 *= size1
        step2 *= size2
        if size == 1:
            continue
        if walk:
            inner, inner1, inner2 = walk[0]
            if stride1 == inner * inner1 and stride2 == inner * inner2:
                walk[0] = (size * inner, inner1, inner2)
                continue
        walk.insert(0, (size, stride1, stride2))
    return walk or [(1, 1, 1)]


cdef int fill_broadcast(qc_broadcast *broadcast, shape1, shape2) except -1:
    walk = broadcast_walk(shape1, shape2)
    if len(walk) > QC_BROADCAST_RANK:
        raise KernelError(f"shapes {shape1} and {shape2} broadcast over {len(walk)} dimensions; the limit is 8")
    broadcast.rank = len(walk)
    for d, (size, stride1, stride2) in enumerate(walk):
        broadcast.shape[d] = size
        broadcast.stride1[d] = stride1
        broadcast.stride2[d] = stride2
    return 0


VARIANTS = {
    "combined": QC_ADD_COMBINED, "truncated": QC_ADD_TRUNCATED, "saturated": QC_MUL_SATURATED, "wrapped": QC_MUL_WRAPPED,
    "vanished": QC_MUL_VANISHED,
}


cdef qc_body make_body(body):
    """``(block, variant)``, or None for none."""
    cdef qc_body made
    made.block, made.variant = (0, 0) if body is None else (body[0], VARIANTS[body[1]])
    return made


# From how many outputs on fit_add, which takes as long as 300,000 outputs without it, is worth its time.
WORTH_FITTING = 4096


cdef int64_t outputs_of(const qc_broadcast *broadcast):
    cdef int64_t count = 1
    for d in range(broadcast.rank):
        count *= broadcast.shape[d]
    return count


cdef int fit_sums(qc_add_rule *rule, op, dtype) except -1:
    cdef qc_fit_add_params p
    p.is_sub, p.is_unsigned = op == "sub", dtype == "uint8"
    plain = np.frombuffer(bytes((<char *>rule)[:sizeof(rule[0])]), dtype=np.uint8)
    fitted = np.empty_like(plain)
    make_call("fit_add", &p, sizeof(p))([plain], [fitted])
    memcpy(rule, PyArray_DATA(fitted), sizeof(rule[0]))
    return 0


cdef qc_add_rule make_add_rule(op, dtype, int64_t outputs, qc_body body, qc_body repeated_body, int32_t left_shift,
                               int32_t input1_offset, int32_t input1_multiplier, int32_t input1_shift,
                               int32_t input2_offset, int32_t input2_multiplier, int32_t input2_shift,
                               int32_t output_offset, int32_t output_multiplier, int32_t output_shift,
                               int32_t activation_min, int32_t activation_max) except *:
    """The rule, with its sums where so many outputs of 8 bits are worth them."""
    cdef qc_add_rule rule
    memset(&rule, 0, sizeof(rule))
    rule.body, rule.repeated_body, rule.left_shift = body, repeated_body, left_shift
    rule.input1_offset, rule.input1_multiplier, rule.input1_shift = input1_offset, input1_multiplier, input1_shift
    rule.input2_offset, rule.input2_multiplier, rule.input2_shift = input2_offset, input2_multiplier, input2_shift
    rule.output_offset, rule.output_multiplier, rule.output_shift = output_offset, output_multiplier, output_shift
    rule.activation_min, rule.activation_max = activation_min, activation_max
    if dtype != "int16" and outputs >= WORTH_FITTING:
        fit_sums(&rule, op, dtype)
    return rule


def add_call(op, dtype, *, shape1, shape2, int32_t left_shift, int32_t input1_offset, int32_t input1_multiplier,
             int32_t input1_shift, int32_t input2_offset, int32_t input2_multiplier, int32_t input2_shift,
             int32_t output_offset, int32_t output_multiplier, int32_t output_shift, int32_t activation_min,
             int32_t activation_max, body=None, repeated_body=None) -> KernelCall:
    """``"add"`` or ``"sub"`` of a quantized dtype; see ``qc_add_rule``.

    Bodies, of ADD alone: ``(block, "combined" or "truncated")``, or None for none.
    """
    cdef qc_add_params p
    fill_broadcast(&p.broadcast, shape1, shape2)
    for shift in (input1_shift, input2_shift, output_shift):
        if not -31 <= shift <= 0:
            raise KernelError(f"shift is {shift}; {op} allows [-31, 0]")
    p.rule = make_add_rule(
        op, dtype, outputs_of(&p.broadcast),
        make_body(body), make_body(repeated_body), left_shift, input1_offset, input1_multiplier, input1_shift,
        input2_offset, input2_multiplier, input2_shift, output_offset, output_multiplier, output_shift,
        activation_min, activation_max,
    )
    call = make_call(f"{op}_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))
    return divide_broadcast(call, &p.broadcast, ITEM_BYTES[dtype], p.rule.body, p.rule.repeated_body)


cdef void part_of_outermost(void *params, int64_t first, int64_t count, int64_t *position) noexcept:
    cdef qc_broadcast *b = <qc_broadcast *>params
    b.shape[0] = <int32_t>count
    position[0] = first * b.stride1[0]
    position[1] = first * b.stride2[0]


cdef KernelCall divide_broadcast(KernelCall call, const qc_broadcast *b, int64_t item, qc_body body=NO_BODY,
                                 qc_body repeated_body=NO_BODY):
    """Divide a call whose params begin with `b`, along its outermost dimension; `item`: bytes of an element.

    The bodies are of rows, and remain where they were if a row is divided at multiples of their blocks.
    """
    cdef int64_t row = item, grain = 1
    for i in range(1, b.rank):
        row *= b.shape[i]
    if b.rank == 1:
        grain = lcm(ELEMENTS_PER_GRAIN, max(body.block, 1), max(repeated_body.block, 1))
    cdef double nanoseconds = 3.0 * row * b.shape[0] / BYTES_PER_NANOSECOND
    return call.divide(part_of_outermost, b.shape[0], (item, item, row), nanoseconds, grain)


def weighted_sum_call(dtype, *, shape1, shape2, int32_t input1_offset, int32_t input2_offset, int32_t weight1,
                      int32_t weight2, int32_t shift, int32_t output_offset, int32_t activation_min,
                      int32_t activation_max) -> KernelCall:
    """ADD or SUB of 8 bits by one fixed-point sum; see ``qc_weighted_sum_rule``."""
    cdef qc_weighted_sum_params p
    fill_broadcast(&p.broadcast, shape1, shape2)
    if not 1 <= shift <= 30:
        raise KernelError(f"shift is {shift}; expected [1, 30]")
    p.rule = qc_weighted_sum_rule(
        input1_offset, input2_offset, weight1, weight2, shift, output_offset, activation_min, activation_max,
    )
    call = make_call(f"weighted_sum_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))
    return divide_broadcast(call, &p.broadcast, ITEM_BYTES[dtype])


def shifted_sum_call(op, *, shape1, shape2, int32_t shift1, int32_t shift2, int32_t activation_min,
                     int32_t activation_max) -> KernelCall:
    """``"add"`` or ``"sub"`` on int16 with power-of-two scales; see ``qc_shifted_sum_rule``."""
    cdef qc_shifted_sum_params p
    fill_broadcast(&p.broadcast, shape1, shape2)
    for shift in (shift1, shift2):
        if not 0 <= shift <= 15:
            raise KernelError(f"shift is {shift}; expected [0, 15]")
    p.rule = qc_shifted_sum_rule(shift1, shift2, activation_min, activation_max)
    call = make_call(f"{op}_shifted_s16", &p, sizeof(p))
    return divide_broadcast(call, &p.broadcast, 2)


def mul_call(dtype, *, shape1, shape2, int32_t input1_offset, int32_t input2_offset, Requant requant, body=None,
             repeated_body=None) -> KernelCall:
    """MUL of a quantized dtype; see ``qc_mul_params``.

    Bodies: ``(block, "saturated", "wrapped" or "vanished")``, or None for none.
    """
    cdef qc_mul_params p
    fill_broadcast(&p.broadcast, shape1, shape2)
    p.body = make_body(body)
    p.repeated_body = make_body(repeated_body)
    p.input1_offset = input1_offset
    p.input2_offset = input2_offset
    p.requant = requant.c
    call = make_call(f"mul_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), 0, requant)
    return divide_broadcast(call, &p.broadcast, ITEM_BYTES[dtype], p.body, p.repeated_body)


def arithmetic_f32_call(op, *, shape1, shape2, float activation_min, float activation_max,
                        bint flushed=False) -> KernelCall:
    """``"add"``, ``"sub"``, ``"mul"``, ``"squared_difference"`` on float32.

    flushed: subnormal numbers are zeros; ``"div"`` is allowed too.
    """
    cdef qc_arithmetic_f32_params p
    fill_broadcast(&p.broadcast, shape1, shape2)
    p.activation_min = activation_min
    p.activation_max = activation_max
    call = make_call(f"{op}_f32_flushed" if flushed else f"{op}_f32", &p, sizeof(p))
    return divide_broadcast(call, &p.broadcast, 4)


def arithmetic_s32_call(op, *, shape1, shape2, int32_t activation_min, int32_t activation_max) -> KernelCall:
    """``"add"``, ``"sub"`` or ``"mul"`` on int32 without scales."""
    cdef qc_arithmetic_s32_params p
    fill_broadcast(&p.broadcast, shape1, shape2)
    p.activation_min = activation_min
    p.activation_max = activation_max
    call = make_call(f"{op}_s32", &p, sizeof(p))
    return divide_broadcast(call, &p.broadcast, 4)


def arithmetic_s64_call(op, *, shape1, shape2, int64_t activation_min, int64_t activation_max) -> KernelCall:
    """``"add"``, ``"sub"`` or ``"mul"`` on int64 without scales."""
    cdef qc_arithmetic_s64_params p
    fill_broadcast(&p.broadcast, shape1, shape2)
    p.activation_min = activation_min
    p.activation_max = activation_max
    call = make_call(f"{op}_s64", &p, sizeof(p))
    return divide_broadcast(call, &p.broadcast, 8)


def selection_call(op, dtype, *, shape1, shape2, bint flushed=False) -> KernelCall:
    """``"maximum"`` or ``"minimum"`` of stored values; flushed: subnormal float32 numbers are zeros."""
    cdef qc_selection_params p
    fill_broadcast(&p.broadcast, shape1, shape2)
    call = make_call(f"{op}_{DTYPE_SUFFIX[dtype]}" + ("_flushed" if flushed else ""), &p, sizeof(p))
    return divide_broadcast(call, &p.broadcast, ITEM_BYTES[dtype])
