"""CONV_2D over csrc/reference/conv.c and its vector versions."""

import numpy as np

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels import _core
from quantcore.kernels._core import DTYPE_SUFFIX, ITEM_BYTES
from quantcore.kernels.four_bits import unpacked_call
from quantcore.kernels.pack_filter import pack_filter

from quantcore.kernels._core cimport QC_UNPREPARED, KernelCall, Requant, address, make_call

cdef extern from "quantcore/pack_filter.h" nogil:
    int64_t qc_panel_size_s16(int64_t depth)

OUTPUTS_PER_NANOSECOND = 8  # that a core requantizes and stores

HYBRID_FORMS = {"reference": QC_HYBRID_REFERENCE, "optimized": QC_HYBRID_OPTIMIZED}


cdef qc_conv_shape c_shape(object shape):
    """Convert a `ConvShape`; a value outside int32 raises OverflowError."""
    cdef qc_conv_shape s
    (s.batches, s.input_height, s.input_width, s.input_channels, s.filter_height, s.filter_width,
     s.output_height, s.output_width, s.output_channels, s.stride_height, s.stride_width,
     s.dilation_height, s.dilation_width, s.pad_top, s.pad_left) = shape
    return s


cdef void part_of_images(void *params, int64_t first, int64_t count, int64_t *position) noexcept:
    (<qc_conv_shape *>params).batches = <int32_t>count


cdef void part_of_pixels(void *params, int64_t first, int64_t count, int64_t *position) noexcept:
    """Where windows are single pixels, rows and images do not matter."""
    cdef qc_conv_shape *s = <qc_conv_shape *>params
    s.batches = s.input_height = s.output_height = 1
    s.input_width = s.output_width = <int32_t>count


cdef void part_of_rows(void *params, int64_t first, int64_t count, int64_t *position) noexcept:
    """Output rows of one image, with the input rows that their windows reach."""
    cdef qc_conv_shape *s = <qc_conv_shape *>params
    cdef int64_t top = first * s.stride_height - s.pad_top
    cdef int64_t bottom = (top + (count - 1) * s.stride_height + <int64_t>(s.filter_height - 1) * s.dilation_height + 1)
    cdef int64_t start = max(0, top)
    s.input_height = <int32_t>(max(start + 1, min(bottom, s.input_height)) - start)
    s.pad_top = <int32_t>(start - top)
    s.output_height = <int32_t>count
    position[0] = start


cdef void part_of_quantized_image(void *params, int64_t first, int64_t count, int64_t *position) noexcept:
    """Output rows of one image, which each part quantizes as a whole: padding above may be negative."""
    cdef qc_conv_shape *s = <qc_conv_shape *>params
    s.pad_top -= <int32_t>(first * s.stride_height)
    s.output_height = <int32_t>count


cdef KernelCall divide_conv(KernelCall call, const qc_conv_shape *s, int64_t input_item, int64_t output_item,
                            double depth, double rate, bint hybrid=False):
    cdef int64_t pixels = <int64_t>s.batches * s.output_height * s.output_width
    cdef int64_t input_pixel = s.input_channels * input_item, output_pixel = s.output_channels * output_item
    cdef int64_t input_row = s.input_width * input_pixel, output_row = s.output_width * output_pixel
    cdef double nanoseconds = pixels * s.output_channels * (depth / rate + 1 / OUTPUTS_PER_NANOSECOND)
    pointwise = (
        s.filter_height == 1 and s.filter_width == 1 and s.stride_height == 1 and s.stride_width == 1
        and s.pad_top == 0 and s.pad_left == 0
        and s.input_height == s.output_height and s.input_width == s.output_width
    )
    if hybrid and s.batches == 1:
        return call.divide(part_of_quantized_image, s.output_height, (0, 0, 0, output_row), nanoseconds)
    if hybrid or (s.batches != 1 and not pointwise):
        image_bytes = (s.input_height * input_row, 0, 0, s.output_height * output_row)
        return call.divide(part_of_images, s.batches, image_bytes, nanoseconds)
    if pointwise:
        return call.divide(part_of_pixels, pixels, (input_pixel, 0, 0, output_pixel), nanoseconds)
    if <int64_t>(s.output_height - 1) * s.stride_height - s.pad_top >= s.input_height:
        return call  # windows below the input
    return call.divide(part_of_rows, s.output_height, (input_row, 0, 0, output_row), nanoseconds)


