"""`SignatureRunner`: a signature as a function."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.graph import Signature
from quantcore.runtime.session import Session

__all__ = ["SignatureRunner"]


class SignatureRunner:
    """Runs a signature: keyword arguments in, dict out, by the signature's names."""

    def __init__(self, session: Session, signature: Signature) -> None:
        self._session = session
        self._signature = signature

    def __call__(self, **inputs: Any) -> dict[str, np.ndarray]:
        """Run once; each input may have any shape that the model can be resized to."""
        expected, given = set(self._signature.inputs), set(inputs)
        if expected != given:
            key = self._signature.key
            raise KernelError(f"signature {key!r} takes {sorted(expected)}, got {sorted(given)}")
        session = self._session
        arrays = {name: np.asarray(value) for name, value in inputs.items()}
        with session.lock:
            for name, t in self._signature.inputs.items():
                if session.input_shapes[t] != arrays[name].shape:
                    session.resize(t, arrays[name].shape)
            session.allocate()
            for name, t in self._signature.inputs.items():
                session.set(t, arrays[name])
            session.invoke()
            return {name: session.get(t) for name, t in self._signature.outputs.items()}

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        """Return the details of each input by name."""
        return {name: self._session.details(t) for name, t in self._signature.inputs.items()}

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        """Return the details of each output by name."""
        return {name: self._session.details(t) for name, t in self._signature.outputs.items()}
