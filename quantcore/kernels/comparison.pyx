"""Comparisons and logical operators over csrc/reference/comparison.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call
from quantcore.kernels.elementwise cimport fill_broadcast, qc_broadcast

from quantcore.kernels._core import DTYPE_SUFFIX

cdef extern from "quantcore/comparison.h" nogil:
    ctypedef enum qc_comparison:
        QC_EQUAL
        QC_NOT_EQUAL
        QC_GREATER
        QC_GREATER_EQUAL
        QC_LESS
        QC_LESS_EQUAL
        QC_LOGICAL_AND
        QC_LOGICAL_OR
    ctypedef struct qc_comparison_params:
        qc_broadcast broadcast
        qc_comparison comparison
    ctypedef struct qc_scaled_comparison_params:
        qc_broadcast broadcast
        qc_comparison comparison
        int32_t left_shift
        int32_t input1_offset
        int32_t input1_multiplier
        int32_t input1_shift
        int32_t input2_offset
        int32_t input2_multiplier
        int32_t input2_shift
    ctypedef struct qc_logical_not_params:
        int64_t count

COMPARISONS = {
    "EQUAL": QC_EQUAL,
    "NOT_EQUAL": QC_NOT_EQUAL,
    "GREATER": QC_GREATER,
    "GREATER_EQUAL": QC_GREATER_EQUAL,
    "LESS": QC_LESS,
    "LESS_EQUAL": QC_LESS_EQUAL,
    "LOGICAL_AND": QC_LOGICAL_AND,
    "LOGICAL_OR": QC_LOGICAL_OR,
}


def compare_call(str op, str dtype, *, shape1, shape2) -> KernelCall:
    """Compare values as they are stored; `op` is one of `COMPARISONS`, and `dtype` that of the inputs."""
    cdef qc_comparison_params p
    fill_broadcast(&p.broadcast, shape1, shape2)
    p.comparison = <qc_comparison><int>COMPARISONS[op]
    return make_call(f"compare_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))


def compare_scaled_call(str op, str dtype, *, shape1, shape2, int32_t left_shift, int32_t input1_offset,
                        int32_t input1_multiplier, int32_t input1_shift, int32_t input2_offset,
                        int32_t input2_multiplier, int32_t input2_shift) -> KernelCall:
    """Compare integers with scales; see ``qc_scaled_comparison_params``."""
    cdef qc_scaled_comparison_params p
    fill_broadcast(&p.broadcast, shape1, shape2)
    p.comparison = <qc_comparison><int>COMPARISONS[op]
    p.left_shift = left_shift
    p.input1_offset = input1_offset
    p.input1_multiplier = input1_multiplier
    p.input1_shift = input1_shift
    p.input2_offset = input2_offset
    p.input2_multiplier = input2_multiplier
    p.input2_shift = input2_shift
    return make_call(f"compare_scaled_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))


def logical_not_call(*, int64_t count) -> KernelCall:
    """LOGICAL_NOT of `count` booleans."""
    cdef qc_logical_not_params p
    p.count = count
    return make_call("logical_not", &p, sizeof(p))
