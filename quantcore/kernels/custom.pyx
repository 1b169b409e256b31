"""Calls of kernels that a user gave: in C, at an address, or in Python."""

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels._core import aligned_bytes

from cpython.mem cimport PyMem_Malloc
from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uintptr_t
from libc.string cimport memcpy
from numpy cimport PyArray_DATA, ndarray

from quantcore.kernels._core cimport KernelCall, address, qc_invoke, qc_status

cdef extern from "quantcore/custom.h" nogil:
    ctypedef enum qc_tensor_type:
        QC_TYPE_NONE
    ctypedef struct qc_custom_tensor:
        qc_tensor_type type
        int32_t rank
        const int32_t *dims
        int32_t scales
        int32_t axis
        const float *scale
        const int32_t *zero_point
    ctypedef struct qc_custom_params:
        int32_t inputs
        int32_t outputs
        const qc_custom_tensor *tensors
        const uint8_t *options
        int64_t options_size

ctypedef int64_t (*size_function)(const void *params) noexcept nogil
ctypedef qc_status (*kernel_1)(const void *, const void *, void *, void *) noexcept nogil
ctypedef qc_status (*kernel_2)(const void *, const void *, const void *, void *, void *) noexcept nogil
ctypedef qc_status (*kernel_3)(const void *, const void *, const void *, const void *, void *, void *) noexcept nogil

PYTHON_FAILED = -1  # the status of a kernel in Python that raised an exception

# as qc_tensor_type
DTYPE_CODES = {
    "float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "complex64": 8, "int8": 9,
    "float64": 10, "complex128": 11, "uint64": 12, "uint32": 15, "uint16": 16,
}


cdef struct pointer_params:
    void *kernel
    int32_t arity
    const void *params


cdef struct python_params:
    PyObject *target


cdef qc_status invoke_nothing(const void *params, void *const *tensors, void *scratch) noexcept nogil:
    return <qc_status>1


cdef qc_status invoke_pointer(const void *params, void *const *t, void *scratch) noexcept nogil:
    """Call a function with the prototype of a kernel: data pointers are passed alike, whatever they point to."""
    cdef const pointer_params *p = <const pointer_params *>params
    if p.arity == 2:
        return (<kernel_1>p.kernel)(p.params, t[0], t[1], scratch)
    if p.arity == 3:
        return (<kernel_2>p.kernel)(p.params, t[0], t[1], t[2], scratch)
    if p.arity == 4:
        return (<kernel_3>p.kernel)(p.params, t[0], t[1], t[2], t[3], scratch)
    return (<qc_invoke>p.kernel)(p.params, t, scratch)


cdef qc_status invoke_python(const void *params, void *const *t, void *scratch) noexcept nogil:
    with gil:
        return call_python(<object>(<const python_params *>params).target, t)


cdef qc_status call_python(object target, void *const *t) noexcept:
    cdef Py_ssize_t i
    addresses = [<uintptr_t>t[i] for i in range(target.arity)]
    return <qc_status>(0 if target.run_in_plan(addresses) else <int>PYTHON_FAILED)


cdef KernelCall new_call(str name, const void *params, size_t size, int arity, object keepalive):
    cdef KernelCall call = KernelCall.__new__(KernelCall)
    call.params = PyMem_Malloc(size)
    if call.params is NULL:
        raise MemoryError
    call.params_bytes = size
    memcpy(call.params, params, size)
    call.invoke = invoke_nothing
    call.name = name
    call.isa = "custom"
    call.arity = arity
    call.keepalive = keepalive
    call.views = ()
    return call


def with_kernel(KernelCall call, uintptr_t invoke, uintptr_t size, object kernel):
    """Return the same call of another kernel, which is not divided and shares no memory.

    Parameters
    ----------
    call : KernelCall
    invoke : int
        Address of a ``qc_invoke``; 0 for a kernel that cannot be run here, so that each run fails.
    size : int
        Address of a function that says of the parameters how many bytes of scratch memory the kernel needs; 0 for as
        many as `call` has.
    kernel : object
        What must live as long as the call.
    """
    made = new_call(call.name, call.params, call.params_bytes, call.arity, (call.keepalive, kernel))
    if invoke != 0:
        made.invoke = <qc_invoke>invoke
    made.scratch_bytes = call.scratch_bytes if size == 0 else scratch_of(call, size)
    return made


