"""The structure of the package: which module may import which.

Every import counts, also those inside of functions and for type checkers alone, and those of Cython.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "quantcore"

# From the bottom up: a module imports from its own package, and from the layers below its own. A name stands
# for a module or a package, without the parts of it that stand elsewhere.
LAYERS = (
    "errors rounding wording",
    "c_compiler differences files layout numerics qparams",
    "graph kernels requantization",
    "c_interface fixed_point flatbuffer",
    "affine subgraphs tf_quantization",
    "ops",
    "custom_kernels shape_arguments",
    "runtime samples",
    "calibration.methods calibration.trackers",  # with which the oracle's process observes
    "oracle",
    "benchmark calibration comparison images inspection kernel_check rounding_error verification",
    "check_kernel compare evaluate export_c verify",
    "quantizer",
    "qat",
    "quantcore",  # its __init__.py
    "demo",
    "cli",
    "__main__",
)
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names.split()}

# They are slow to import and hard to unload: only what runs in a process of its own may.
HEAVY = {"tensorflow", "keras", "ai_edge_litert", "tflite_micro"}
OWN_PROCESS = re.compile(
    r"quantcore\.(oracle\.(conversion|lite|micro|quantization|tensorflow_ops)|\w+\.\w+_script)"
)
# Whoever imports it has a model of Keras in hand, and so Keras and TensorFlow in the process.
WITH_KERAS = re.compile(r"quantcore\.qat(\.\w+)?")

CYTHON_IMPORT = re.compile(
    r"^\s*from +([\w.]+) +c?import +(\([^)]*\)|[^\n]*)|^\s*c?import +([\w.]+)", re.MULTILINE
)


class Import(NamedTuple):
    """That module `source` imports `name` from module `target` ("" for the module itself), and where."""

    source: str
    target: str
    name: str
    where: str


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    """Return the files of the package by module."""
    found = [*(ROOT / PACKAGE).rglob("*.py"), *(ROOT / PACKAGE).rglob("*.pyx")]
    return {name_of(path): path for path in sorted(found)}


def written(path: Path) -> Iterator[tuple[str, list[str], int]]:
    """Yield what a file imports: a module, names from it (none: the module itself), and the line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".pyx":
        for match in CYTHON_IMPORT.finditer(text):
            names = re.findall(r"(\w+)(?: +as +\w+)?", match[2] or "")
            yield match[1] or match[3], names, text.count("\n", 0, match.end()) + 1
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, [], node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: imports are absolute"
            yield str(node.module), [alias.name for alias in node.names], node.lineno
        elif isinstance(node, ast.Call) and re.fullmatch(r"(.*\.)?import_module", ast.unparse(node.func)):
            yield str(getattr(node.args[0], "value", "?")), [], node.lineno  # "?": made up at run time


@cache
def imports() -> list[Import]:
    """Return all imports; a name that is a module counts as that module, and not as its package."""
    found = []
    for source, path in modules().items():
        for module, names, line in written(path):
            where = f"{path.relative_to(ROOT)}:{line}"
            for name in names or [""]:
                whole = f"{module}.{name}"
                found.append(Import(source, *((whole, "") if whole in modules() else (module, name)), where))
    return found


def inner() -> list[Import]:
    return [i for i in imports() if i.target.split(".")[0] == PACKAGE and i.target != i.source]


def part_of(module: str) -> str:
    """Return the name in `LAYERS` that a module belongs to."""
    name = module.removeprefix(f"{PACKAGE}.")
    while name not in LAYER_OF and "." in name:
        name = name.rpartition(".")[0]
    return name


def test_imports_are_found() -> None:
    targets = {(i.source, i.target) for i in inner()}
    assert ("quantcore.ops.node", "quantcore.graph") in targets
    assert ("quantcore.kernels.activation", "quantcore.kernels._core") in targets  # Cython
    assert ("quantcore.cli.verify", "quantcore.verify") in targets  # in a function
    assert all(i.target in modules() for i in inner()), [i for i in inner() if i.target not in modules()]


def test_no_module_imports_itself_through_others() -> None:
    graph: dict[str, set[str]] = {}
    for i in inner():
        graph.setdefault(i.source, set()).add(i.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]
        pairs = set(pairwise(circle))
        lines = [
            f"{i.where}: {i.source} imports {i.target}" for i in inner() if (i.source, i.target) in pairs
        ]
        pytest.fail("modules import each other in a circle:\n" + "\n".join(lines))


def test_every_module_has_a_layer() -> None:
    missing = {part_of(module) for module in modules()} - LAYER_OF.keys()
    assert not missing, f"say in LAYERS what these may import: {', '.join(sorted(missing))}"


def test_imports_point_downwards() -> None:
    wrong = []
    for i in inner():
        source, target = part_of(i.source), part_of(i.target)
        own = source.split(".")[0] == target.split(".")[0]
        if not own and LAYER_OF[target] >= LAYER_OF[source]:
            wrong.append(f"{i.where}: {i.source} imports {i.target}, which is not below it in LAYERS")
    assert not wrong, "\n" + "\n".join(wrong)


def test_one_place_brings_models_and_kernels_together() -> None:
    """Kernels see pointers, and operators see nodes: `runtime` makes the one of the other."""
    users = {i.source for i in inner() if i.target.startswith("quantcore.kernels")}
    knows_models = {i.source for i in inner() if (i.target, i.name) == ("quantcore.graph", "Model")}
    both = {module for module in users & knows_models if not module.startswith("quantcore.runtime.")}
    # It puts the kernel that measures ranges between the steps of a plan.
    assert both == {"quantcore.calibration.measured_plan"}


def test_kernels_def_names_the_headers_of_kernels() -> None:
    """A prototype that is not beside its row is compared with nothing."""
    rows = (ROOT / "csrc" / "kernels.def").read_text()
    headers = (ROOT / "csrc" / "include" / PACKAGE).glob("*.h")
    declaring = [path.name for path in headers if re.search(r"_ref[(,]", path.read_text())]
    assert declaring
    missing = [name for name in declaring if f'#include "{PACKAGE}/{name}"' not in rows]
    assert not missing, f"csrc/kernels.def does not include {', '.join(missing)}"


def test_tensorflow_is_imported_by_processes_of_their_own_alone() -> None:
    users = {i.source: i for i in imports() if i.target.split(".")[0] in HEAVY}
    assert {module for module in users if OWN_PROCESS.fullmatch(module)}
    elsewhere = [i for module, i in users.items() if not OWN_PROCESS.fullmatch(module)]
    assert not [i for i in elsewhere if not WITH_KERAS.fullmatch(i.source)]


def test_qat_is_imported_by_nothing_else() -> None:
    """`quantcore.__getattr__` imports it when it is asked for, by its name in a list."""
    users = [i for i in inner() if WITH_KERAS.fullmatch(i.target) and not WITH_KERAS.fullmatch(i.source)]
    assert not users
