"""Kernels that a user wrote, in the place of quantcore's own."""

from quantcore.custom_kernels.c_kernel import CKernel

__all__ = ["CKernel"]
