"""`Lock`: a reentrant lock that costs little where nobody waits for it."""

import threading

from cpython.pythread cimport PyThread_get_thread_ident


cdef class Lock:
    """A reentrant lock, to be held by ``with``, or between `enter` and `leave` in Cython.

    `threading.RLock` takes as long as a small model. Here whoever finds nobody inside only notes that it is there: no
    two threads do that at once, since the interpreter's own lock is held. Those who wait do so at a door, which the one
    inside opens when it leaves.
    """

    def __init__(self):
        self.door = threading.Lock()

    def __enter__(self):
        self.enter()

    def __exit__(self, kind, error, traceback):
        self.leave()

    cdef int enter(self) except -1:
        cdef unsigned long thread = <unsigned long>PyThread_get_thread_ident()
        if self.depth != 0 and self.owner == thread:
            self.depth += 1
            return 0
        if self.depth != 0 or self.waiting != 0:
            self.wait()
        self.owner = thread
        self.depth = 1
        return 0

    cdef int leave(self) except -1:
        self.depth -= 1
        if self.depth == 0 and self.waiting != 0 and self.door.locked():
            self.door.release()
        return 0

    cdef int wait(self) except -1:
        """Wait for a turn at the door, behind those who wait already: who has passed it goes in before others.

        Only while this thread stands there can others go on.
        """
        self.waiting += 1
        try:
            while True:
                if self.depth != 0:
                    self.door.acquire(False)  # shut, for the owner to open
                self.door.acquire()
                if self.depth == 0:
                    return 0
        finally:
            self.waiting -= 1
