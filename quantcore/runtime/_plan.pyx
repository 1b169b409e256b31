"""The plan as C arrays, and its execution without the GIL, on one thread or several."""

import os

import numpy as np

from quantcore.custom_kernels.bound import running
from quantcore.errors import KernelError
from quantcore.kernels._core import STATUS_MEANING, aligned_bytes

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy
from numpy cimport (
    NPY_ARRAY_CARRAY_RO, PyArray_CHKFLAGS, PyArray_DATA, PyArray_DESCR, PyArray_DIMS, PyArray_EMPTY, PyArray_NDIM,
    import_array, ndarray, npy_intp,
)
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from quantcore.kernels._core cimport (
    KernelCall, QC_MAX_PARTS, QC_OK, qc_plan, qc_status, qc_step, qc_team, team_grow, team_init, team_run, team_size,
)
from quantcore.runtime._lock cimport Lock

import_array()

cdef enum:
    MAX_RANK = 16
    ALIGNMENT = 64

MAX_THREADS = QC_MAX_PARTS
MOVED_BYTES_PER_NANOSECOND = 1.5  # from the cache of one core to that of another
WORTH_WAKING_NANOSECONDS = 20000  # that a second thread must save a run: about as long it takes to wake up


# The threads of this process, which all plans share; NULL before they are needed. They look at this memory as long
# as the process lives, so it is never freed.
cdef qc_team *team = NULL
cdef int32_t team_threads = 1


cdef int32_t thread_limit = MAX_THREADS  # of a run


def get_thread_limit():
    """Return how many threads share a run at most."""
    return thread_limit


def set_thread_limit(int32_t threads):
    """Let at most so many threads share a run, from now on."""
    global thread_limit
    thread_limit = max(1, min(threads, MAX_THREADS))


