"""How fast quantcore is beside TensorFlow Lite, measured in one run: see `compare_speed` in ``speed``."""
