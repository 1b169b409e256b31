"""Products of matrices beside XNNPACK, ONNX Runtime, torch (oneDNN) and NumPy, and the machine's peak.

    python benchmarks/bench_gemm.py
    python benchmarks/bench_gemm.py --only int8 --json figures.json

int8: rows of a batch by a constant filter with requantization to int8, as FULLY_CONNECTED and as a 1x1
CONV_2D (one scale per channel). ONNX Runtime computes QLinearMatMul (with requantization) and MatMulInteger
(int32 out), torch its quantized linear layer by oneDNN, both of uint8 by int8. float32: ours adds in the
reference's order (`reference`), and unrounded (`fused`, the form of calibration). One thread; the contenders
take turns, and so does a loop of the best instruction on registers: a share is of its rate in these turns.
ONNX Runtime (with the package onnx) and torch are left out where they are not installed.
"""

from __future__ import annotations

import tempfile
import warnings
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from _machine import peak_timer
from _report import heading, json_options, load_peer, progress_line, save_section, says_missing
from _timing import timer_of
from threadpoolctl import threadpool_limits

from quantcore.benchmark.speed import TimedTFLite, Timer, on_one_cpu, take_turns
from quantcore.cli._tables import percent, print_table, table
from quantcore.errors import OracleCrashed, OracleRefused, OracleUnavailable
from quantcore.files import write_arrays
from quantcore.flatbuffer import save
from quantcore.graph import Model, Operator, Quantization, Subgraph, Tensor
from quantcore.kernels import _core
from quantcore.numerics import CALIBRATION, Profile, get_profile
from quantcore.runtime.session import Session

CUBES = tuple((n, n, n) for n in (64, 128, 256, 512, 1024, 2048))
MOBILENET = (  # pixels, input channels, output channels of MobileNetV2's 1x1 convolutions
    (12544, 32, 16), (12544, 16, 96), (3136, 96, 24), (3136, 24, 144), (784, 144, 32), (784, 32, 192),
    (196, 192, 64), (196, 64, 384), (196, 576, 96), (49, 576, 160), (49, 160, 960), (49, 960, 320),
    (49, 320, 1280),
)  # fmt: skip
VECTORS = ((1, 128, 128), (1, 640, 128), (1, 1280, 1001), (1, 1024, 1024), (1, 2048, 2048), (1, 4096, 4096))
FLOAT_CUBES = CUBES[:5]
Shape = tuple[int, int, int]
Section = dict[str, Any]
KEYS = ("kind", "rows", "depth", "columns")
PEAK = "peak"


def quantization(scale: Any, zero_point: int = 0) -> Quantization:
    """Return quantization parameters."""
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    return Quantization(scales, np.full(scales.size, zero_point, np.int64), quantized_dimension=0)


def int8_model(shape: Shape, op: str) -> Model:
    """Return a model of one int8 FULLY_CONNECTED or 1x1 CONV_2D; its outputs fill their range."""
    rows, depth, columns = shape
    rng = np.random.default_rng(0)
    x_scale, w_scale = 0.05, 0.01
    y_scale = x_scale * w_scale * 73.0 * 73.0 * depth**0.5 / 40.0
    conv = op == "CONV_2D"
    scales = np.full(columns if conv else 1, w_scale) * (
        1 + 0.1 * np.arange(columns if conv else 1) / columns
    )
    weights = rng.integers(-127, 128, (columns, 1, 1, depth) if conv else (columns, depth)).astype(np.int8)
    bias = rng.integers(-1000, 1000, columns).astype(np.int32)
    batch = (1, rows, 1) if conv else (rows,)
    tensors = [
        Tensor("x", (*batch, depth), "int8", quantization=quantization(x_scale, 3)),
        Tensor("w", weights.shape, "int8", quantization=quantization(scales), data=weights),
        Tensor("b", (columns,), "int32", quantization=quantization(scales * x_scale), data=bias),
        Tensor("y", (*batch, columns), "int8", quantization=quantization(y_scale, -5)),
    ]
    options: dict[str, Any] = {"fused_activation_function": "NONE"}
    if conv:
        options |= {
            "padding": "VALID",
            "stride_w": 1,
            "stride_h": 1,
            "dilation_w_factor": 1,
            "dilation_h_factor": 1,
        }
    kind = "Conv2DOptions" if conv else "FullyConnectedOptions"
    operators = [Operator(op, 3 if conv else 4, (0, 1, 2), (3,), options, options_type=kind)]
    return Model([Subgraph("main", tensors, operators, (0,), (3,))])


def random_input(model: Model) -> np.ndarray:
    """Return a value for the only input."""
    tensor = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    rng = np.random.default_rng(1)
    if tensor.dtype == "int8":
        return rng.integers(-128, 128, tensor.shape).astype(np.int8)
    return rng.standard_normal(tensor.shape).astype(np.float32)


def own_timer(model: Model, profile: Profile) -> Timer:
    """Return the timer of a model with one input: `invoke`, the copies left out."""
    session = Session(model, 0, profile, preserve_all=False)
    session.allocate()
    session.set(model.subgraphs[0].inputs[0], random_input(model))
    return timer_of(session.invoke)


