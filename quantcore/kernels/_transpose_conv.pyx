"""TRANSPOSE_CONV over csrc/reference/transpose_conv.c."""

import numpy as np

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from quantcore.kernels import _core
from quantcore.kernels._core import DTYPE_SUFFIX, ITEM_BYTES, aligned_bytes
from quantcore.kernels.conv import conv_call, conv_f32_call
from quantcore.kernels.transposed_phases import phases

from quantcore.kernels._core cimport KernelCall, Requant, address, make_call, qc_invoke, qc_requant
from quantcore.kernels.conv cimport c_shape, qc_conv_params, qc_conv_shape

cdef extern from "quantcore/transpose_conv.h" nogil:
    int64_t qc_conv_image_size(const qc_conv_shape *)
    ctypedef struct qc_transpose_conv_layout:
        qc_conv_shape shape
        int32_t bias
        int32_t output
        const void *steps
    ctypedef struct qc_transpose_conv_params:
        qc_transpose_conv_layout layout
        int32_t input_offset
        int32_t filter_offset
        int32_t flat
        qc_requant requant
    ctypedef struct qc_transpose_conv_f32_params:
        qc_transpose_conv_layout layout
        float activation_min
        float activation_max
        const float *filter_scale


cdef extern from "quantcore/transposed_steps.h" nogil:
    ctypedef struct qc_transposed_step:
        qc_invoke invoke
        const void *params
        const void *filter
        int32_t row
        int32_t column
        int32_t rows
        int32_t columns
    ctypedef struct qc_transposed_steps:
        const qc_transposed_step *steps
        int32_t count
        int64_t output_size

# About so many bytes of outputs are made at a time, so that they are in the cache when they are put in their places.
STEP_SIZE = 32768


cdef qc_transpose_conv_layout make_layout(shape, inputs, has_bias):
    cdef qc_transpose_conv_layout layout
    layout.shape = c_shape(shape)
    layout.bias = 3 if has_bias else -1
    layout.output = inputs
    layout.steps = NULL
    return layout


def has_steps(shape, filter) -> bool:
    """Whether the versions in use compute by convolutions of stride 1."""
    return filter is not None and shape.batches > 0 and _core.takes_runs()


cdef object make_steps(object whole, list made, list calls, int64_t item):
    """Return the ``qc_transposed_steps`` of some phases as bytes, what they point to, and the size of scratch memory.

    `calls` are the convolutions of the phases of `whole`, a `ConvShape`; `item` the bytes of an output.
    """
    cdef KernelCall call
    cdef qc_conv_shape *part
    cdef qc_transposed_step *step
    cdef qc_transposed_steps *all_steps
    cdef int32_t first
    kept, scratch, output_size = [], 0, 0
    parts = []
    for phase, call in zip(made, calls, strict=True):
        row_size = phase.shape.output_width * phase.shape.output_channels * item
        rows = min(max(1, STEP_SIZE // row_size), phase.shape.output_height)
        output_size = max(output_size, -(-rows * row_size // 64) * 64)
        scratch = max(scratch, call.scratch_bytes)
        for first in range(0, phase.shape.output_height, rows):
            parts.append((phase.row + first * whole.stride_height, first, rows, phase, call))
    parts.sort(key=lambda part: part[0])  # neighbours in the output read the same input
    steps = aligned_bytes(len(parts) * sizeof(qc_transposed_step))
    step = <qc_transposed_step *>address(steps)
    for row, first, rows, phase, call in parts:
        params = aligned_bytes(call.params_bytes)
        memcpy(address(params), call.params, call.params_bytes)
        part = <qc_conv_shape *>address(params)
        part.pad_top -= first
        part.output_height = min(rows, part.output_height - first)
        step.invoke = call.invoke
        step.params = part
        step.filter = address(phase.filter)
        step.row, step.column = row, phase.column
        step.rows, step.columns = part.output_height, part.output_width
        step += 1
        kept.append(params)
    table = aligned_bytes(sizeof(qc_transposed_steps))
    all_steps = <qc_transposed_steps *>address(table)
    all_steps.steps = <const qc_transposed_step *>address(steps)
    all_steps.count = len(parts)
    all_steps.output_size = output_size
    return table, (steps, kept, made, calls), output_size + scratch


def transpose_conv_call(str dtype, shape, *, inputs, has_bias, int32_t input_offset, int32_t filter_offset, bint flat,
                        Requant requant, filter=None, sum_bound=None) -> KernelCall:
    """Quantized TRANSPOSE_CONV; `dtype` is int8, uint8, int16 or int16_wide (int64 accumulators and bias).

    `shape` is a `ConvShape`, `inputs` the number of the operator's inputs, `filter` a constant one, `sum_bound` what the
    accumulators do not exceed, or None. See ``qc_transpose_conv_params``.
    """
    cdef qc_transpose_conv_params p
    cdef KernelCall call
    p.layout = make_layout(shape, inputs, has_bias)
    p.input_offset = input_offset
    p.filter_offset = filter_offset
    p.flat = flat
    steps, kept, scratch = None, None, 0
    counts_elements = flat and (requant.channels > 1 or requant.c.body < 2**31 - 1)
    few = ITEM_BYTES[dtype] == 2 and shape.output_channels < 2  # products of int16 come by 16 channels
    if has_steps(shape, filter) and not counts_elements and not few:
        made = phases(shape, filter, -filter_offset)
        common = {"groups": 1, "input_offset": input_offset, "filter_offset": filter_offset}
        calls = [
            conv_call(dtype, phase.shape, filter=phase.filter, requant=requant, sum_bound=sum_bound, **common)
            for phase in made
        ]
        for call in calls:  # each prepared the requantization anew, and let go of what was before
            (<qc_conv_params *>call.params).requant = requant.c
        if made:
            steps, kept, scratch = make_steps(shape, made, calls, ITEM_BYTES[dtype])
    p.layout.steps = address(steps)
    p.requant = requant.c
    name = f"transpose_conv_{DTYPE_SUFFIX[dtype]}"
    return make_call(name, &p, sizeof(p), scratch, (requant, steps, kept))


def transpose_conv_f32_call(shape, *, inputs, has_bias, float activation_min, float activation_max,
                            filter_scale=None, bint fma=False, filter=None) -> KernelCall:
    """TRANSPOSE_CONV on float32; with `filter_scale` (one per channel) the hybrid form, whose filter is int8, with
    `fma` as XNNPACK does it. `filter` is a constant one of float32."""
    cdef qc_transpose_conv_f32_params p
    p.layout = make_layout(shape, inputs, has_bias)
    p.activation_min = activation_min
    p.activation_max = activation_max
    p.filter_scale = NULL
    if filter_scale is None:
        steps, kept, scratch = None, None, 0
        made = phases(shape, filter, 0.0) if has_steps(shape, filter) else []
        if made:
            bounds = {"activation_min": activation_min, "activation_max": activation_max}
            calls = [conv_f32_call(phase.shape, filter=phase.filter, groups=1, **bounds) for phase in made]
            steps, kept, scratch = make_steps(shape, made, calls, 4)
        p.layout.steps = address(steps)
        return make_call("transpose_conv_f32", &p, sizeof(p), scratch, (steps, kept))
    scales = np.ascontiguousarray(filter_scale, dtype=np.float32)
    p.filter_scale = <const float *>address(scales)
    name = "transpose_conv_hybrid_fma" if fma else "transpose_conv_hybrid"
    return make_call(name, &p, sizeof(p), qc_conv_image_size(&p.layout.shape), scales)
