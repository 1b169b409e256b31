"""What ``quantcore inspect`` prints for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from quantcore.cli._output import say
from quantcore.cli._tables import CleanTable, console, print_fields, print_table, table
from quantcore.inspection import Inspection, Multipliers, SubgraphInfo, TensorInfo

__all__ = ["print_operator", "print_operators", "print_summary", "print_tensor", "print_tensors"]

WIDE = 84  # columns that a table of tensors takes beside the names
NAME_WIDTH = 11


def print_summary(found: Inspection) -> None:
    """Print what the model is as a whole."""
    main = found.subgraphs[0]
    rows = [("model", found.model)]
    if Path(found.model).is_file():
        rows.append(("file size", f"{Path(found.model).stat().st_size:,} bytes"))
    if found.description:
        rows.append(("description", found.description))
    rows += [("input", tensor_line(main.tensors[t])) for t in main.inputs]
    rows += [("output", tensor_line(main.tensors[t])) for t in main.outputs]
    for signature in found.signatures:
        inputs, outputs = ", ".join(signature["inputs"]), ", ".join(signature["outputs"])
        rows.append(("signature", f"{signature['key']}: {inputs} -> {outputs}"))
    if len(found.subgraphs) > 1:
        rows.append(("subgraphs", str(len(found.subgraphs))))
    rows.append(("operators", ", ".join(operator_counts(found))))
    rows.append(("parameters", f"{found.parameters:,}"))
    sizes = [f"{count:,} bytes {dtype}" for dtype, count in found.bytes_by_dtype.items()]
    rows.append(("constant data", ", ".join(sizes) or "none"))
    reservation = " or more: some operators are unknown" if uncounted(found) else ""
    rows.append(("MACs", f"{found.macs:,}{reservation}"))
    if found.metadata:
        rows.append(("metadata", ", ".join(found.metadata)))
    print_fields(rows)


def operator_counts(found: Inspection) -> list[str]:
    """Return ``2 x CONV_2D v3`` and so on."""
    return [
        f"{count} x {op} v{version}"
        for op, versions in found.operator_versions.items()
        for version, count in versions.items()
    ]


def uncounted(found: Inspection) -> bool:
    """Whether there is an operator whose multiply-accumulates are not known."""
    return any(operator.macs is None for subgraph in found.subgraphs for operator in subgraph.operators)


def print_operators(subgraph: SubgraphInfo, several: bool) -> None:
    """Print the operators, then the multipliers of those that requantize, then what cannot be run."""
    result = table(">#", "operator", "inputs", "output", ">MACs",
                   title=heading("operators", subgraph, several))  # fmt: skip
    for operator in subgraph.operators:
        result.add_row(
            str(operator.index),
            operator.op,
            " ".join("-" if t < 0 else str(t) for t in operator.inputs),
            "\n".join(f"{t}: {short_form(subgraph.tensors[t])}" for t in operator.outputs if t >= 0),
            "?" if operator.macs is None else f"{operator.macs:,}" if operator.macs else "",
        )
    print_table(result)
    if any(operator.multipliers for operator in subgraph.operators):
        print_table(multipliers_table(subgraph, several))
    problems: dict[tuple[str, str], list[str]] = {}
    for operator in subgraph.operators:
        if operator.problem is not None:
            problems.setdefault((operator.op, operator.problem), []).append(str(operator.index))
    if problems:
        print("\nnot run by quantcore")
    for (op, problem), indices in problems.items():
        say(f"  {op} (#{', '.join(indices)}): {problem}")


def multipliers_table(subgraph: SubgraphInfo, several: bool) -> CleanTable:
    """Return one row per operator and role that requantizes."""
    result = table(">#", "operator", ">real multiplier", ">multiplier", ">shift", "rounding",
                   title=heading("multipliers", subgraph, several))  # fmt: skip
    for operator in subgraph.operators:
        for role, m in operator.multipliers.items():
            channels = len(m.real)
            result.add_row(
                str(operator.index),
                operator.op if len(operator.multipliers) == 1 else f"{operator.op} {role}",
                span(m.real),
                f"{channels} channels" if channels > 1 else str(m.multiplier[0]),
                span(m.shift),
                operator.rounding,
            )
    return result


def print_tensors(subgraph: SubgraphInfo, several: bool) -> None:
    """Print one row per tensor. On a narrow terminal, names are shortened first."""
    screen = console()
    columns = [">#", "name", "role", "type", "scale", ">zero", "real range"]
    if screen.width < WIDE + NAME_WIDTH:
        columns.remove("role")
    result = table(*columns, title=heading("tensors", subgraph, several))
    room = max(NAME_WIDTH, screen.width - WIDE)
    for tensor in subgraph.tensors:
        low, high = [r[0] for r in tensor.real_range], [r[1] for r in tensor.real_range]
        cells = {
            ">#": str(tensor.index),
            "name": tensor.name if len(tensor.name) <= room else tensor.name[: room - 3] + "...",
            "role": tensor.role,
            "type": short_form(tensor),
            "scale": span(tensor.scale),
            ">zero": span(tensor.zero_point),
            # What an int32 could hold says nothing about a bias.
            "real range": f"[{min(low):.3g}, {max(high):.3g}]" if low and tensor.dtype != "int32" else "",
        }
        result.add_row(*(cells[column] for column in columns))
    print_table(result)


def heading(what: str, subgraph: SubgraphInfo, several: bool) -> str:
    """Return the title of a table, with the subgraph if there are several."""
    return f"{what} of subgraph {subgraph.index} ({subgraph.name})" if several else what


def print_operator(subgraph: SubgraphInfo, index: int) -> None:
    """Print all there is to know of one operator."""
    operator = subgraph.operators[index]
    rows = [("operator", f"{index}: {operator.op} version {operator.version}")]
    if operator.problem is not None:
        rows.append(("not run by quantcore", operator.problem))
    for what, indices in (("input", operator.inputs), ("output", operator.outputs)):
        for position, t in enumerate(indices):
            line = "omitted" if t < 0 else f"tensor {t}: {tensor_line(subgraph.tensors[t])}"
            rows.append((f"{what} {position}", line))
    rows += [(name, str(value)) for name, value in operator.options.items()]
    if operator.macs is not None:
        rows.append(("MACs", f"{operator.macs:,}"))
    if operator.rounding is not None:
        rows.append(("rounding", operator.rounding))
    print_fields(rows)
    for role, multipliers in operator.multipliers.items():
        print_table(multiplier_table(role, multipliers))


def multiplier_table(role: str, multipliers: Multipliers) -> CleanTable:
    """Return the multipliers channel by channel."""
    result = table(">channel", ">real multiplier", ">multiplier", ">shift", title=f"multipliers: {role}")
    rows = zip(multipliers.real, multipliers.multiplier, multipliers.shift, strict=True)
    for channel, (real, multiplier, shift) in enumerate(rows):
        result.add_row(str(channel), f"{real:.17g}", str(multiplier), str(shift))
    return result


def print_tensor(tensor: TensorInfo) -> None:
    """Print one tensor, channel by channel."""
    rows = [("tensor", f"{tensor.index}: {tensor.name}"), ("role", tensor.role)]
    rows += [("shape", shape_text(tensor.shape)), ("dtype", tensor.dtype)]
    if tensor.bytes is not None:
        rows.append(("bytes", f"{tensor.bytes:,}"))
    if tensor.quantized_dimension is not None:
        rows.append(("quantized dimension", str(tensor.quantized_dimension)))
    print_fields(rows)
    count = max(len(tensor.scale), len(tensor.value_range))
    if count == 0:
        return
    result = table(">channel", ">scale", ">zero point", "real range", "stored values")
    for c in range(count):
        result.add_row(
            str(c) if count > 1 else "",
            f"{tensor.scale[c]:.9g}" if c < len(tensor.scale) else "",
            str(tensor.zero_point[c]) if c < len(tensor.zero_point) else "",
            "[{:.7g}, {:.7g}]".format(*tensor.real_range[c]) if c < len(tensor.real_range) else "",
            "[{:.7g}, {:.7g}]".format(*tensor.value_range[c]) if c < len(tensor.value_range) else "",
        )
    print_table(result)


def tensor_line(tensor: TensorInfo) -> str:
    """Return a tensor in one line: name, dtype, shape, quantization."""
    line = f"{tensor.name} {short_form(tensor)}"
    if len(tensor.scale) == 1:
        return f"{line} scale {tensor.scale[0]:.9g} zero point {span(tensor.zero_point)}"
    return f"{line} scale {span(tensor.scale)}" if tensor.scale else line


def short_form(tensor: TensorInfo) -> str:
    """Return dtype and shape: ``int8[1,28,28,1]``."""
    return f"{tensor.dtype}{shape_text(tensor.shape)}"


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape without spaces, ``?`` for unknown dimensions."""
    return f"[{','.join('?' if d < 0 else str(d) for d in shape)}]"


def span(values: Sequence[float]) -> str:
    """Return one value, or ``smallest..largest``."""
    if not values:
        return ""
    low, high = min(values), max(values)
    if low == high:
        return f"{low:.7g}" if isinstance(low, float) else str(low)
    return f"{low:.3g}..{high:.3g}"
