"""The ``.tflite`` file format: a verified reader and a writer, driven by one table of the schema."""

from quantcore.flatbuffer.reader import read_model
from quantcore.flatbuffer.writer import save_model, write_model

# What they are called in the package quantcore.
load, save = read_model, save_model

__all__ = ["load", "read_model", "save", "save_model", "write_model"]
