"""The packages that provide an oracle, and which kernels each of them has."""

from __future__ import annotations

import importlib.util
from importlib import metadata

from quantcore.errors import OracleError, OracleUnavailable

__all__ = [
    "MICRO",
    "MICRO_PACKAGE",
    "PACKAGES",
    "QUIET",
    "RESOLVERS",
    "find_package",
    "installed_version",
    "package_of",
]

# Environment of a process that imports TensorFlow: no log, no GPU
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

RESOLVERS = ("BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "AUTO")  # of TFLite
MICRO = "TFLM"  # TensorFlow Lite Micro has one set of kernels, and a package of its own
MICRO_PACKAGE = "tflite_micro"

PACKAGES = {"tensorflow": "tensorflow", "ai_edge_litert": "ai-edge-litert", MICRO_PACKAGE: "tflite-micro"}
EXTRAS = {"tensorflow": "oracle", "ai_edge_litert": "oracle", MICRO_PACKAGE: "tflm"}
DEFAULTS = ("tensorflow", "ai_edge_litert")  # what serves where nobody says which


def package_of(resolver: str, package: str | None) -> str | None:
    """Return the package that `resolver` needs; `package` itself, or None, where it may be any of TFLite's.

    Raises
    ------
    OracleError
        There is no such resolver, or `package` does not have it.
    """
    if resolver not in (*RESOLVERS, MICRO):
        raise OracleError(f"unknown resolver {resolver!r}; known: {', '.join((*RESOLVERS, MICRO))}")
    if resolver == MICRO and package is None:
        package = MICRO_PACKAGE
    if (resolver == MICRO) != (package == MICRO_PACKAGE):
        raise OracleError(f"the package {package} has no resolver {resolver}")
    return package


def find_package(package: str | None = None) -> str:
    """Return the import name of the package that provides the oracle, without importing it.

    Parameters
    ----------
    package : str, optional
        ``tensorflow``, ``ai_edge_litert`` or ``tflite_micro``; default: the first of the former two that is
        installed.

    Raises
    ------
    OracleUnavailable
        If it is not installed.
    """
    if package is not None and package not in PACKAGES:
        raise OracleUnavailable(f"unknown oracle package {package!r}; known: {', '.join(PACKAGES)}")
    wanted = [package] if package is not None else DEFAULTS
    for name in wanted:
        if is_installed(name):
            return name
    names = " or ".join(PACKAGES[name] for name in wanted)
    raise OracleUnavailable(
        f"the oracle needs {names}, which is not installed; install it (extra {EXTRAS[wanted[0]]!r} of "
        "quantcore-tflite)"
    )


def installed_version(package: str) -> str:
    """Return the version of the distribution that a package came in, whatever that is called."""
    return metadata.version(metadata.packages_distributions()[package][0])


def is_installed(package: str) -> bool:
    """Whether Python finds a package; an import hook that forbids it counts as no."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # ValueError: a stand-in module without a spec
        return False
