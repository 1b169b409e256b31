"""The C library: kernel lookup, requantization parameters, and calls that are ready to run."""

import os

import numpy as np

from quantcore.errors import KernelError

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.string cimport memcpy
from numpy cimport PyArray_DATA, ndarray

cdef extern from "quantcore/plan.h" nogil:
    bint qc_takes_runs(qc_isa isa)
    bint qc_isa_supported(qc_isa isa)


def _isa_names():
    cdef const char *name = qc_isa_name(0)
    names = []
    while name is not NULL:
        names.append(name.decode())
        name = qc_isa_name(len(names))
    return tuple(names)


# of this architecture, each including those before it
ISA_NAMES = _isa_names()

ROUNDINGS = {
    "double_rounding": QC_DOUBLE_ROUNDING,
    "ruy": QC_RUY,
    "single_rounding": QC_SINGLE_ROUNDING,
    "float32": QC_FLOAT32,
    "float64": QC_FLOAT64,
    "int16_multiplier": QC_INT16_MULTIPLIER,
}

# how kernel names spell dtypes; int16_wide is int16 whose products are summed in int64, int4 two elements in a byte
DTYPE_SUFFIX = {
    "bool": "bool", "int4": "s4", "int8": "s8", "uint8": "u8", "int16": "s16", "int16_wide": "s16_wide",
    "int32": "s32", "int64": "s64", "float32": "f32",
}

ITEM_BYTES = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "int16_wide": 2, "int32": 4, "int64": 8, "float32": 4,
}

STATUS_MEANING = {
    1: "a parameter is outside the range that the kernel accepts",
    2: "a data value is out of range (an index or a shape read at run time)",
}


# A part that takes less is over before another thread has noticed it.
PART_NANOSECONDS = 1500
# What a core moves where little is computed; and elements that begin a cache line, whatever their type.
BYTES_PER_NANOSECOND = 16
ELEMENTS_PER_GRAIN = 64

cdef int ACTIVE_ISA = QC_ISA_SCALAR
isa = "scalar"


def select_isa(wanted=None):
    """Use the kernel versions of an instruction set from now on, and return the name of the one used before.

    Calls that were made before keep their kernels. At import this is done with ``QUANTCORE_ISA``.

    Parameters
    ----------
    wanted : str, optional
        One of ``ISA_NAMES``; None or "" for the best that the CPU offers.

    Raises
    ------
    KernelError
        An unknown name, or more than the CPU offers.
    """
    global ACTIVE_ISA, isa
    before = isa
    if wanted and wanted not in ISA_NAMES:
        raise KernelError(f"instruction set is {wanted!r}; expected one of {', '.join(ISA_NAMES)}")
    cdef int chosen = ISA_NAMES.index(wanted) if wanted else <int>qc_isa_detect()
    if wanted and not qc_isa_supported(<qc_isa>chosen):
        best = ISA_NAMES[<int>qc_isa_detect()]
        raise KernelError(f"instruction set is {wanted!r}, but this CPU offers {best!r} at most")
    ACTIVE_ISA = chosen
    isa = ISA_NAMES[chosen]
    return before


select_isa(os.environ.get("QUANTCORE_ISA"))


def takes_runs():
    """Whether the versions of CONV_2D in use take filters that are packed by runs (``qc_conv_params``)."""
    return qc_takes_runs(<qc_isa>ACTIVE_ISA)


def kernel_table():
    """List ``(kernel name, version)`` of every compiled kernel; ``version`` is an ISA name."""
    rows = []
    cdef qc_isa version
    cdef const char *name
    cdef int index = 0
    while True:
        name = qc_kernel_row(index, &version)
        if name is NULL:
            return rows
        rows.append((name.decode(), ISA_NAMES[<int>version]))
        index += 1


