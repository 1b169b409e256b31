"""Quantization-aware training for Keras 3: a model is trained as its int8 form will compute.

Importing it imports Keras and TensorFlow; ``import quantcore`` does not. docs/qat.md shows its use.
"""

from __future__ import annotations

from quantcore.qat.backend import check_backend

check_backend()

from quantcore.qat.calibrate import calibrate  # noqa: E402
from quantcore.qat.convert import convert  # noqa: E402
from quantcore.qat.fake_quantize import FakeQuantize  # noqa: E402
from quantcore.qat.prepare import prepare  # noqa: E402
from quantcore.qat.recipe import Recipe  # noqa: E402
from quantcore.qat.training import freeze_batch_norm  # noqa: E402
from quantcore.qat.verify import verify  # noqa: E402

__all__ = ["FakeQuantize", "Recipe", "calibrate", "convert", "freeze_batch_norm", "prepare", "verify"]