cdef object pack(str dtype, filter, shape, int32_t groups):
    """Lay out the filter; None where it is not known or not needed."""
    return pack_filter(dtype, filter, groups, shape.output_channels // groups, window_depth(shape, groups))


cdef object pack_runs(str dtype, filter, shape, int32_t groups, qc_conv_bands bands):
    """Lay out a filter of bytes whose runs are filled up with zeros to a multiple of 4."""
    units = shape.output_channels // groups
    run = -(-bands.run // 4) * 4
    zero = 128 if dtype == "uint8" else 0  # packing takes 128 from the elements of uint8
    rows = np.full((shape.output_channels, bands.runs, run), zero, filter.dtype)
    rows[..., :bands.run] = filter.reshape(shape.output_channels, bands.runs, bands.run)
    return pack_filter(dtype, rows, groups, units, bands.runs * run)


cdef object window_depth(shape, int32_t groups):
    """Return how many products make an output."""
    return shape.filter_height * shape.filter_width * (shape.input_channels // groups)


def conv_call(str dtype, shape, *, filter=None, int32_t groups, int32_t input_offset, int32_t filter_offset,
              Requant requant, sum_bound=None, bint four_bits=False) -> KernelCall:
    """Quantized CONV_2D. See ``qc_conv_params``.

    `sum_bound`: what the accumulators do not exceed, or None.

    `dtype` is int8, uint8, int16 (int32 accumulators) or int16_wide (int64); `filter` a constant one. `four_bits`:
    the kernel's is packed, two elements in a byte, while `filter` has one in an int8; `dtype` is int8.
    """
    cdef qc_conv_params p
    cdef qc_conv_bands bands
    bytes_alike = dtype in ("int8", "uint8") and not four_bits
    p.shape = c_shape(shape)
    p.groups = groups
    p.input_offset = input_offset
    p.filter_offset = filter_offset
    p.requant = requant.prepared(shape.output_channels // groups, groups, sum_bound)
    bands = qc_make_conv_bands(&p.shape, groups)
    packed = None
    p.by_runs = (
        bytes_alike and filter is not None and p.requant.form != QC_UNPREPARED and bands.size > 0
        and _core.takes_runs()
    )
    if p.by_runs:
        packed = pack_runs(dtype, filter, shape, groups, bands)
    elif not four_bits:
        packed = pack("uint8" if dtype == "uint8" else "int8", filter, shape, groups)
    p.packed = address(packed)
    if four_bits:
        scratch = qc_conv_s4_scratch_size(&p.shape, groups)
        kept = None
        if filter is not None and _core.isa != "scalar":
            on_bytes = conv_call(
                dtype, shape, filter=filter, groups=groups, input_offset=input_offset, filter_offset=filter_offset,
                requant=requant, sum_bound=sum_bound,
            )
            p.requant = requant.c  # prepared anew
            packed, kept = unpacked_call(on_bytes, filter)
            p.packed = address(packed)
            scratch = max(scratch, on_bytes.scratch_bytes)
        call = make_call("conv_s8_s4", &p, sizeof(p), scratch, (requant, packed, kept))
    else:
        scratch = qc_panel_size_s16(window_depth(shape, groups))
        if bytes_alike:
            scratch = qc_conv_scratch_size(&p.shape, groups, packed is not None)
        if p.by_runs:
            scratch = qc_conv_runs_scratch_size(&p.shape, groups)
        call = make_call(f"conv_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), scratch, (requant, packed))
    item = ITEM_BYTES[dtype]
    return divide_conv(call, &p.shape, item, item, window_depth(shape, groups), 60)


def conv_f32_call(shape, *, filter=None, int32_t groups, float activation_min,
                  float activation_max, bint fused=False) -> KernelCall:
    """CONV_2D on float32, `fused`: of products that are not rounded; see ``qc_conv_f32_params``."""
    cdef qc_conv_f32_params p
    packed = pack("float32", filter, shape, groups)
    p.shape = c_shape(shape)
    p.groups = groups
    p.activation_min = activation_min
    p.activation_max = activation_max
    p.packed = address(packed)
    p.finite = packed is not None and bool(np.isfinite(filter).all())
    scratch = qc_conv_f32_scratch_size(&p.shape, groups, packed is not None)
    call = make_call("conv_f32_fused" if fused else "conv_f32", &p, sizeof(p), scratch, packed)
    return divide_conv(call, &p.shape, 4, 4, window_depth(shape, groups), 20)


def conv_hybrid_call(shape, *, filter=None, int32_t groups, bint sign_overflow, filter_scale,
                     float activation_min, float activation_max, str form="reference") -> KernelCall:
    """CONV_2D on float32 with an int8 filter, of one scale or many; see ``qc_conv_hybrid_params``.

    `form` is one of ``HYBRID_FORMS``, or ``fma`` for XNNPACK's.
    """
    cdef qc_conv_hybrid_params p
    fma = form == "fma"
    packed = pack("int8", filter, shape, groups)
    scales = np.array(filter_scale, dtype=np.float32)
    p.shape = c_shape(shape)
    p.groups = groups
    p.per_channel = scales.size > 1
    p.sign_overflow = sign_overflow
    p.form = QC_HYBRID_REFERENCE if fma else <qc_hybrid_form><int>HYBRID_FORMS[form]
    p.filter_scale = <const float *>address(scales)
    p.activation_min = activation_min
    p.activation_max = activation_max
    p.packed = address(packed)
    scratch = qc_conv_hybrid_scratch_size(&p.shape, groups, packed is not None)
    call = make_call("conv_hybrid_fma" if fma else "conv_hybrid", &p, sizeof(p), scratch, (scales, packed))
    return divide_conv(call, &p.shape, 4, 4, window_depth(shape, groups), 60, hybrid=True)
