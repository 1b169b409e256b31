from libc.stdint cimport int32_t, int64_t, uintptr_t

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
    ctypedef enum qc_requant_form:
        QC_UNPREPARED
    ctypedef struct qc_requant_block:
        pass
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
        qc_requant_form form
        int32_t units
        const qc_requant_block *blocks
    qc_requant_form qc_prepare_requant(const qc_requant *r, int32_t units, int32_t groups, int64_t bound,
                                       qc_requant_block *blocks)

cdef extern from "quantcore/plan.h" nogil:
    ctypedef qc_status (*qc_invoke)(const void *params, void *const *tensors, void *scratch) noexcept nogil
    ctypedef enum qc_isa:
        QC_ISA_SCALAR
    enum:
        QC_MAX_PARTS
    ctypedef struct qc_step:
        qc_invoke invoke
        const void *params
        int32_t first_tensor
        int32_t first_part
        int32_t parts
    ctypedef struct qc_plan:
        const qc_step *steps
        int32_t count
        const qc_step *parts
    const char *qc_isa_name(int isa)
    qc_isa qc_isa_detect()
    qc_invoke qc_kernel_find(const char *name, qc_isa isa, int *arity, qc_isa *chosen)
    const char *qc_kernel_row(int index, qc_isa *isa)

cdef extern from "quantcore/threads.h" nogil:
    ctypedef struct qc_team:
        pass
    size_t qc_team_size()
    void qc_team_init(qc_team *team)
    int32_t qc_team_grow(qc_team *team, int32_t threads)
    qc_status qc_team_run(qc_team *team, int32_t threads, const qc_plan *plan, void *const *pointers, char *scratch,
                          int64_t scratch_stride, int32_t *failed)


cdef class Requant:
    cdef qc_requant c
    cdef readonly object multiplier
    cdef readonly object shift
    cdef readonly object real_multiplier
    cdef readonly object blocks
    cdef qc_requant prepared(self, int32_t units, int32_t groups, object bound) except *


# Makes of a copy of a call's params those of a part: `count` units of what the call computes, from unit `first` on.
# `position` holds `first` for each tensor; where a tensor is to be read or written from another unit on, it is changed.
ctypedef void (*part_rule)(void *params, int64_t first, int64_t count, int64_t *position) noexcept

cdef enum:
    MAX_DIVIDED_TENSORS = 4


cdef class KernelCall:
    cdef qc_invoke invoke
    cdef void *params
    cdef size_t params_bytes
    cdef readonly str name
    cdef readonly str isa
    cdef readonly int arity
    cdef readonly Py_ssize_t scratch_bytes
    cdef readonly object keepalive
    cdef readonly object views
    cdef part_rule rule             # NULL for a call that is not divided
    cdef int64_t units
    cdef int64_t grain
    cdef int64_t[MAX_DIVIDED_TENSORS] unit_bytes
    cdef readonly double nanoseconds
    cdef KernelCall divide(self, part_rule rule, int64_t units, unit_bytes, double nanoseconds, int64_t grain=*)
    cdef KernelCall divide_elements(self, int64_t count, int64_t input_item, int64_t output_item, Requant requant=*)


# Where the data of an array is; NULL for None.
cdef inline void *address(object array):
    return NULL if array is None else <void *><uintptr_t>array.ctypes.data


# Copies `size` bytes of `params`. `keepalive` holds the Python objects that `params` points into.
cdef KernelCall make_call(str name, const void *params, size_t size, Py_ssize_t scratch_bytes=*, object keepalive=*)

# The rule for params that begin with their count of units, in int64.
cdef void leading_count(void *params, int64_t first, int64_t count, int64_t *position) noexcept

cdef size_t team_size() noexcept nogil
cdef void team_init(qc_team *team) noexcept nogil
cdef int32_t team_grow(qc_team *team, int32_t threads) noexcept nogil
cdef qc_status team_run(qc_team *team, int32_t threads, const qc_plan *plan, void *const *pointers, char *scratch,
                        int64_t scratch_stride, int32_t *failed) noexcept nogil