cdef int32_t gather_team(int32_t threads) except -1:
    """Return how many of `threads` may run; see that there are so many, as far as the system gives them."""
    global team, team_threads
    threads = min(threads, thread_limit)
    if threads <= team_threads:
        return threads
    if team is NULL:
        memory = malloc(team_size() + ALIGNMENT)
        if memory is NULL:
            raise MemoryError
        team = <qc_team *>((<uintptr_t>memory + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT)
        team_init(team)
    team_grow(team, threads)
    team_threads = threads
    return threads


def _forget_team():
    """Leave the threads to the parent process: a fork does not copy them."""
    global team, team_threads
    team, team_threads = NULL, 1


os.register_at_fork(after_in_child=_forget_team)


cdef struct Port:
    Py_ssize_t offset  # in the arena; -1 where the tensor is not there
    Py_ssize_t nbytes


cdef struct Fit:
    int rank
    int type
    npy_intp dims[MAX_RANK]


cdef inline double now() noexcept nogil:
    """Return the seconds of a clock that only runs forward."""
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return <double>time.tv_sec + 1e-9 * <double>time.tv_nsec


def divide(calls, int32_t threads):
    """Return the parts of each call, as `KernelCall.parts` gives them: none where they are not worth it.

    A chain of divided steps hands each thread's part of the data on to the same thread. Its first step reads what one
    thread has written, and its last writes what one thread will read: that is what the chain must make up for.
    """
    parts = [call.parts(threads) if threads > 1 else [] for call in calls]
    worth, chain = [], []
    total = 0
    for i in range(len(calls) + 1):
        if i < len(calls) and len(parts[i]) > 1:
            chain.append(i)
            continue
        if chain:
            saved = sum([calls[j].nanoseconds * (1 - 1 / len(parts[j])) for j in chain])
            saved -= moved_bytes(calls[chain[0]], calls[chain[len(chain) - 1]]) * (1 - 1 / threads) / MOVED_BYTES_PER_NANOSECOND
            if saved > 0:
                worth += chain
                total += saved
        chain = []
    if total < WORTH_WAKING_NANOSECONDS:
        worth = []
    return [parts[i] if i in worth else [] for i in range(len(calls))]


cdef moved_bytes(KernelCall first, KernelCall last):
    """Return the bytes that the first call of a chain reads and the last one writes."""
    return first.units * first.unit_bytes[0] + last.units * last.unit_bytes[last.arity - 1]


def address_of(place):
    """Return an address and whether it is an offset in the arena; 0 and False for an omitted input."""
    if place is None:
        return 0, False
    return (place, True) if isinstance(place, int) else (place.ctypes.data, False)


cdef class Plan:
    """Kernel calls in execution order, with the place of each of their tensors.

    Parameters
    ----------
    calls : list of (KernelCall, list)
        Each call with one entry per tensor: an int (offset in the arena), an ndarray (constant data,
        used in place) or None (omitted input).
    arena_bytes : int
    names : list of str
        What to call each step in error messages.
    threads : int
        Into how many parts steps are divided at most. Results do not depend on it.
    inputs, outputs : list of ((int, int) or None)
        Offset in the arena and bytes per run of each graph input and output; None for one that has a
        known value instead.
    custom : dict of int to BoundKernel
        The steps that kernels of the user's compute.
    """

    cdef qc_plan c
    cdef qc_step *steps    # then the parts of those that are divided
    cdef Port *ports
    cdef readonly int32_t count
    cdef readonly int32_t threads
    cdef readonly Py_ssize_t input_count
    cdef readonly Py_ssize_t output_count
    cdef readonly Py_ssize_t arena_bytes
    cdef readonly Py_ssize_t scratch_bytes
    cdef readonly list names
    cdef list calls
    cdef list parts
    cdef dict custom
    cdef object base       # uintp: constant pointers, or offsets into the arena
    cdef object in_arena   # bool: which entries are offsets

    def __init__(self, calls, Py_ssize_t arena_bytes, names, inputs, outputs, int32_t threads=1, custom=None):
        cdef int32_t i, first
        self.names = names
        self.custom = custom or {}
        self.count = <int32_t>len(calls)
        self.arena_bytes = arena_bytes
        self.input_count = len(inputs)
        self.output_count = len(outputs)
        for name, (call, places) in zip(names, calls):
            if call.arity >= 0 and call.arity != len(places):
                raise KernelError(f"{name}: {call.name} takes {call.arity} tensors, got {len(places)}")
        divided = divide([call for call, _ in calls], threads)
        self.calls = calls
        self.parts = [part for parts in divided for part, _ in parts]
        self.threads = threads if self.parts else 1
        self.steps = <qc_step *>PyMem_Malloc((len(calls) + len(self.parts) + 1) * sizeof(qc_step))
        self.ports = <Port *>PyMem_Malloc((self.input_count + self.output_count + 1) * sizeof(Port))
        if self.steps is NULL or self.ports is NULL:
            raise MemoryError
        self.c = qc_plan(self.steps, self.count, self.steps + self.count)
        for i, port in enumerate((*inputs, *outputs)):
            self.ports[i].offset, self.ports[i].nbytes = port or (-1, 0)
        whole = [[address_of(place) for place in places] for _, places in calls]
        entries = []
        for i, (call, _) in enumerate(calls):
            self._set_step(i, call, entries, whole[i])
        first = 0
        for i, parts in enumerate(divided):
            self.steps[i].first_part, self.steps[i].parts = first, <int32_t>len(parts)
            for part, distances in parts:
                self._set_step(self.count + first, part, entries, [
                    (address + distance if address or is_offset else 0, is_offset)
                    for (address, is_offset), distance in zip(whole[i], distances, strict=True)
                ])
                first += 1
        self.base = np.array([address for address, _ in entries], dtype=np.uintp)
        self.in_arena = np.array([is_offset for _, is_offset in entries], dtype=bool)

    cdef _set_step(self, Py_ssize_t i, KernelCall call, list entries, list addresses):
        self.steps[i].invoke = call.invoke
        self.steps[i].params = call.params
        self.steps[i].first_tensor = <int32_t>len(entries)
        entries.extend(addresses)
        self.scratch_bytes = max(self.scratch_bytes, (call.scratch_bytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT)

    def __dealloc__(self):
        PyMem_Free(self.steps)
        PyMem_Free(self.ports)

    def pointers(self, arena):
        """Return the pointer table for `arena`, a uint8 array of `arena_bytes`."""
        return np.where(self.in_arena, self.base + np.uintp(arena.ctypes.data), self.base)

    def error(self, int32_t step, int status):
        """Return the exception for a step that returned `status`."""
        if step in self.custom:
            return self.custom[step].error(status)
        return KernelError(f"{self.names[step]}: {STATUS_MEANING.get(status, f'status {status}')}")


cdef class Instance:
    """Memory of its own for one plan.

    Not thread-safe, but for `invoke` and `run_single`, which take the lock: one thread at a time runs an instance.

    Attributes
    ----------
    current : bool
        False once the session runs another instance instead: what waited for the lock must not run this one.
    """

    cdef readonly Plan plan
    cdef public bint current
    cdef Lock lock
    cdef readonly object arena
    cdef readonly int32_t failed  # the step that raised the last KernelError
    cdef object scratch
    cdef object table
    cdef char *arena_data
    cdef char *scratch_data
    cdef void *const *table_data
    cdef list dtypes  # of the inputs
    cdef Fit *fits    # of the inputs, then of the outputs
    cdef char **arrays  # data of the inputs, then of the outputs, of the run in progress

    def __init__(self, Plan plan, Lock lock=None):
        self.plan = plan
        self.lock = Lock() if lock is None else lock
        self.current = True
        self.arena = aligned_bytes(plan.arena_bytes)
        self.arena[:] = 0
        self.scratch = aligned_bytes(plan.scratch_bytes * plan.threads)
        self.table = plan.pointers(self.arena)
        self.arena_data = <char *>PyArray_DATA(<ndarray?>self.arena)
        self.scratch_data = <char *>PyArray_DATA(<ndarray?>self.scratch)
        self.table_data = <void *const *>PyArray_DATA(<ndarray?>self.table)
        self.arrays = <char **>PyMem_Malloc((plan.input_count + plan.output_count + 1) * sizeof(char *))
        self.fits = <Fit *>PyMem_Malloc((plan.input_count + plan.output_count + 1) * sizeof(Fit))
        if self.arrays is NULL or self.fits is NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.arrays)
        PyMem_Free(self.fits)

    def run(self):
        """Run all steps once, on what the arena holds."""
        self._run(0, 0, 1, self.plan.threads)

    def invoke(self):
        """Do the same under the lock, and return True; False, and nothing is done, once this is not current."""
        self.lock.enter()
        try:
            if self.current:
                self._run(0, 0, 1, self.plan.threads)
            return self.current
        finally:
            self.lock.leave()

    def run_batch(self, inputs, outputs, Py_ssize_t start, Py_ssize_t count, bint alone=False):
        """Run samples ``start`` to ``start + count``: before each copy its inputs in, after it its outputs out.

        Parameters
        ----------
        inputs, outputs : sequence of ndarray
            C-contiguous, one per graph input or output, samples in a row.
        start, count : int
        alone : bool
            Keep to this thread.
        """
        cdef Py_ssize_t i, n_in = self.plan.input_count, n_out = self.plan.output_count
        if len(inputs) != n_in or len(outputs) != n_out:
            raise KernelError(f"expected {n_in} inputs and {n_out} outputs, got {len(inputs)} and {len(outputs)}")
        for i in range(n_in):
            self.arrays[i] = <char *>PyArray_DATA(<ndarray?>inputs[i])
        for i in range(n_out):
            self.arrays[n_in + i] = <char *>PyArray_DATA(<ndarray?>outputs[i])
        self._run(n_in + n_out, start, count, 1 if alone else self.plan.threads)

    def time_steps(self, inputs, double[:, ::1] seconds):
        """Run one sample after the other, and say when each step was done.

        Parameters
        ----------
        inputs : sequence of ndarray
            As for `run_batch`.
        seconds : memoryview of float64, shape (samples, steps + 2)
            Receives, for each sample, the clock after its inputs were copied in, after every step, and once more:
            the last difference is what reading the clock takes.
        """
        cdef Py_ssize_t i, j
        cdef int32_t step, failed = 0, threads = gather_team(self.plan.threads)
        cdef qc_plan one
        cdef qc_status status = QC_OK
        cdef const Port *port = self.plan.ports
        if len(inputs) != self.plan.input_count or seconds.shape[1] != self.plan.count + 2:
            raise KernelError(f"expected {self.plan.input_count} inputs, and times of {self.plan.count} steps and 2")
        for j in range(self.plan.input_count):
            self.arrays[j] = <char *>PyArray_DATA(<ndarray?>inputs[j])
        running.arena = self.arena
        with nogil:
            for i in range(seconds.shape[0]):
                for j in range(self.plan.input_count):
                    if port[j].offset >= 0:
                        memcpy(self.arena_data + port[j].offset, self.arrays[j] + i * port[j].nbytes, port[j].nbytes)
                seconds[i, 0] = now()
                for step in range(self.plan.count):
                    one = qc_plan(self.plan.steps + step, 1, self.plan.c.parts)
                    status = team_run(
                        team, threads, &one, self.table_data, self.scratch_data, self.plan.scratch_bytes, &failed
                    )
                    seconds[i, step + 1] = now()
                    if status != QC_OK:
                        break
                seconds[i, self.plan.count + 1] = now()
                if status != QC_OK:
                    break
        if status != QC_OK:
            self.failed = step
            raise self.plan.error(step, <int>status)

    def run_single(self, x):
        """Run one sample, an array or a list or tuple of one for each input; None where `x` does not fit as it is.

        The short way for `Interpreter.run`: it checks and allocates at the cost of a few C calls, which is what
        a model of a microsecond needs. `set_single` must have said what fits. None also once this is not current.
        """
        self.lock.enter()
        try:
            return self._run_single(x) if self.current else None
        finally:
            self.lock.leave()

    cdef object _run_single(self, x):
        cdef Py_ssize_t i, n_in = self.plan.input_count
        cdef type given = type(x)
        if given is ndarray:
            if n_in != 1 or not self._take(0, x):
                return None
        elif given is list or given is tuple:
            if len(x) != n_in:
                return None
            for i in range(n_in):
                if type(x[i]) is not ndarray or not self._take(i, x[i]):
                    return None
        else:
            return None
        if given is ndarray and self.plan.output_count == 1:
            output = self._give(1)
            self._run(2, 0, 1, self.plan.threads)
            return output
        outputs = [self._give(n_in + i) for i in range(self.plan.output_count)]
        self._run(n_in + self.plan.output_count, 0, 1, self.plan.threads)
        return outputs

    cdef object _give(self, Py_ssize_t i):
        """Return an array for output `i`, counted behind the inputs, and note its data."""
        output = PyArray_EMPTY(self.fits[i].rank, self.fits[i].dims, self.fits[i].type, 0)
        self.arrays[i] = <char *>PyArray_DATA(<ndarray>output)
        return output

    cdef bint _take(self, Py_ssize_t i, ndarray array):
        """Note the data of input `i`; return whether the array is as it should be."""
        cdef int d
        cdef const Fit *fit = self.fits + i
        if (<object>PyArray_DESCR(array) != self.dtypes[i] or PyArray_NDIM(array) != fit.rank
                or not PyArray_CHKFLAGS(array, NPY_ARRAY_CARRAY_RO)):
            return False
        for d in range(fit.rank):
            if PyArray_DIMS(array)[d] != fit.dims[d]:
                return False
        self.arrays[i] = <char *>PyArray_DATA(array)
        return True

    def set_single(self, inputs, outputs):
        """Say what `run_single` takes and gives, as shapes and dtypes; return whether this plan can be run that way."""
        self.dtypes = [dtype for _, dtype in inputs]
        for i, (shape, dtype) in enumerate((*inputs, *outputs)):
            if self.plan.ports[i].offset < 0 or len(shape) > MAX_RANK:
                return False
            self.fits[i].rank = <int>len(shape)
            self.fits[i].type = dtype.num
            for j, size in enumerate(shape):
                self.fits[i].dims[j] = size
        return True

    cdef _run(self, Py_ssize_t ports, Py_ssize_t start, Py_ssize_t count, int32_t threads):
        """Run `count` times; `ports` is 0 to leave the arena as it is."""
        cdef Py_ssize_t i, j, n_in = min(ports, self.plan.input_count)
        cdef int32_t failed = 0
        cdef qc_status status = QC_OK
        cdef const Port *port = self.plan.ports
        threads = gather_team(threads)
        if self.plan.custom:
            outer = getattr(running, "arena", None)  # of a run whose kernel, in Python, does this one
            running.arena = self.arena
        with nogil:
            for i in range(start, start + count):
                for j in range(n_in):
                    if port[j].offset >= 0:
                        memcpy(self.arena_data + port[j].offset, self.arrays[j] + i * port[j].nbytes, port[j].nbytes)
                status = team_run(
                    team, threads, &self.plan.c, self.table_data, self.scratch_data, self.plan.scratch_bytes, &failed
                )
                if status != QC_OK:
                    break
                for j in range(n_in, ports):
                    if port[j].offset >= 0:
                        memcpy(self.arrays[j] + i * port[j].nbytes, self.arena_data + port[j].offset, port[j].nbytes)
        if self.plan.custom:
            running.arena = outer
        if status != QC_OK:
            self.failed = failed
            raise self.plan.error(failed, <int>status)
