from libc.stdint cimport int32_t, int64_t

cdef extern from "quantcore/elementwise.h" nogil:
    enum:
        QC_BROADCAST_RANK
    ctypedef struct qc_broadcast:
        int32_t rank
        int32_t[8] shape
        int64_t[8] stride1
        int64_t[8] stride2
    ctypedef struct qc_arithmetic_f32_params:
        qc_broadcast broadcast
        float activation_min
        float activation_max
    ctypedef struct qc_arithmetic_s32_params:
        qc_broadcast broadcast
        int32_t activation_min
        int32_t activation_max
    ctypedef struct qc_arithmetic_s64_params:
        qc_broadcast broadcast
        int64_t activation_min
        int64_t activation_max


# Fills `broadcast` for two shapes; KernelError where they do not broadcast.
cdef int fill_broadcast(qc_broadcast *broadcast, shape1, shape2) except -1
