"""Lowering, arena planning and the Interpreter."""

from quantcore.runtime.interpreter import Interpreter
from quantcore.runtime.operator_runner import OperatorRunner
from quantcore.runtime.signature_runner import SignatureRunner

__all__ = ["Interpreter", "OperatorRunner", "SignatureRunner"]
