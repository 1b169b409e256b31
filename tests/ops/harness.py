"""Single-operator models, our result and TensorFlow Lite's, compared bit for bit.

A test builds a model of one operator (or a few), draws data that hits saturation and ties, and calls
`check`, which fails unless both engines ran and agree in dtype, shape and every bit::

    import numpy as np
    from tests.ops.harness import check, const, covers, op_model, random_values, tensor

    def test_conv_2d():
        rng = np.random.default_rng(0)
        model = op_model(
            "CONV_2D",
            inputs=[
                tensor((1, 9, 7, 5), "int8", scale=0.05, zero_point=-3),
                const(random_values(rng, (4, 3, 3, 5), "int8"), scale=[0.001, 0.002, 0.003, 0.004]),
                const(rng.integers(-9000, 9000, 4, dtype=np.int32), scale=[5e-5, 1e-4, 1.5e-4, 2e-4]),
            ],
            outputs=[tensor((), "int8", scale=0.1, zero_point=4)],
            options={"padding": "SAME", "stride_w": 2, "stride_h": 1, "fused_activation_function": "RELU6"},
            version=3,
        )
        (y,) = check(model, [random_values(rng, (1, 9, 7, 5), "int8")])
        covers(y, low=4, high=64)      # the data reached both bounds of RELU6 and values in between

- `tensor` describes a run-time tensor, `const` one with data, None an omitted input. In `op_model` every
  `tensor` among the inputs is a graph input, in order, and all outputs are graph outputs. Shapes of outputs
  need not be given: TFLite computes them, and the comparison covers them.
- `graph_model` builds several operators over named tensors.
- Options are named as in ``quantcore/flatbuffer/options.py``; what is left out has the schema's default
  (which for strides is 0: give them).
- Every version of a kernel that this machine can run is compared, the vector versions and the definition.
- `check` takes one sample (list of arrays), `check_samples` many for one model at little cost, and with
  ``keep_state=True`` consecutive invocations of a model with state.
- ``numerics`` chooses the profile, and with it the oracle. For ``xnnpack`` and ``tflm`` shapes are stored
  before (`with_shapes`): XNNPACK decides by them what it takes over, and TFLite Micro computes none.
- `refusal` returns TFLite's reason for rejecting a model, for options that both must refuse.
- TFLite wants a valid operator version, a bias for quantized CONV_2D, and biases with scale
  ``input scale * filter scale``: `bias_scale` gives it.
- `run_page` executes the Python block of a page in docs/numerics and returns its names.

Two oracle processes, of TFLite and of TFLite Micro, are shared by all tests of a session and replaced when
they crash. Tests that call one are skipped only where its package is not installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantcore import numerics as profiles
from quantcore.differences import differing
from quantcore.errors import OracleRefused, OracleUnavailable
from quantcore.flatbuffer import read_model, write_model
from quantcore.flatbuffer.schema import options_table, options_union
from quantcore.graph import Model, Operator, Quantization, Subgraph, Tensor
from quantcore.kernels import _core
from quantcore.numerics import Rule, get_profile
from quantcore.ops.registry import load_operators
from quantcore.oracle import Oracle, find_package
from quantcore.runtime import Interpreter

REPOSITORY = Path(__file__).resolve().parents[2]
PROFILES = tuple(profiles.PROFILES)
TFLITE = tuple(name for name in PROFILES if get_profile(name).package is None)  # without TFLite Micro

# Building models ------------------------------------------------------------------------------------


def tensor(
    shape: Sequence[int] = (),
    dtype: str = "int8",
    scale: Any = None,
    zero_point: Any = 0,
    *,
    axis: int = 0,
    data: np.ndarray | None = None,
    variable: bool = False,
    name: str = "",
) -> Tensor:
    """Describe a tensor.

    Parameters
    ----------
    shape : sequence of int
        May be left out for outputs.
    dtype : str
        As in `quantcore.graph.Tensor`.
    scale, zero_point : float or array_like, optional
        No scale: not quantized. Several scales: per channel along `axis`.
    data : ndarray, optional
        Constant value; `const` is shorter.
    variable : bool
        State that persists between invocations.
    """
    quantization = None
    if scale is not None:
        scales = np.atleast_1d(np.asarray(scale, np.float32))
        zeros = np.broadcast_to(np.asarray(zero_point, np.int64), scales.shape).copy()
        quantization = Quantization(scales, zeros, axis)
    return Tensor(name, tuple(shape), dtype, data=data, quantization=quantization, is_variable=variable)


def const(data: Any, scale: Any = None, zero_point: Any = 0, *, axis: int = 0, name: str = "") -> Tensor:
    """Describe a constant; its dtype is that of `data` (an ndarray)."""
    data = np.asarray(data)
    return tensor(data.shape, data.dtype.name, scale, zero_point, axis=axis, data=data, name=name)


def i32(*values: Any) -> Tensor:
    """Describe an int32 constant: a vector, or from rows a matrix."""
    return const(np.array(values, np.int32))


def i32_scalar(value: int) -> Tensor:
    """Describe an int32 constant without dimensions."""
    return const(np.array(value, np.int32))


def packed(values: np.ndarray) -> np.ndarray:
    """Return 4-bit values two in a byte, the first in the low half, as `Tensor.data` has them."""
    flat = np.append(values.reshape(-1), np.zeros(values.size % 2, np.int8)).astype(np.uint8) & 15
    return flat[::2] | flat[1::2] << 4


def bias_scale(input_tensor: Tensor, filter_tensor: Tensor) -> np.ndarray:
    """Return ``input scale * filter scale``, as TFLite wants it on a bias."""
    assert input_tensor.quantization is not None
    assert filter_tensor.quantization is not None
    return input_tensor.quantization.scale * filter_tensor.quantization.scale


def op_model(
    op: str,
    inputs: Sequence[Tensor | None],
    outputs: Sequence[Tensor],
    options: Mapping[str, Any] | None = None,
    *,
    version: int = 1,
    custom_code: str | None = None,
    custom_options: bytes | None = None,
    intermediates: Sequence[Tensor] = (),
) -> Model:
    """Return a model of one operator; run-time inputs (not variable ones) are the graph's inputs."""
    named: dict[str, Tensor] = {}
    node = Op(op, _name(inputs, "input", named), _name(outputs, "output", named), options, version)
    node.custom_code, node.custom_options = custom_code, custom_options
    node.intermediates = _name(intermediates, "intermediate", named)
    given = [n for n in node.inputs if n and named[n].data is None and not named[n].is_variable]
    return graph_model(named, [node], list(dict.fromkeys(given)), [n for n in node.outputs if n])


