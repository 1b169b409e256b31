"""The process that oracles share: started when it is needed, replaced when it dies."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from quantcore.errors import OracleCrashed, OracleError, OracleRefused
from quantcore.oracle.packages import find_package
from quantcore.oracle.process import WorkerProcess

__all__ = ["SharedProcess"]

MAX_REASON = 400
KEPT_MODELS = 16  # in the process, at most

Reply = tuple[dict[str, Any], list[np.ndarray]]


class SharedProcess:
    """The process that an oracle and its siblings use; one request at a time.

    Parameters
    ----------
    package : str or None
        See `quantcore.oracle.packages.find_package`.
    """

    def __init__(self, package: str | None) -> None:
        self.package = package
        self.worker: WorkerProcess | None = None
        self._lock = threading.RLock()

    def start(self) -> WorkerProcess:
        """Return the process that runs, or a new one."""
        with self._lock:
            if self.worker is None:
                self.worker = WorkerProcess(find_package(self.package))
            return self.worker

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self.worker is not None:
                self.worker.close()
                self.worker = None

    def ask(
        self, request: dict[str, Any], arrays: Sequence[np.ndarray], *, timeout: float, doing: str
    ) -> Reply:
        """Return the reply to a request; `doing` says in messages what it is for.

        Raises
        ------
        OracleRefused, OracleCrashed, OracleUnavailable, OracleError
        """
        with self._lock:
            worker = self.start()
            try:
                reply, results = worker.request(request, arrays, timeout=timeout, doing=doing)
            except BaseException:
                self.worker = None  # whatever went wrong, the process has been ended
                raise
        if reply["status"] == "refused":
            reason = reply["reason"]
            if len(reason) > MAX_REASON:  # TFLite repeats itself for every tensor that it dislikes
                reason = f"{reason[:MAX_REASON]} ..."
            raise OracleRefused(f"the oracle refused, {doing}: {reason}")
        if reply["status"] == "failed":
            raise OracleError(f"the oracle's process failed while {doing}: {reply['reason']}")
        return reply, results

    def run(
        self,
        request: dict[str, Any],
        arrays: Sequence[np.ndarray],
        data: bytes,
        *,
        timeout: float,
        doing: str,
    ) -> Reply:
        """Return the reply to a request to run ``request["model"]``, which is the file `data`."""
        with self._lock:
            fresh = self.worker is None or self.worker.requests == 0
            try:
                return self._run_loaded(request, arrays, data, timeout, doing)
            except OracleCrashed:
                if fresh:
                    raise
                # An earlier model may have damaged that process; only a new one tells whose fault it was.
                return self._run_loaded(request, arrays, data, timeout, doing)

    def _run_loaded(
        self, request: dict[str, Any], arrays: Sequence[np.ndarray], data: bytes, timeout: float, doing: str
    ) -> Reply:
        models, key = self.start().models, request["model"]
        if key in models:
            models.remove(key)
        else:
            drop = models[: max(0, len(models) - KEPT_MODELS + 1)]
            load = {"command": "load", "model": key, "drop": drop}
            self.ask(load, [np.frombuffer(data, np.uint8)], timeout=timeout, doing=doing)
            del models[: len(drop)]
        models.append(key)
        return self.ask(request, arrays, timeout=timeout, doing=doing)
