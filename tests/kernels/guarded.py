"""Arrays beyond whose end nothing can be read or written."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np


class Guarded:
    """Copies of arrays that end where a page without access begins: reading or writing past them is fatal."""

    def __init__(self) -> None:
        self.maps: list[mmap.mmap] = []
        self.mprotect = ctypes.CDLL(None, use_errno=True).mprotect

    def __call__(self, array: np.ndarray) -> np.ndarray:
        pages = -(-array.nbytes // mmap.PAGESIZE)
        memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
        self.maps.append(memory)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        end = pages * mmap.PAGESIZE
        assert self.mprotect(ctypes.c_void_p(start + end), mmap.PAGESIZE, 0) == 0
        copy = np.frombuffer(memory, array.dtype, array.size, end - array.nbytes).reshape(array.shape)
        copy[...] = array
        return copy
