"""The versions for AMX on tiles that are emulated: the bits of the definition, and nothing that would fault.

A machine that has tiles runs the same versions in every other test; on one that has AVX-512 alone, this is
the proof.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quantcore.kernels._batch_matmul import batch_matmul_call
from quantcore.kernels._core import KernelCall, Requant, kernel_table

from quantcore.c_compiler import find_compiler
from quantcore.errors import KernelError
from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.matmul_shape import matmul_shape
from tests.kernels.drawn_products import (
    Product,
    convolution,
    convolutions,
    drawn,
    fully_connected,
    fully_connecteds,
    requant,
)
from tests.ops.harness import instruction_sets, using

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FLAGS = ["-std=c11", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]  # of setup.py
VECTOR_FILES = [
    "batch_matmul", "conv", "fully_connected", "gemm", "gemm_vnni", "matmul_s16", "pack_matrix", "product",
    "product_vnni", "row_vnni", "tiles",
]  # fmt: skip
SOURCES = [
    "tests/amx/kernels.c",
    "csrc/pack_filter.c",
    *(f"csrc/x86/{name}.c" for name in VECTOR_FILES),
]

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or "vnni" not in instruction_sets(), reason="needs a CPU with AVX-512 VNNI"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Return the kernels on emulated tiles. For what is not called, there are names alone."""
    try:
        compiler = find_compiler()
    except KernelError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("amx")
    flags = [*FLAGS, f'-DQC_EMULATED_TILES="{HERE / "emulated_tiles.h"}"']

    def compile_one(source: str) -> Path:
        level = "-O2" if source.startswith("tests") else "-O1"
        include = [ROOT / "csrc/include", ROOT / "csrc"]
        made = folder / f"{Path(source).stem}.o"
        return compiler.program([ROOT / source], made, flags=[*flags, level, "-c"], include=include)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, SOURCES))
    made = compiler.shared_library(objects, folder / "kernels.so")
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", made], check=True, capture_output=True, text=True
    )
    missing = [line.split()[-1] for line in listed.stdout.splitlines() if line.split()[-1].startswith("qc_")]
    other = folder / "other.c"
    other.write_text("".join(f"const char {name}[1024];\n" for name in missing))
    found = ctypes.CDLL(str(compiler.shared_library([*objects, other], made)))
    found.emulated_products.restype = ctypes.c_int64
    return found


def guarded(size: int) -> np.ndarray:
    """Return memory that ends where a page begins that nobody may read or write."""
    page = mmap.PAGESIZE
    whole = -(-size // page) * page
    memory = mmap.mmap(-1, whole + page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address + whole), page, 0) == 0  # PROT_NONE
    return np.frombuffer(memory, np.uint8, size, whole - size)


def copy_guarded(array: np.ndarray) -> np.ndarray:
    made = guarded(array.nbytes).view(array.dtype).reshape(array.shape)
    made[...] = array
    return made


def run_emulated(library: ctypes.CDLL, call: KernelCall, inputs: list[np.ndarray], output: np.ndarray) -> int:
    """Run the version for AMX of a call that was made for VNNI; return how many products of tiles it took."""
    tensors = [copy_guarded(x) for x in inputs]
    made, scratch = copy_guarded(output), guarded(-(-call.scratch_bytes // 64) * 64)
    params = ctypes.create_string_buffer(call.params_data, len(call.params_data))
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in (*tensors, made, scratch)]
    before = library.emulated_products()
    status = library[f"qc_{call.name}_amx"](params, *pointers)
    assert status == 0
    assert library.emulated_tiles_are_in_use() == 0
    output[...] = made
    return int(library.emulated_products() - before)


def compare(library: ctypes.CDLL, product: Product) -> int:
    """Compare with the definition; return the number of products of tiles."""
    results = [np.full(product.output_shape, 77, product.inputs[0].dtype) for _ in "ab"]
    with using("scalar"):
        product.make()(product.inputs, [results[0]])
    with using("vnni"):
        call = product.make()
    count = run_emulated(library, call, product.inputs, results[1])
    np.testing.assert_array_equal(results[1], results[0], err_msg=str(product.what))
    return count


def test_check_of_tiles(library: ctypes.CDLL) -> None:
    assert library.qc_tiles_work() == 1


def test_every_version_for_amx_is_compared() -> None:
    assert {name for name, isa in kernel_table() if isa == "amx"} == {
        "batch_matmul_s8",
        "conv_s8",
        "conv_u8",
        "fully_connected_s8",
        "fully_connected_u8",
    }


@pytest.mark.slow
def test_convolutions(library: ctypes.CDLL) -> None:
    """As for the other instruction sets, and of depths and widths that make several tiles, and tails."""
    rng = np.random.default_rng(2)
    counts = [compare(library, product) for product in convolutions(150)]
    for _ in range(60):
        groups = drawn(rng, (1, 1), (1, 2))
        depth, units = drawn(rng, (4, 40), (60, 68), (120, 300)), drawn(rng, (1, 17), (30, 70))
        window = (1, 1) if rng.random() < 0.5 else (drawn(rng, (1, 3)), drawn(rng, (1, 3)))
        output = (drawn(rng, (1, 3)), drawn(rng, (1, 70)))
        rest = (*(drawn(rng, (1, 1), (1, 2)) for _ in range(4)), *(drawn(rng, (-1, 2)) for _ in "hw"))
        size = (drawn(rng, (1, 6)), drawn(rng, (4, 70)))
        shape = ConvShape(1, *size, depth * groups, *window, *output, units * groups, *rest)
        counts.append(compare(library, convolution(rng, shape, groups)))
    assert np.mean(np.array(counts) > 0) > 0.75


@pytest.mark.slow
def test_fully_connected(library: ctypes.CDLL) -> None:
    """Every number of rows, and of depths: steps of one size, and with a smaller one at the end."""
    rng = np.random.default_rng(3)
    for product in fully_connecteds(60):
        compare(library, product)
    for rows in range(1, 70):
        depth, units = drawn(rng, (1, 64), (65, 300)), drawn(rng, (1, 16), (17, 80))
        assert (compare(library, fully_connected(rng, rows, depth, units)) > 0) == (rows >= 4)
    for depth in range(1, 330, 3):
        assert compare(library, fully_connected(rng, 18, depth, drawn(rng, (1, 40)))) > 0
    assert compare(library, fully_connected(rng, 130, 1024, 72)) > 0


@pytest.mark.slow
def test_batch_matmul(library: ctypes.CDLL) -> None:
    """By the kernel of FULLY_CONNECTED."""
    rng = np.random.default_rng(4)
    for number in range(40):
        rows, depth, columns = drawn(rng, (4, 60)), drawn(rng, (1, 200)), drawn(rng, (1, 70))
        adjoint = number % 2 == 1
        rhs = (2, columns, depth) if adjoint else (2, depth, columns)
        shape, output = matmul_shape((2, rows, depth), rhs, False, adjoint)
        given = [rng.integers(-128, 128, s).astype(np.int8) for s in ((2, rows, depth), rhs)]
        store = requant(rng, "int8", 1, depth)
        offsets = {"lhs_offset": drawn(rng, (-127, 128)), "rhs_offset": drawn(rng, (0, 0), (-127, 128))}

        def make(shape: Any = shape, store: Any = store, offsets: Any = offsets) -> KernelCall:
            return batch_matmul_call("int8", shape, requant=Requant(**store), **offsets)

        assert compare(library, Product(make, given, output, (shape, store["rounding"]))) > 0
