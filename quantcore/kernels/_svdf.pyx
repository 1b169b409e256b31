"""SVDF over csrc/reference/svdf.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, Requant, address, make_call, qc_requant

from quantcore.kernels.pack_filter import pack_filter

cdef extern from "quantcore/svdf.h" nogil:
    ctypedef struct qc_svdf_shape:
        int32_t batches
        int32_t inputs
        int32_t filters
        int32_t memory
        int32_t rank
    ctypedef struct qc_svdf_params:
        qc_svdf_shape shape
        int32_t input_offset
        int32_t state_offset
        qc_requant to_state
        qc_requant output
        const void *packed
    ctypedef struct qc_svdf_f32_params:
        qc_svdf_shape shape
        int32_t micro
        int32_t tanh
        float activation_min
        float activation_max
        int32_t hybrid
        int32_t asymmetric
        int32_t sign_overflow
        float feature_scale
        float time_scale
    int64_t qc_svdf_scratch_size(const qc_svdf_shape *s)
    int64_t qc_svdf_f32_scratch_size(const qc_svdf_shape *s)


cdef qc_svdf_shape c_shape(object shape):
    """Convert (batches, inputs, filters, memory, rank)."""
    cdef qc_svdf_shape s
    (s.batches, s.inputs, s.filters, s.memory, s.rank) = shape
    return s


def svdf_call(str state_dtype, shape, *, int32_t input_offset, int32_t state_offset, Requant to_state,
              Requant output, features=None) -> KernelCall:
    """Quantized SVDF with a state of ``int8`` or ``int16``; see ``qc_svdf_params``.

    `shape` is (batches, inputs, filters, memory, rank); `features` the feature weights where they are constant.
    """
    cdef qc_svdf_params p
    packed = pack_filter("int8", features, 1, shape[2], shape[1])
    p.packed = address(packed)
    p.shape = c_shape(shape)
    p.input_offset = input_offset
    p.state_offset = state_offset
    p.to_state = to_state.c
    p.output = output.c
    name = "svdf_s8" if state_dtype == "int8" else "svdf_state_s16_s8"
    return make_call(name, &p, sizeof(p), qc_svdf_scratch_size(&p.shape), (to_state, output, packed))


def svdf_f32_call(shape, *, bint micro, bint tanh, float activation_min, float activation_max, bint hybrid=False,
                  bint asymmetric=False, bint sign_overflow=False, float feature_scale=1, float time_scale=1) -> KernelCall:
    """SVDF on float32, with int8 weights if `hybrid`; see ``qc_svdf_f32_params``."""
    cdef qc_svdf_f32_params p
    p.shape = c_shape(shape)
    p.micro = micro
    p.tanh = tanh
    p.activation_min = activation_min
    p.activation_max = activation_max
    p.hybrid = hybrid
    p.asymmetric = asymmetric
    p.sign_overflow = sign_overflow
    p.feature_scale = feature_scale
    p.time_scale = time_scale
    return make_call("svdf_f32", &p, sizeof(p), qc_svdf_f32_scratch_size(&p.shape))