class Peers:
    """The peers that are installed; `missing` says why others are not there."""

    def __init__(self, stack: ExitStack) -> None:
        self.missing: dict[str, str] = {}
        self.onnx = load_peer("onnx", self.missing)
        self.onnxruntime = load_peer("onnxruntime", self.missing)
        self.torch = load_peer("torch", self.missing)
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.xnnpack: TimedTFLite | None = None
        try:
            self.xnnpack = stack.enter_context(TimedTFLite("AUTO"))
        except OracleUnavailable as error:
            self.missing["TensorFlow Lite"] = str(error)
        stack.enter_context(on_one_cpu([] if self.xnnpack is None else [self.xnnpack]))
        if self.torch is not None:
            warnings.filterwarnings("ignore", message=".*quantize.*deprecated")
            self.torch.set_num_threads(1)
            self.torch.backends.quantized.engine = "onednn"

    def int8(self, shape: Shape) -> dict[str, Timer]:
        """Return the timers of int8 products."""
        found: dict[str, Timer] = {}
        if self.xnnpack is not None:
            found |= self.lite("XNNPACK", int8_model(shape, "FULLY_CONNECTED"))
        if self.onnx is not None and self.onnxruntime is not None:
            found["ORT QLinear"] = self.onnx_timer(shape, "QLinearMatMul")
            found["ORT Integer"] = self.onnx_timer(shape, "MatMulInteger")
        if self.torch is not None:
            found["torch oneDNN"] = self.torch_timer(shape)
        return found

    def float32(self, shape: Shape, model: Model) -> dict[str, Timer]:
        """Return the timers of float32 products."""
        rows, depth, columns = shape
        rng = np.random.default_rng(0)
        x, w = (rng.standard_normal(s).astype(np.float32) for s in ((rows, depth), (depth, columns)))
        y = np.empty((rows, columns), np.float32)
        found = {"NumPy": timer_of(lambda: np.matmul(x, w, out=y))}
        if self.torch is not None:
            a, b, c = (self.torch.from_numpy(array) for array in (x, w, y))
            found["torch"] = timer_of(lambda: self.torch.mm(a, b, out=c))
        if self.xnnpack is not None:
            found |= self.lite("XNNPACK", model)
        return found

    def lite(self, name: str, model: Model) -> dict[str, Timer]:
        """Return the timer of a model in TensorFlow Lite; none where it refuses the model."""
        assert self.xnnpack is not None
        path, inputs = self.folder / "model.tflite", self.folder / "inputs.npz"
        save(model, path)
        write_arrays(inputs, {"input0": random_input(model)})
        try:
            self.xnnpack.open(str(path), inputs, 1)
            self.xnnpack.seconds(1)
        except (OracleRefused, OracleCrashed) as error:
            self.missing[name] = str(error)
            return {}
        return {name: self.xnnpack.invoke_seconds}

    def onnx_timer(self, shape: Shape, op: str) -> Timer:
        """Return the timer of a session whose input and output are bound."""
        rows, depth, columns = shape
        onnx, ort = self.onnx, self.onnxruntime
        helper, proto = onnx.helper, onnx.TensorProto
        rng = np.random.default_rng(0)
        weights = rng.integers(-127, 128, (depth, columns)).astype(np.int8)
        constants = {
            "w": weights, "xs": np.float32(0.05), "xz": np.uint8(131),
            "ws": np.float32(0.01), "wz": np.int8(0),
            "ys": np.float32(0.05 * 0.01 * 73 * 73 * depth**0.5 / 40), "yz": np.uint8(123),
        }  # fmt: skip
        linear = op == "QLinearMatMul"
        names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"] if linear else ["x", "w", "xz", "wz"]
        y_type = proto.UINT8 if linear else proto.INT32
        graph = helper.make_graph(
            [helper.make_node(op, names, ["y"])],
            "product",
            [helper.make_tensor_value_info("x", proto.UINT8, [rows, depth])],
            [helper.make_tensor_value_info("y", y_type, [rows, columns])],
            [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items() if k in names],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        x = rng.integers(0, 256, (rows, depth)).astype(np.uint8)
        y = np.empty((rows, columns), np.uint8 if linear else np.int32)
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(x))
        binding.bind_ortvalue_output("y", ort.OrtValue.ortvalue_from_numpy(y))
        return timer_of(lambda: session.run_with_iobinding(binding))

    def torch_timer(self, shape: Shape) -> Timer:
        """Return the timer of torch's quantized linear layer."""
        rows, depth, columns = shape
        torch = self.torch
        rng = np.random.default_rng(0)
        weights = torch.from_numpy(rng.integers(-127, 128, (columns, depth)).astype(np.int8))
        filter_ = torch._make_per_tensor_quantized_tensor(weights, 0.01, 0)
        packed = torch.ops.quantized.linear_prepack(filter_, torch.zeros(columns))
        values = torch.from_numpy(rng.integers(0, 256, (rows, depth)).astype(np.uint8))
        x = torch._make_per_tensor_quantized_tensor(values, 0.05, 131)
        scale = 0.05 * 0.01 * 73 * 73 * depth**0.5 / 40
        return timer_of(lambda: torch.ops.quantized.linear(x, packed, scale, 123))


