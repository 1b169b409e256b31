"""Post-training quantization: a float `Model` to a quantized one, by the decisions of TFLite's converter.

Each mode is a chain of small passes over a working copy of the model, driven by the `QuantizationRule` in
each operator's module of `quantcore.ops`.
"""