def with_pointer(KernelCall call, uintptr_t function, object kernel):
    """Return the same call of a function with the prototype of its kernel, without an adapter."""
    cdef pointer_params p
    p.kernel = <void *>function
    p.arity = call.arity
    p.params = call.params
    made = new_call(call.name, &p, sizeof(p), call.arity, (call, kernel))
    made.invoke = invoke_pointer
    made.scratch_bytes = call.scratch_bytes
    return made


cdef Py_ssize_t scratch_of(KernelCall call, uintptr_t size) except -1:
    cdef int64_t wanted = (<size_function>size)(call.params)
    if not 0 <= wanted <= 2**48:
        raise KernelError(f"its function for scratch memory says {wanted} bytes; expected 0 or more")
    return wanted


def python_call(target):
    """Return a call of ``target.run_in_plan``, which takes the addresses of ``target.arity`` tensors.

    It returns whether all went well, and raises nothing.
    """
    cdef python_params p
    p.target = <PyObject *>target
    made = new_call("python", &p, sizeof(p), -1, target)
    made.invoke = invoke_python
    return made


def custom_call(tensors, int32_t inputs, options):
    """Return a call with the parameters of ``qc_custom_kernel``, to be given a kernel by `with_kernel`.

    Parameters
    ----------
    tensors : list of (dtype, shape, scale, zero_point, axis), or None for one that is omitted
        The inputs, then the outputs. Scale and zero point are arrays, empty for what is not quantized.
    inputs : int
        How many are inputs.
    options : bytes
    """
    cdef qc_custom_params p
    cdef qc_custom_tensor *described
    cdef Py_ssize_t i
    keepalive = [aligned_bytes(len(tensors) * sizeof(qc_custom_tensor))]
    described = <qc_custom_tensor *>address(keepalive[0])
    for i, tensor in enumerate(tensors):
        dtype, shape, scale, zero_point, axis = tensor or ("", (), (), (), 0)
        dims = np.array(shape, dtype=np.int32)
        scales = np.array(scale, dtype=np.float32)
        zero_points = np.zeros(scales.size, dtype=np.int32)
        zero_points[:] = zero_point[:scales.size] if len(zero_point) > 1 else zero_point[0] if len(zero_point) else 0
        keepalive += [dims, scales, zero_points]
        described[i].type = <qc_tensor_type><int>(DTYPE_CODES[dtype] if dtype else -1)
        described[i].rank = <int32_t>dims.size
        described[i].dims = <const int32_t *>filled(dims)
        described[i].scales = <int32_t>scales.size
        described[i].axis = <int32_t>axis
        described[i].scale = <const float *>filled(scales)
        described[i].zero_point = <const int32_t *>filled(zero_points)
    p.inputs = inputs
    p.outputs = <int32_t>len(tensors) - inputs
    p.tensors = described
    data = np.frombuffer(options, dtype=np.uint8).copy()
    p.options = <const uint8_t *>filled(data)
    p.options_size = data.size
    keepalive.append(data)
    return new_call("custom", &p, sizeof(p), -1, keepalive)


cdef void *filled(object array):
    """Return where the data of an array is; NULL for an empty one."""
    return address(array) if array.size else NULL


def run_call(KernelCall call, tensors):
    """Run a call on contiguous arrays (None for an omitted input), and return its status."""
    pointers = np.array([0 if array is None else array.ctypes.data for array in tensors], dtype=np.uintp)
    cdef void **table = <void **>PyArray_DATA(<ndarray?>pointers)
    cdef void *memory = NULL
    cdef qc_status status
    if call.arity >= 0 and call.arity != len(tensors):
        raise KernelError(f"{call.name} takes {call.arity} tensors, got {len(tensors)}")
    if call.scratch_bytes:
        scratch = aligned_bytes(call.scratch_bytes)
        memory = PyArray_DATA(<ndarray?>scratch)
    with nogil:
        status = call.invoke(call.params, table, memory)
    return <int>status
