"""Kernels that a user wrote, in the place of quantcore's own."""

from quantcore.custom_kernels.c_kernel import CKernel
from quantcore.custom_kernels.keys import Kernel, KernelTable
from quantcore.custom_kernels.operator_info import OperatorInfo, TensorInfo

__all__ = ["CKernel", "Kernel", "KernelTable", "OperatorInfo", "TensorInfo"]