cdef class Requant:
    """A requantization: rule, multipliers, output offset and bounds (``qc_requant`` of requantize.h).

    Parameters
    ----------
    rounding : str
        One of ``ROUNDINGS``.
    multiplier, shift : array_like of int32, shape (channels,) or (1,) or ()
        As `quantcore.quantize_multiplier` gives them. Ignored by the two float rules.
    real_multiplier : array_like of float64, same shape, optional
        For ``float64`` and ``float32`` (then already rounded to float32).
    output_offset : int
        Zero point of the output.
    activation_min, activation_max : int
        Bounds of the output, in its quantized domain.
    body : int, optional
        Number of leading channels that `rounding` applies to; all if omitted.
    tail : str, optional
        The rule of the channels after those.

    Raises
    ------
    KernelError
        Unknown rule, shapes that differ, or a multiplier or shift out of range.
    """

    def __init__(self, rounding, multiplier=0, shift=0, *, real_multiplier=None, int output_offset=0,
                 int activation_min, int activation_max, body=None, tail=None):
        for rule in (rounding, tail or rounding):
            if rule not in ROUNDINGS:
                raise KernelError(f"unknown rounding {rule!r}; known: {', '.join(sorted(ROUNDINGS))}")
        if real_multiplier is None and rounding in ("float32", "float64"):
            raise KernelError(f"rounding {rounding!r} needs real_multiplier")
        self.multiplier = np.ascontiguousarray(np.atleast_1d(multiplier), dtype=np.int32)
        self.shift = np.ascontiguousarray(np.atleast_1d(shift), dtype=np.int32)
        if self.multiplier.shape != self.shift.shape or self.shift.ndim != 1 or self.shift.size == 0:
            raise KernelError(
                f"multiplier has shape {self.multiplier.shape} and shift {self.shift.shape}; expected two equal "
                "one-dimensional shapes, (channels,) or (1,)"
            )
        if self.shift.min() < -31 or self.shift.max() > 31:
            raise KernelError(
                f"shift is in [{self.shift.min()}, {self.shift.max()}]; allowed is [-31, 31] (beyond, C leaves the "
                "result undefined and backends disagree)"
            )
        if activation_min > activation_max:
            raise KernelError(f"activation_min {activation_min} is above activation_max {activation_max}")
        cdef Py_ssize_t channels = self.shift.size
        if real_multiplier is not None:
            self.real_multiplier = np.ascontiguousarray(np.atleast_1d(real_multiplier), dtype=np.float64)
            channels = self.real_multiplier.size
            self.c.real_multiplier = <const double *>address(self.real_multiplier)
        self.c.rounding = <qc_rounding><int>ROUNDINGS[rounding]
        self.c.tail = <qc_rounding><int>ROUNDINGS[tail or rounding]
        self.c.body = 2**31 - 1 if body is None else body
        self.c.per_channel = channels > 1
        self.c.multiplier = <const int32_t *>address(self.multiplier)
        self.c.shift = <const int32_t *>address(self.shift)
        self.c.output_offset = output_offset
        self.c.activation_min = activation_min
        self.c.activation_max = activation_max
        self.c.form = QC_UNPREPARED
        self.c.blocks = NULL

    cdef qc_requant prepared(self, int32_t units, int32_t groups, object bound) except *:
        """Return the parameters, prepared for the vector versions where their arithmetic fits.

        `units` are the output channels of each of `groups`; `bound`, an int or None, says what the accumulators do not
        exceed in magnitude (`sum_bound`).
        """
        if ACTIVE_ISA == QC_ISA_SCALAR or units < 1:
            return self.c
        blocks = aligned_bytes(groups * ((units + 15) // 16) * sizeof(qc_requant_block))
        known = -1 if bound is None else min(bound, 2**62)
        self.c.form = qc_prepare_requant(&self.c, units, groups, known, <qc_requant_block *>address(blocks))
        if self.c.form != QC_UNPREPARED:
            self.blocks = blocks
            self.c.units = units
            self.c.blocks = <const qc_requant_block *>address(blocks)
        return self.c

    @property
    def channels(self):
        """Number of multipliers; 1 means per tensor."""
        return self.real_multiplier.size if self.real_multiplier is not None else self.shift.size

    @property
    def bounds(self):
        """``(activation_min, activation_max)``."""
        return self.c.activation_min, self.c.activation_max


cdef class KernelCall:
    """A kernel with its parameters, ready to run on data pointers.

    Made by the ``*_call`` functions of the kernel modules. Calling it with lists of contiguous arrays
    (None for an omitted input) runs the kernel without the GIL; dtypes and sizes are the caller's duty,
    so it is not part of the public surface.

    Attributes
    ----------
    views : tuple of (int, int, int)
        Where the kernel only moves data, and tensors may share memory instead: position of a part, position of the
        tensor in which it lies, and the offset there in bytes.
    """

    def __init__(self):
        raise TypeError("KernelCall objects are made by the *_call functions")

    def __dealloc__(self):
        PyMem_Free(self.params)

    def __repr__(self):
        return f"<KernelCall {self.name} [{self.isa}]>"

    @property
    def params_data(self):
        """The bytes of its parameter struct; pointers in there are into what `keepalive` holds."""
        return PyBytes_FromStringAndSize(<const char *>self.params, self.params_bytes)

    cdef KernelCall divide(self, part_rule rule, int64_t units, unit_bytes, double nanoseconds, int64_t grain=1):
        """Say how the call may be computed in parts, and return it.

        Parameters
        ----------
        rule : part_rule
        units : int
            What the output consists of: rows, images, elements.
        unit_bytes : tuple of int
            For each tensor, what lies between one unit and the next; 0 for one that all parts read from its start.
        nanoseconds : float
            What the fastest version takes on one thread, roughly: short calls are not worth a second thread.
        grain : int
            A part begins at a multiple of so many units.
        """
        if len(unit_bytes) != self.arity or self.arity > MAX_DIVIDED_TENSORS or units < 0 or grain < 1:
            raise KernelError(f"{self.name}: {units} units of {unit_bytes} bytes, in grains of {grain}")
        self.rule = rule
        self.units = units
        self.grain = grain
        self.nanoseconds = nanoseconds
        for i, size in enumerate(unit_bytes):
            self.unit_bytes[i] = size
        return self

    cdef KernelCall divide_elements(self, int64_t count, int64_t input_item, int64_t output_item, Requant requant=None):
        """Say that the call computes elements one by one, and return it. Its params begin with their count in int64.

        The items are the bytes of an element of input and output. With a `requant` whose body ends among the elements,
        the call stays whole.
        """
        if requant is not None and requant.c.body < count:
            return self
        nanoseconds = count * (input_item + output_item) / BYTES_PER_NANOSECOND
        return self.divide(leading_count, count, (input_item, output_item), nanoseconds, ELEMENTS_PER_GRAIN)

    def parts(self, int most):
        """Return up to `most` calls that together do what this one does, side by side if need be.

        Each with the distance in bytes, for each tensor, of its data from that of this call. One call or none
        means that it is not worth dividing.
        """
        if self.rule is NULL:
            return []
        cdef int64_t grains = -(-self.units // self.grain), first, stop
        cdef int64_t count = min(most, grains, <int64_t>(self.nanoseconds / PART_NANOSECONDS), <int64_t>QC_MAX_PARTS)
        cdef int64_t[MAX_DIVIDED_TENSORS] position
        found = []
        for part in range(count):
            first = grains * part // count * self.grain
            stop = min(grains * (part + 1) // count * self.grain, self.units)
            for i in range(self.arity):
                position[i] = first
            call = copy_call(self)
            self.rule(call.params, first, stop - first, position)
            found.append((call, [position[i] * self.unit_bytes[i] for i in range(self.arity)]))
        return found

    def __call__(self, inputs, outputs):
        cdef list tensors = [*inputs, *outputs]
        cdef Py_ssize_t count = len(tensors)
        if self.arity >= 0 and count != self.arity:
            raise KernelError(f"{self.name} takes {self.arity} tensors, got {count}")
        cdef void *few[8]
        cdef void **table = few
        if count > 8:
            pointers = np.empty(count, dtype=np.uintp)
            table = <void **>PyArray_DATA(pointers)
        cdef Py_ssize_t i
        for i in range(count):
            table[i] = NULL if tensors[i] is None else PyArray_DATA(<ndarray?>tensors[i])
        cdef void *memory = NULL
        if self.scratch_bytes:
            scratch = aligned_bytes(self.scratch_bytes)
            memory = PyArray_DATA(scratch)
        cdef qc_status status
        with nogil:
            status = self.invoke(self.params, table, memory)
        check_status(<int>status, self.name)


def aligned_bytes(Py_ssize_t size):
    """Return uninitialized memory of `size` bytes, aligned to 64, as a uint8 array."""
    raw = np.empty(size + 64, dtype=np.uint8)
    cdef Py_ssize_t start = -<Py_ssize_t><uintptr_t>raw.ctypes.data % 64
    if start < 0:
        start += 64
    return raw[start:start + size]


def check_status(int status, str what):
    """Raise `KernelError` unless `status` is ``QC_OK``."""
    if status != QC_OK:
        raise KernelError(f"{what}: {STATUS_MEANING.get(status, f'status {status}')}")


cdef KernelCall make_call(str name, const void *params, size_t size, Py_ssize_t scratch_bytes=0, object keepalive=None):
    cdef KernelCall call = KernelCall.__new__(KernelCall)
    cdef int arity = 0
    cdef qc_isa chosen
    encoded = name.encode()
    call.invoke = qc_kernel_find(encoded, <qc_isa>ACTIVE_ISA, &arity, &chosen)
    if call.invoke is NULL:
        raise KernelError(f"no kernel named {name!r}; after adding its row to csrc/kernels.def, run `make ext`")
    set_params(call, params, size)
    call.name = name
    call.isa = ISA_NAMES[<int>chosen]
    call.arity = arity
    call.scratch_bytes = scratch_bytes
    call.keepalive = keepalive
    call.views = ()
    return call


cdef set_params(KernelCall call, const void *params, size_t size):
    call.params = PyMem_Malloc(size)
    if call.params is NULL:
        raise MemoryError
    call.params_bytes = size
    memcpy(call.params, params, size)


cdef KernelCall copy_call(KernelCall call):
    """Return the same call with params of its own, not to be divided again."""
    cdef KernelCall copy = KernelCall.__new__(KernelCall)
    set_params(copy, call.params, call.params_bytes)
    copy.invoke = call.invoke
    copy.name = call.name
    copy.isa = call.isa
    copy.arity = call.arity
    copy.scratch_bytes = call.scratch_bytes
    copy.keepalive = call.keepalive
    return copy


cdef void leading_count(void *params, int64_t first, int64_t count, int64_t *position) noexcept:
    (<int64_t *>params)[0] = count


cdef size_t team_size() noexcept nogil:
    return qc_team_size()


cdef void team_init(qc_team *team) noexcept nogil:
    qc_team_init(team)


cdef int32_t team_grow(qc_team *team, int32_t threads) noexcept nogil:
    return qc_team_grow(team, threads)


cdef qc_status team_run(qc_team *team, int32_t threads, const qc_plan *plan, void *const *pointers, char *scratch,
                        int64_t scratch_stride, int32_t *failed) noexcept nogil:
    return qc_team_run(team, threads, plan, pointers, scratch, scratch_stride, failed)
