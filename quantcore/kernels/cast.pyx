"""CAST over csrc/reference/cast.c."""

from libc.stdint cimport int64_t

from quantcore.kernels._core cimport KernelCall, make_call

cdef extern from "quantcore/cast.h" nogil:
    ctypedef enum qc_dtype:
        pass
    ctypedef struct qc_cast_params:
        int64_t count
        qc_dtype from_ "from"
        qc_dtype to
        int saturates

# codes of qc_dtype
DTYPE_CODE = {
    "bool": 0, "int8": 1, "uint8": 2, "int16": 3, "uint16": 4, "int32": 5, "uint32": 6, "int64": 7, "float16": 8,
    "float32": 9, "float64": 10,
}


def cast_call(from_dtype, to_dtype, *, int64_t count, bint saturates=False) -> KernelCall:
    """`from_dtype` to `to_dtype`, both keys of `DTYPE_CODE`."""
    cdef qc_cast_params p
    p.count = count
    p.from_ = <qc_dtype><int>DTYPE_CODE[from_dtype]
    p.to = <qc_dtype><int>DTYPE_CODE[to_dtype]
    p.saturates = saturates
    return make_call("cast", &p, sizeof(p))
