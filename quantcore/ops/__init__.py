"""The operators: one module for each, or for a family that is read together.

`node` holds what a module sees of the model, `registry` how it says that it is there; what several modules
share is in `shared`.
"""
