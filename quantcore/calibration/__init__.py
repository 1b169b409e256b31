"""Calibration: what values the tensors of a float model take on representative data.

Range trackers (`MinMax`, `MovingAverage`, ...) measure one tensor; `Ranges` holds what was found for a whole
model (`collect_ranges` finds them), to be inspected, edited, saved as JSON and given to
`quantcore.quantize_model`.
"""

from quantcore.calibration.collect import collect_ranges
from quantcore.calibration.entropy import Entropy
from quantcore.calibration.mse import MSE
from quantcore.calibration.percentile import Percentile
from quantcore.calibration.ranges import Ranges, TensorRange
from quantcore.calibration.trackers import MinMax, MovingAverage

__all__ = [
    "MSE", "Entropy", "MinMax", "MovingAverage", "Percentile", "Ranges", "TensorRange", "collect_ranges",
]  # fmt: skip
