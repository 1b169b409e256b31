"""Lowering, arena planning and the Interpreter."""

from quantcore.runtime.interpreter import Interpreter
from quantcore.runtime.signature_runner import SignatureRunner
from quantcore.runtime.single import run_operator

__all__ = ["Interpreter", "SignatureRunner", "run_operator"]
