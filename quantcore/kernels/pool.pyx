"""MAX_POOL_2D and AVERAGE_POOL_2D over csrc/reference/pool.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call

from quantcore.kernels._core import BYTES_PER_NANOSECOND, DTYPE_SUFFIX, ITEM_BYTES

cdef extern from "quantcore/pool.h" nogil:
    ctypedef struct qc_window:
        int32_t batches
        int32_t input_height
        int32_t input_width
        int32_t channels
        int32_t output_height
        int32_t output_width
        int32_t filter_height
        int32_t filter_width
        int32_t stride_height
        int32_t stride_width
        int32_t pad_top
        int32_t pad_left
    ctypedef struct qc_pool_params:
        qc_window window
        int32_t activation_min
        int32_t activation_max
    ctypedef struct qc_pool_f32_params:
        qc_window window
        float activation_min
        float activation_max
    int64_t qc_average_pool_scratch_size(const qc_window *)


cdef qc_window make_window(input_shape, output_size, filter_size, stride, padding):
    """`input_shape` is NHWC; the pairs are (height, width), and (top, left) for `padding`."""
    cdef qc_window w
    w.batches, w.input_height, w.input_width, w.channels = input_shape
    w.output_height, w.output_width = output_size
    w.filter_height, w.filter_width = filter_size
    w.stride_height, w.stride_width = stride
    w.pad_top, w.pad_left = padding
    return w


cdef void part_of_images(void *params, int64_t first, int64_t count, int64_t *position) noexcept:
    (<qc_window *>params).batches = <int32_t>count


cdef void part_of_rows(void *params, int64_t first, int64_t count, int64_t *position) noexcept:
    """Output rows of one image, with the input rows that their windows reach."""
    cdef qc_window *w = <qc_window *>params
    cdef int64_t top = first * w.stride_height - w.pad_top
    cdef int64_t bottom = top + (count - 1) * w.stride_height + w.filter_height
    cdef int64_t start = max(0, top)
    w.input_height = <int32_t>(max(start + 1, min(bottom, w.input_height)) - start)
    w.pad_top = <int32_t>(start - top)
    w.output_height = <int32_t>count
    position[0] = start


cdef KernelCall divide_pool(KernelCall call, const qc_window *w, int64_t item):
    """Divide a call whose params begin with the window, by rows or images; `item`: bytes of an element."""
    cdef int64_t input_row = w.input_width * <int64_t>w.channels * item
    cdef int64_t output_row = w.output_width * <int64_t>w.channels * item
    cdef double taken = <double>w.batches * w.output_height * output_row * w.filter_height * w.filter_width
    if w.batches != 1:
        sizes = (w.input_height * input_row, w.output_height * output_row)
        return call.divide(part_of_images, w.batches, sizes, taken / BYTES_PER_NANOSECOND)
    if <int64_t>(w.output_height - 1) * w.stride_height - w.pad_top >= w.input_height:
        return call  # windows below the input
    return call.divide(part_of_rows, w.output_height, (input_row, output_row), taken / BYTES_PER_NANOSECOND)


MAX_WINDOW = {"int8": 2**23, "uint8": 2**23, "int16": 2**15}  # elements whose sum int32 holds


def pool_call(kind, dtype, *, input_shape, output_size, filter_size, stride, padding, activation_min,
              activation_max) -> KernelCall:
    """``"max"`` or ``"average"`` pooling of int8, uint8, int16 or float32; see ``qc_window``."""
    cdef qc_window window = make_window(input_shape, output_size, filter_size, stride, padding)
    cdef qc_pool_params p
    cdef qc_pool_f32_params pf
    name = f"{kind}_pool_{DTYPE_SUFFIX[dtype]}"
    scratch = qc_average_pool_scratch_size(&window) if kind == "average" else 0
    if dtype == "float32":
        pf.window = window
        pf.activation_min = activation_min
        pf.activation_max = activation_max
        return divide_pool(make_call(name, &pf, sizeof(pf), scratch), &window, 4)
    p.window = window
    p.activation_min = activation_min
    p.activation_max = activation_max
    return divide_pool(make_call(name, &p, sizeof(p), scratch), &window, ITEM_BYTES[dtype])
