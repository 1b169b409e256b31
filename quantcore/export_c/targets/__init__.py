"""Exported models on a Cortex-M: boards, the program around the model, QEMU, and what a run says."""

from quantcore.export_c.targets.boards import TARGETS, Target, find_target
from quantcore.export_c.targets.result import Agreement, TargetResult

__all__ = ["TARGETS", "Agreement", "Target", "TargetResult", "find_target"]