def float_model(shape: Shape) -> Model:
    """Return a model of one float32 FULLY_CONNECTED."""
    rows, depth, columns = shape
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((columns, depth)).astype(np.float32)
    tensors = [
        Tensor("x", (rows, depth), "float32"),
        Tensor("w", weights.shape, "float32", data=weights),
        Tensor("b", (columns,), "float32", data=np.zeros(columns, np.float32)),
        Tensor("y", (rows, columns), "float32"),
    ]
    options = {"fused_activation_function": "NONE"}
    operators = [
        Operator("FULLY_CONNECTED", 1, (0, 1, 2), (3,), options, options_type="FullyConnectedOptions")
    ]
    return Model([Subgraph("main", tensors, operators, (0,), (3,))])


def int8_timers(shape: Shape, peers: Peers) -> dict[str, Timer]:
    """Return the timers of int8 products, ours first."""
    ops = OURS["int8"][: 1 if shape[0] == 1 else 2]
    profile = get_profile("reference")
    return {op: own_timer(int8_model(shape, op), profile) for op in ops} | peers.int8(shape)


def float_timers(shape: Shape, peers: Peers) -> dict[str, Timer]:
    """Return the timers of float32 products, ours first."""
    model = float_model(shape)
    profiles = zip(OURS["float32"], (get_profile("reference"), CALIBRATION), strict=True)
    return {name: own_timer(model, profile) for name, profile in profiles} | peers.float32(shape, model)


OURS = {"int8": ("FULLY_CONNECTED", "CONV_2D"), "float32": ("reference", "fused")}
TIMERS = {"int8": int8_timers, "float32": float_timers}
SHAPES = {"int8": (*CUBES, *MOBILENET, *VECTORS), "float32": FLOAT_CUBES}


def measure(kind: str, shape: Shape, peers: Peers, turns: int) -> dict[str, Any]:
    """Return one row."""
    rows, depth, columns = shape
    contenders = TIMERS[kind](shape, peers)
    macs = {name: float(rows * depth * columns) for name in contenders}
    peak = peak_timer(kind, _core.isa)
    if peak is not None:
        name, macs[PEAK], contenders[PEAK] = peak
    failed: dict[str, str] = {}
    times = take_turns(contenders, turns, failed, lambda count: None)
    per_second = {contender: macs[contender] / median(taken) for contender, taken in times.items()}
    best = max((per_second[ours] for ours in OURS[kind] if ours in per_second), default=0.0)
    return {
        "kind": kind,
        "rows": rows,
        "depth": depth,
        "columns": columns,
        "macs_per_second": per_second,
        "share_of_peak": best / per_second[PEAK] if PEAK in per_second else None,
        "peak": None if peak is None else name,
        "failed": failed,
    }


def print_products(section: Section) -> None:
    """Print a table per kind, in GMAC/s."""
    for kind, ours in OURS.items():
        rows = [row for row in section["rows"] if row["kind"] == kind]
        if not rows:
            continue
        names = list(dict.fromkeys(name for row in rows for name in row["macs_per_second"] if name != PEAK))
        names = [*ours, *(name for name in names if name not in ours)]
        what = f"{kind} products, GMAC/s, one thread, medians of {section['turns']}; peak: {rows[0]['peak']}"
        result = table("rows x depth x columns", *(f">{name}" for name in names), ">peak", ">share",
                       title=heading(what))  # fmt: skip
        for row in rows:
            found = row["macs_per_second"]
            cells = [f"{found[name] / 1e9:,.1f}" if name in found else "" for name in (*names, PEAK)]
            share = "" if row["share_of_peak"] is None else percent(row["share_of_peak"])
            result.add_row(f"{row['rows']} x {row['depth']} x {row['columns']}", *cells, share)
        print_table(result)


@click.command(help=str(__doc__))
@click.option("--only", "kinds", type=click.Choice(list(TIMERS)), multiple=True, help="[default: all]")
@click.option("--rows", "wanted", type=click.IntRange(1), multiple=True, help="Only shapes of so many rows.")
@click.option("--turns", type=click.IntRange(1), default=7, show_default=True)
@json_options
def main(
    kinds: tuple[str, ...], wanted: tuple[int, ...], turns: int, json_path: Path | None, merge: bool
) -> None:
    """Measure and print."""
    rows = []
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1))
        peers = Peers(stack)
        for kind in kinds or TIMERS:
            for shape in SHAPES[kind]:
                if wanted and shape[0] not in wanted:
                    continue
                progress_line(f"{kind} product, {shape[0]} x {shape[1]} x {shape[2]}")
                rows.append(measure(kind, shape, peers, turns))
    section = {"turns": turns, "threads": 1, "rows": rows}
    print_products(section)
    says_missing(peers.missing)
    save_section(json_path, "products", section, merge=merge, keys=KEYS)


if __name__ == "__main__":
    main()
