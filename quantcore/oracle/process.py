"""A worker process, seen from the parent: start it, ask it, notice when it dies."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from quantcore.errors import OracleCrashed, OracleError
from quantcore.oracle import protocol
from quantcore.oracle.packages import QUIET

__all__ = ["WorkerProcess"]

STARTUP_TIMEOUT = 300.0
NOISE_SHOWN = 300


class WorkerProcess:
    """A running ``quantcore.oracle.worker``.

    What TensorFlow prints goes to a temporary file, whose end is quoted when the process dies.

    Attributes
    ----------
    models : list of str
        Keys of the models that have been loaded into it, the one that was run last at the end.
    """

    def __init__(self, package: str) -> None:
        ours, theirs = socket.socketpair()
        noise = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the worker)
        command = [
            sys.executable,
            "-P",
            "-W",
            "ignore",
            "-m",
            "quantcore.oracle.worker",
            str(theirs.fileno()),
            package,
        ]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=noise,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            env=worker_environment(),
            start_new_session=True,  # Ctrl-C is for the parent, which then ends the worker
        )
        theirs.close()
        self.process, self.channel, self.noise = process, ours, noise
        self.requests = 0
        self.models: list[str] = []
        self._noise_start = 0
        self._finalizer = weakref.finalize(self, _end, process, ours, noise, os.getpid())
        reply, _ = self.request({"command": "hello"}, timeout=STARTUP_TIMEOUT, doing=f"importing {package}")
        self.version: str = reply["version"]
        self.requests = 0
        self._noise_start = os.fstat(noise.fileno()).st_size  # what the import printed explains no crash

    def request(
        self, header: dict[str, Any], arrays: Sequence[np.ndarray] = (), *, timeout: float, doing: str
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Send a request and return the reply. After any exception the process is gone."""
        self.requests += 1
        deadline = time.monotonic() + timeout
        self.channel.settimeout(timeout)
        try:
            protocol.send(self.channel, header, arrays)
            return protocol.receive(self.channel, deadline)
        except TimeoutError:
            self.close()
            raise OracleError(
                f"the oracle did not answer within {timeout:g} s while {doing}; its process was ended "
                "(raise the time-out, or use fewer samples)"
            ) from None
        except (EOFError, OSError, protocol.ProtocolError) as error:
            raise self._crashed(doing, error) from None
        except BaseException:
            self.close()
            raise

    def _crashed(self, doing: str, error: Exception) -> OracleCrashed:
        if isinstance(error, protocol.ProtocolError):  # still alive, but no longer sane
            self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        code = self.process.poll()
        said = self._last_noise()
        self.close()
        name = signal.Signals(-code).name if code is not None and code < 0 else None
        how = f"was ended by {name}" if name else f"exited with code {code}"
        quoted = f"; it said: {said}" if said else ""
        return OracleCrashed(f"the oracle's process {how} while {doing}{quoted}", name)

    def _last_noise(self) -> str:
        self.noise.seek(self._noise_start)
        lines = [line.strip() for line in self.noise.read().decode(errors="replace").splitlines()]
        return " | ".join([line for line in lines if line][-3:])[-NOISE_SHOWN:]

    def close(self) -> None:
        """End the process. Calling it twice does no harm."""
        self._finalizer()


def worker_environment() -> dict[str, str]:
    """Return the environment of a process that finds quantcore where this one did, and is quiet."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    return {
        **QUIET,
        **os.environ,
        "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root,
    }


def _end(process: subprocess.Popen[bytes], channel: socket.socket, noise: BinaryIO, owner: int) -> None:
    if os.getpid() != owner:  # a forked copy of the parent; the worker is not its to end
        return
    channel.close()
    if process.poll() is None:
        process.kill()
    process.wait()
    noise.close()
