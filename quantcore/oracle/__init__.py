"""TensorFlow Lite as the judge: its interpreter and converter, in a process of their own."""

from quantcore.oracle.client import Oracle, convert
from quantcore.oracle.packages import find_package

__all__ = ["Oracle", "convert", "find_package"]
