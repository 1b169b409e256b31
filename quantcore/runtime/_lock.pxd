cdef class Lock:
    cdef unsigned long owner
    cdef Py_ssize_t depth    # how often the owner has entered; 0 where nobody is inside
    cdef Py_ssize_t waiting
    cdef object door
    cdef int enter(self) except -1
    cdef int leave(self) except -1
    cdef int wait(self) except -1
