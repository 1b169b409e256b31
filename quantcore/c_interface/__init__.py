"""The C interface of the kernels as data: prototypes, parameter structs, sources.

It is read from the headers of csrc by a preprocessor and a parser in Python (extra ``kernels``), so that what
is said here of a struct is what a compiler says of it.
"""

from quantcore.c_interface.kernel_interface import KernelInterface, kernel_interface
from quantcore.c_interface.params import Enumerator, Struct, read_params
from quantcore.c_interface.source import source_folder
from quantcore.c_interface.writing import write_array, write_params

__all__ = [
    "Enumerator",
    "KernelInterface",
    "Struct",
    "kernel_interface",
    "read_params",
    "source_folder",
    "write_array",
    "write_params",
]