@dataclass
class Op:
    """An operator of `graph_model`: tensors by name, "" for an omitted input."""

    op: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    options: Mapping[str, Any] | None = None
    version: int = 1
    custom_code: str | None = None
    custom_options: bytes | None = None
    intermediates: Sequence[str] = ()


def graph_model(
    tensors: Mapping[str, Tensor],
    operators: Sequence[Op],
    inputs: Sequence[str],
    outputs: Sequence[str],
    called: Sequence[Model] = (),
) -> Model:
    """Return a model of several operators over named tensors; main subgraphs of `called` are 1, 2 ....

    It has been written and read back, so that options have their defaults and constants are views of a file,
    as in any model.
    """
    index = {name: i for i, name in enumerate(tensors)} | {"": -1}
    for name, item in tensors.items():
        item.name = item.name or name
    nodes = [_operator(o, index) for o in operators]
    ends = [tuple(index[n] for n in names) for names in (inputs, outputs)]
    subgraph = Subgraph("main", list(tensors.values()), nodes, *ends)
    others = [model.subgraphs[0] for model in called]
    for other in others:  # the writer gives its constants buffers of this model
        other.tensors = [replace(item, buffer=0) for item in other.tensors]
    return read_model(write_model(Model([subgraph, *others])))


def _operator(o: Op, index: Mapping[str, int]) -> Operator:
    """Return the operator with its options table, which is written even where all is default."""
    table = options_table(o.op)
    second = table is not None and options_union(table) == "BuiltinOptions2"
    return Operator(
        o.op,
        o.version,
        tuple(index[n] for n in o.inputs),
        tuple(index[n] for n in o.outputs),
        dict(o.options or {}),
        options_type=None if second else table,
        options_2_type=table if second else None,
        custom_code=o.custom_code,
        custom_options=o.custom_options,
        intermediates=tuple(index[n] for n in o.intermediates),
    )


