from libc.stdint cimport int32_t, uintptr_t

cdef extern from "quantcore/status.h" nogil:
    ctypedef enum qc_status:
        QC_OK

cdef extern from "quantcore/requantize.h" nogil:
    ctypedef enum qc_rounding:
        QC_DOUBLE_ROUNDING
        QC_RUY
        QC_SINGLE_ROUNDING
        QC_FLOAT32
        QC_FLOAT64
        QC_INT16_MULTIPLIER
    ctypedef struct qc_requant:
        qc_rounding rounding
        qc_rounding tail
        int32_t body
        int32_t per_channel
        const int32_t *multiplier
        const int32_t *shift
        const double *real_multiplier
        int32_t output_offset
        int32_t activation_min
        int32_t activation_max

cdef extern from "quantcore/plan.h" nogil:
    ctypedef qc_status (*qc_invoke)(const void *params, void *const *tensors, void *scratch) noexcept nogil
    ctypedef enum qc_isa:
        QC_ISA_SCALAR
    ctypedef struct qc_step:
        qc_invoke invoke
        const void *params
        int32_t first_tensor
    const char *qc_isa_name(int isa)
    qc_isa qc_isa_detect()
    qc_invoke qc_kernel_find(const char *name, qc_isa isa, int *arity, qc_isa *chosen)
    const char *qc_kernel_row(int index, qc_isa *isa)
    qc_status qc_plan_run(const qc_step *steps, int32_t count, void *const *pointers, void *scratch, int32_t *failed)


cdef class Requant:
    cdef qc_requant c
    cdef readonly object multiplier
    cdef readonly object shift
    cdef readonly object real_multiplier


cdef class KernelCall:
    cdef qc_invoke invoke
    cdef void *params
    cdef readonly str name
    cdef readonly str isa
    cdef readonly int arity
    cdef readonly Py_ssize_t scratch_bytes
    cdef readonly object keepalive


# Where the data of an array is; NULL for None.
cdef inline void *address(object array):
    return NULL if array is None else <void *><uintptr_t>array.ctypes.data


# Copies `size` bytes of `params`. `keepalive` holds the Python objects that `params` points into.
cdef KernelCall make_call(str name, const void *params, size_t size, Py_ssize_t scratch_bytes=*, object keepalive=*)

cdef qc_status run_steps(const qc_step *steps, int32_t count, void *const *pointers, void *scratch, int32_t *failed) noexcept nogil
