"""How many threads there are to be: what the machine has, the caller wants, and threadpoolctl allows."""

from __future__ import annotations

import os

from quantcore.errors import KernelError
from quantcore.runtime._plan import MAX_THREADS, get_thread_limit, set_thread_limit

__all__ = ["available_threads", "resolve_threads"]


def available_threads() -> int:
    """Return how many threads this process has by default: one per core, but for threadpoolctl's limit."""
    return min(cores(), int(get_thread_limit()))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve_threads(num_threads: int | None) -> int:
    """Return how many threads are meant by `num_threads`: None and, as in TFLite, -1 are `available_threads`.

    Raises
    ------
    KernelError
        For 0, and other negative numbers.
    """
    if num_threads is None or num_threads == -1:
        return available_threads()
    if num_threads < 1:
        raise KernelError(f"num_threads is {num_threads}; expected at least 1, or -1 for all cores")
    return min(num_threads, int(MAX_THREADS))


def register_with_threadpoolctl() -> None:
    """Have `threadpoolctl.threadpool_limits` limit our threads too, where threadpoolctl is installed."""
    try:
        import threadpoolctl
    except ImportError:
        return

    class Controller(threadpoolctl.LibController):  # type: ignore[misc]
        """Our threads, as threadpoolctl sees them: found by the library that starts them."""

        user_api = "quantcore"
        internal_api = "quantcore"
        filename_prefixes = ("_plan.",)
        check_symbols = ("PyInit__plan",)

        def get_num_threads(self) -> int:
            return available_threads()

        def set_num_threads(self, num_threads: int) -> None:
            # What `get_num_threads` said is set again when a limit ends: it limits nobody who asks for more.
            set_thread_limit(num_threads if num_threads < cores() else MAX_THREADS)

        def get_version(self) -> None:
            return None

    threadpoolctl.register(Controller)


register_with_threadpoolctl()