def _name(items: Sequence[Tensor | None], role: str, named: dict[str, Tensor]) -> list[str]:
    """Name tensors after their place; the same object twice is one tensor."""
    names = []
    for position, item in enumerate(items):
        known = [name for name, other in named.items() if other is item]
        name = "" if item is None else known[0] if known else f"{role}{position}"
        if item is not None:
            named[name] = item
        names.append(name)
    return names


# Running and comparing ------------------------------------------------------------------------------

_oracles: dict[str, Oracle] = {}


def get_oracle(numerics: str = "reference") -> Oracle:
    """Return the session's oracle for a numerics profile; skips the test where it is not installed."""
    profile = get_profile(numerics)
    try:
        find_package(profile.package)
    except OracleUnavailable as error:
        pytest.skip(str(error))
    if numerics not in _oracles:
        if profile.package is None and numerics != "reference":  # one TensorFlow serves all of its resolvers
            _oracles[numerics] = get_oracle().sibling(profile.resolver)
        else:
            _oracles[numerics] = Oracle(profile.resolver, package=profile.package)
    return _oracles[numerics]


def has_rule(numerics: str, op: str, dtype: str) -> bool:
    """Whether a profile (a delegate's: its fallback) has a rule for outputs of `dtype`."""
    return get_profile(numerics).rule(load_operators()[op].rules, dtype) is not None


def set_rule(monkeypatch: pytest.MonkeyPatch, numerics: str, op: str, dtype: str, rule: Rule | None) -> None:
    """Give an operator another rule; None takes away what it has."""
    rules = load_operators()[op].rules
    rows = {**rules.get(numerics, {}), dtype: rule}
    monkeypatch.setitem(rules, numerics, {key: row for key, row in rows.items() if row is not None})


def run_ours(model: Model, inputs: Sequence[np.ndarray], numerics: str = "reference") -> list[np.ndarray]:
    """Return our outputs; inputs of another shape than the stored one resize the model."""
    return invoke_ours(Interpreter(model, numerics), inputs)


