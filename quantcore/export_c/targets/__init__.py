"""Exported models on a Cortex-M: boards, the program around the model, QEMU, and what a run says."""

from quantcore.export_c.targets.boards import TARGETS, Target, find_target
from quantcore.export_c.targets.result import Agreement, TargetResult
from quantcore.export_c.targets.run import TargetOptions, add_target, oracle_of, prepare, run_target

__all__ = [
    "TARGETS",
    "Agreement",
    "Target",
    "TargetOptions",
    "TargetResult",
    "add_target",
    "find_target",
    "oracle_of",
    "prepare",
    "run_target",
]