def invoke_ours(interpreter: Interpreter, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the outputs of one more invocation."""
    model = interpreter.model
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        if tuple(detail["shape"]) != np.shape(value):
            interpreter.resize_tensor_input(detail["index"], np.shape(value))
    interpreter.allocate_tensors()
    for t, value in zip(model.subgraphs[0].inputs, inputs, strict=True):
        interpreter.set_tensor(t, value)
    interpreter.invoke()
    return [interpreter.get_tensor(t) for t in model.subgraphs[0].outputs]


def check(model: Model, inputs: Sequence[np.ndarray], *, numerics: str = "reference") -> list[np.ndarray]:
    """Run one sample through both engines, assert that the outputs agree in every bit, and return them."""
    return check_samples(model, [inputs], numerics=numerics)[0]


def check_samples(
    model: Model,
    samples: Sequence[Sequence[np.ndarray]],
    *,
    numerics: str = "reference",
    keep_state: bool = False,
) -> list[list[np.ndarray]]:
    """Like `check` for several samples; returns the outputs of each.

    With `keep_state`, they are consecutive invocations, and variable tensors are handed on. For ``tflm`` all
    samples must have the same shapes.
    """
    assert samples, "no samples to compare"
    if numerics in ("xnnpack", "tflm"):
        model = with_shapes(model, samples[0])
    expected = get_oracle(numerics).run_batch(model, [list(s) for s in samples], keep_state=keep_state)
    assert len(expected) == len(samples)
    kernels = compare_all(model, samples, expected, numerics, keep_state)
    for isa in lower_instruction_sets(kernels):
        with using(isa):
            compare_all(model, samples, expected, numerics, keep_state)
    return expected


def compare_all(
    model: Model,
    samples: Sequence[Sequence[np.ndarray]],
    expected: Sequence[Sequence[np.ndarray]],
    numerics: str,
    keep_state: bool,
) -> dict[str, str]:
    """Assert that our outputs are the expected ones; return what `kernels_of` does."""
    ops = "+".join(op.op for op in model.subgraphs[0].operators)
    interpreter = Interpreter(model, numerics)
    kernels: dict[str, str] = {}
    for number, (sample, wanted) in enumerate(zip(samples, expected, strict=True)):
        if number and not keep_state:
            interpreter = Interpreter(model, numerics)
        ours = invoke_ours(interpreter, sample)
        kernels.update(kernels_of(interpreter))
        assert len(ours) == len(wanted) > 0, f"{ops}: {len(ours)} outputs, the oracle has {len(wanted)}"
        for k, (a, b) in enumerate(zip(ours, wanted, strict=True)):
            assert_same_bits(a, b, f"{_core.isa}, {numerics}: {ops}, sample {number}, output {k}")
    return kernels


def kernels_of(interpreter: Interpreter) -> dict[str, str]:
    """Return the instruction set of each kernel that an interpreter runs."""
    return {step.call.name: step.call.isa for step in interpreter._session._executable.lowered.steps}


def lower_instruction_sets(kernels: Mapping[str, str]) -> list[str]:
    """Return the instruction sets below those in use that have versions of their own of these kernels."""
    order = _core.ISA_NAMES.index
    return sorted(
        {isa for name, isa in _core.kernel_table() if name in kernels and order(isa) < order(kernels[name])},
        key=order,
    )


def instruction_sets() -> list[str]:
    """Return the instruction sets that this CPU has, the slowest first."""
    before = _core.select_isa()
    best = _core.isa
    _core.select_isa(before)
    return list(_core.ISA_NAMES[: _core.ISA_NAMES.index(best) + 1])


@contextmanager
def using(isa: str) -> Iterator[None]:
    """Use the kernel versions of an instruction set."""
    before = _core.select_isa(isa)
    try:
        yield
    finally:
        _core.select_isa(before)


def with_shapes(model: Model, inputs: Sequence[np.ndarray]) -> Model:
    """Return a copy whose tensors have the stored shape that a converter would give them.

    XNNPACK decides what to take over before any shape is computed, and declines operators whose stored output
    shape has the wrong rank: without this, it would silently leave them to the optimized kernels. TFLite
    Micro takes all shapes from the file. Where all are stored already, nothing is asked.
    """
    graph = model.subgraphs[0]
    written = [graph.tensors[t] for op in graph.operators for t in op.outputs if t >= 0]
    fits = [graph.tensors[t].shape == np.shape(x) for t, x in zip(graph.inputs, inputs, strict=True)]
    if all(fits) and all(item.shape or item.is_variable for item in written):
        return model
    computed = get_oracle("optimized").run_all(model, list(inputs))
    tensors = [
        replace(item, shape=computed[t].shape) if t in computed else item
        for t, item in enumerate(graph.tensors)
    ]
    return replace(model, subgraphs=[replace(graph, tensors=tensors), *model.subgraphs[1:]])


def refusal(model: Model, inputs: Sequence[np.ndarray], *, numerics: str = "reference") -> str:
    """Return why the oracle refuses the model; fails where it runs it."""
    with pytest.raises(OracleRefused) as caught:
        get_oracle(numerics).run(model, list(inputs))
    return str(caught.value)


def assert_same_bits(ours: np.ndarray, expected: np.ndarray, what: str = "") -> None:
    """Assert equal dtype, shape and bits; any NaN equals any NaN, but 0.0 differs from -0.0."""
    assert ours.dtype == expected.dtype, f"{what}: dtype {ours.dtype}, expected {expected.dtype}"
    assert ours.shape == expected.shape, f"{what}: shape {ours.shape}, expected {expected.shape}"
    different = differing(ours, expected)
    count = int(different.sum())
    if count:
        first = tuple(int(i) for i in np.argwhere(different)[0])
        exact = (lambda v: float(v).hex()) if ours.dtype.kind == "f" else (lambda v: repr(v.item()))
        raise AssertionError(
            f"{what}: {count} of {ours.size} elements differ, first at {first}: ours {ours[first]} "
            f"({exact(ours[first])}), expected {expected[first]} ({exact(expected[first])})"
        )


# Data -----------------------------------------------------------------------------------------------


def every_byte(dtype: str) -> np.ndarray:
    """Return all values of an 8-bit dtype."""
    return np.arange(256, dtype=np.uint8).view(dtype)


def random_values(
    rng: np.random.Generator, shape: Sequence[int], dtype: str = "int8", **bounds: Any
) -> np.ndarray:
    """Return data over the whole range of a dtype, with its extremes; floats: see `random_floats`.

    ``low`` and ``high`` (inclusive) narrow the range of integers.
    """
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return random_floats(rng, shape, **bounds).astype(kind)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    info = np.iinfo(kind)
    low, high = bounds.get("low", info.min), bounds.get("high", info.max)
    values = rng.integers(low, high, shape, dtype=kind, endpoint=True)
    flat = values.reshape(-1)
    for position, extreme in zip(rng.permutation(flat.size), (low, high, low, high), strict=False):
        flat[position] = extreme
    return values


def random_floats(
    rng: np.random.Generator, shape: Sequence[int], *, scale: float = 1.0, special: bool = False
) -> np.ndarray:
    """Return float32 data of mixed magnitude; with `scale`, many values are ties ``(k + 0.5) * scale``.

    A third are normal draws times 50 `scale`, a third ties and their neighbours, the rest small, large or
    zero of both signs. `special` adds infinities and NaN.
    """
    count = int(np.prod(shape, dtype=int))
    step = np.float32(scale)
    ties = (rng.integers(-140, 140, count).astype(np.float32) + np.float32(0.5)) * step
    neighbours = np.nextafter(ties, np.where(rng.random(count) < 0.5, -np.inf, np.inf).astype(np.float32))
    spread = rng.standard_normal(count) * np.exp(rng.uniform(-20, 8, count)) * scale
    rare = [0.0, -0.0, 1e-45, -1e-45, 1e-30, 1e30, -1e30] + ([np.inf, -np.inf, np.nan] if special else [])
    choices = [rng.standard_normal(count) * 50 * scale, ties, neighbours, spread, rng.choice(rare, count)]
    which = rng.choice(len(choices), count, p=[0.35, 0.2, 0.15, 0.2, 0.1])
    return np.choose(which, [c.astype(np.float32) for c in choices]).reshape(shape)


def random_scale(
    rng: np.random.Generator, low: float = 1e-3, high: float = 0.1, size: int | None = None
) -> Any:
    """Return float32 scales, log-uniform in [low, high]."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size)).astype(np.float32)


def tie_scales(rng: np.random.Generator, shift: int) -> tuple[np.float32, np.float32, np.float32]:
    """Return ``(input, filter, output)`` scales whose multiplier is exactly ``2**-shift``.

    An accumulator is then a rounding tie whenever its low `shift` bits are ``100...0``: one in ``2**shift``.
    """
    a, b = (int(rng.integers(-8, -2)) for _ in range(2))
    return np.float32(2.0**a), np.float32(2.0**b), np.float32(2.0 ** (a + b + shift))


def covers(y: np.ndarray, *, low: int | None = None, high: int | None = None) -> None:
    """Assert that integer data reaches both bounds (default: those of the dtype) and values in between."""
    info = np.iinfo(y.dtype)
    low, high = info.min if low is None else low, info.max if high is None else high
    assert (y == low).any(), f"no output at the lower bound {low}; smallest is {y.min()}"
    assert (y == high).any(), f"no output at the upper bound {high}; largest is {y.max()}"
    inside = int(((y > low) & (y < high)).sum())
    assert inside >= y.size // 10, f"only {inside} of {y.size} outputs lie between {low} and {high}"


# Pages ----------------------------------------------------------------------------------------------


def run_page(page: str, folder: str = "numerics") -> dict[str, Any]:
    """Execute the ``python`` blocks of ``docs/<folder>/<page>.md`` in one namespace and return it."""
    path = REPOSITORY / "docs" / folder / f"{page}.md"
    text = path.read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    assert blocks, f"{path} has no python block"
    namespace: dict[str, Any] = {"__name__": f"docs.{folder}.{page}"}
    for block in blocks:
        # Blank lines in front keep the line numbers of the page in tracebacks.
        lines_before = text.count("\n", 0, block.start(1))
        exec(compile("\n" * lines_before + block.group(1), str(path), "exec"), namespace)
    return namespace
