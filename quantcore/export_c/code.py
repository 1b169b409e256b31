"""A plan as C99: ``model.h``, ``model.c`` and ``model_data.c``."""

from __future__ import annotations

import re

import numpy as np

from quantcore.c_interface import kernel_interface, write_array, write_params
from quantcore.export_c.plan import ALIGNMENT, FLOAT_RULES, ExportPlan, ExportStep, Port, c_type

__all__ = ["c_values", "needs_float_rules", "write_code"]


def needs_float_rules(plan: ExportPlan) -> bool:
    """Whether a requantization of a plan is by one of the rules on floats."""
    return any(
        getattr(struct.fields[name], "name", "") in FLOAT_RULES
        for step in plan.steps
        for struct in step.params.structs()
        if struct.type.name == "qc_requant"
        for name in ("rounding", "tail")
    )


def write_code(plan: ExportPlan, prefix: str, title: str, arena_section: str | None) -> dict[str, str]:
    """Return the files that are made of the plan itself."""
    return {
        f"{prefix}.h": _header(plan, prefix, title),
        f"{prefix}.c": _code(plan, prefix, title, arena_section),
        f"{prefix}_data.h": _data_header(plan, prefix),
        f"{prefix}_data.c": _data(plan, prefix),
    }


def c_values(value: np.ndarray) -> np.ndarray:
    """Return the elements of an array as those of its type in C."""
    if value.dtype.kind == "b":
        return value.view(np.uint8)
    if value.dtype == np.float16:
        return value.view(np.uint16)
    if value.dtype.kind == "c":
        return value.reshape(-1).view(np.float32 if value.dtype == np.complex64 else np.float64)
    return value


def comment(text: str) -> str:
    """Return text that may stand in a comment of C."""
    return re.sub(r"[^\x20-\x7e]", "?", text).replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")


# Header -----------------------------------------------------------------------------------------------


def _names(ports: list[Port], word: str) -> list[str]:
    return [word] if len(ports) == 1 else [f"{word}_{i}" for i in range(len(ports))]


def signature(plan: ExportPlan, prefix: str) -> str:
    """Return the declaration of the function that runs the model."""
    parameters = [
        *(f"const {p.c_type} *{n}" for p, n in zip(plan.inputs, _names(plan.inputs, "input"), strict=True)),
        *(f"{p.c_type} *{n}" for p, n in zip(plan.outputs, _names(plan.outputs, "output"), strict=True)),
    ]
    return f"int {prefix}_invoke({', '.join(parameters) or 'void'})"


def _port_macros(ports: list[Port], word: str, upper: str) -> str:
    lines = [f"#define {upper}_{word}_COUNT {len(ports)}\n"]
    for i, port in enumerate(ports):
        shape = ", ".join(map(str, port.shape))
        lines.append(f"\n/* {comment(port.tensor.name)}: {port.tensor.dtype}[{shape}] */\n")
        name = f"{upper}_{word}_{i}"
        elements = int(np.prod(port.shape, dtype=np.int64))
        lines.append(f"#define {name}_ELEMENTS {elements}\n#define {name}_SIZE {port.nbytes} /* bytes */\n")
        quantization = port.tensor.quantization
        if quantization is not None and quantization.scale.size == 1:
            zero_point = int(quantization.zero_point[0]) if quantization.zero_point.size else 0
            scale = float(quantization.scale[0])
            lines.append(f"#define {name}_SCALE {scale.hex()}f /* {scale:.9g} */\n")
            lines.append(f"#define {name}_ZERO_POINT ({zero_point})\n")
    return "".join(lines)


def _header(plan: ExportPlan, prefix: str, title: str) -> str:
    upper = prefix.upper()
    ports = "".join(
        f"{port.c_type} *{prefix}_{word}_{i}(void);\n"
        for word, some in (("input", plan.inputs), ("output", plan.outputs))
        for i, port in enumerate(some)
    )
    state = (
        "/* Set the state that stays from one run to the next to what it is at first. Call it before the "
        "first run. */\n"
        if plan.state
        else "/* Of no effect: the model keeps nothing from one run to the next. */\n"
    )
    return f"""\
/* {comment(title)} */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

{_port_macros(plan.inputs, "INPUT", upper)}
{_port_macros(plan.outputs, "OUTPUT", upper)}
/* Bytes of the static memory that the model needs: inputs, outputs, state, and what lies between. */
#define {upper}_ARENA_SIZE {max(plan.arena_bytes, ALIGNMENT)}
#define {upper}_STEP_COUNT {len(plan.steps)}
#define {upper}_MACS {sum(step.macs for step in plan.steps)} /* multiply-accumulates of a run */

#ifdef __cplusplus
extern "C" {{
#endif

/* Run the model once. Inputs are copied in and outputs out; where a pointer is that of {prefix}_input_0() or
 * {prefix}_output_0() (and so on), or NULL, nothing is copied, and the tensor in the arena is meant.
 * Returns 0; 2 where a data value is out of range, such as an index. */
{signature(plan, prefix)};

{state}void {prefix}_reset(void);

/* Where inputs and outputs lie in the arena. An input has to be written before each run: its memory is used
 * for other tensors once it has been read. An output is there until the next run. */
{ports}
/* One step of a run, from 0 to {upper}_STEP_COUNT - 1, all of them in order; {prefix}_invoke is a loop of
 * these. For measuring. */
int {prefix}_invoke_step(int step);

/* The operator of a step, as in "CONV_2D". */
const char *{prefix}_step_name(int step);

#ifdef __cplusplus
}}
#endif

#endif
"""


# Data -------------------------------------------------------------------------------------------------


def _data_header(plan: ExportPlan, prefix: str) -> str:
    upper = prefix.upper()
    lines = [
        f"/* {comment(plan.constant_names[name])} */\n"
        f"extern const {c_type(value.dtype)} {name}[{max(c_values(value).size, 1)}];\n"
        for name, value in plan.constants.items()
    ]
    return f"""\
/* The constants of the model. */
#ifndef {upper}_DATA_H
#define {upper}_DATA_H

#include <stdint.h>

{"".join(lines)}
#endif
"""


def _data(plan: ExportPlan, prefix: str) -> str:
    arrays = [_constant(name, value) for name, value in plan.constants.items()]
    text = "\n".join(arrays)
    math = "#include <math.h>\n\n" if re.search(r"\b(NAN|INFINITY)\b", text) else ""
    return f'{math}#include "{prefix}_data.h"\n\n{text}'


def _constant(name: str, value: np.ndarray) -> str:
    elements = c_values(value).reshape(-1)
    if elements.size == 0:
        elements = np.zeros(1, elements.dtype)
    return write_array(c_type(value.dtype), name, elements, "const")


# Code -------------------------------------------------------------------------------------------------


def _code(plan: ExportPlan, prefix: str, title: str, arena_section: str | None) -> str:
    upper = prefix.upper()
    interfaces = [kernel_interface(step.call.name) for step in plan.steps]
    custom = sorted({_prototype(step) for step in plan.steps if step.custom is not None})
    params = [write_params(step.params, f"step_{i}_params") for i, step in enumerate(plan.steps)]
    text = "".join(
        f"\n/* {i}: {step.op} -> {comment(step.output)} */\n{made}"
        for i, (step, made) in enumerate(zip(plan.steps, params, strict=True))
    )
    includes = ["<stddef.h>", "<string.h>"]
    if re.search(r"\b(NAN|INFINITY)\b", text):
        includes.insert(0, "<math.h>")
    quoted = [
        f'"{prefix}_data.h"',
        '"quantcore/status.h"',
        *(f'"{one}"' for one in sorted({i.header for i in interfaces})),
    ]
    include_lines = "".join(f"#include {name}\n" for name in includes)
    body = "\n".join(
        [_steps(plan, prefix), _invoke(plan, prefix), _reset(plan, prefix), _accessors(plan, prefix)]
    )
    arena = _arena(upper, arena_section) if "AT(" in body else ""
    return f"""\
/* {comment(title)} */
#include "{prefix}.h"

{include_lines}
{"".join(f"#include {name}{chr(10)}" for name in quoted)}
{"".join(f"{line};{chr(10)}" for line in custom)}{arena}{text}
{body}"""


def _arena(upper: str, arena_section: str | None) -> str:
    section = f', section("{arena_section}")' if arena_section else ""
    return f"""\
#if defined(__GNUC__)
static uint8_t arena[{upper}_ARENA_SIZE] __attribute__((aligned({ALIGNMENT}){section}));
#else
static union {{
    uint8_t bytes[{upper}_ARENA_SIZE];
    int64_t integers;
    double floats;
    void *pointers;
}} arena_memory;
#define arena arena_memory.bytes
#endif

/* A tensor in the arena. */
#define AT(type, offset) ((type *)(void *)(arena + (offset)))
"""


def _prototype(step: ExportStep) -> str:
    """Return the declaration of a user's kernel."""
    interface = kernel_interface(step.call.name)
    return re.sub(r"\bqc_\w+(?=\()", step.function, interface.prototype.removesuffix(";"), count=1)


def _steps(plan: ExportPlan, prefix: str) -> str:
    cases = "".join(_case(i, step) for i, step in enumerate(plan.steps))
    names = ", ".join(f'"{comment(step.op)}"' for step in plan.steps) or '""'
    return (
        f"""\
int {prefix}_invoke_step(int step) {{
    switch (step) {{
{cases}        default: return QC_BAD_ARGUMENT;
    }}
}}

const char *{prefix}_step_name(int step) {{
    static const char *const names[] = {{{names}}};
    return step < 0 || step >= {prefix.upper()}_STEP_COUNT ? "" : names[step];
}}
"""
        if plan.steps
        else f"""\
int {prefix}_invoke_step(int step) {{
    (void)step;
    return 1;
}}

const char *{prefix}_step_name(int step) {{
    (void)step;
    return "";
}}
"""
    )


def _case(index: int, step: ExportStep) -> str:
    types = kernel_interface(step.call.name).tensors
    scratch = "NULL" if step.scratch is None else f"AT(void, {step.scratch})"
    params = f"&step_{index}_params"
    if types:
        arguments = [_argument(one, kind) for one, kind in zip(step.arguments, types, strict=True)]
        return (
            f"        case {index}: /* {step.op} */\n"
            f"            return (int){step.function}({', '.join([params, *arguments, scratch])});\n"
        )
    table = ", ".join(_pointer(one) for one in step.arguments)
    return (
        f"        case {index}: {{ /* {step.op} */\n"
        f"            static void *const tensors[] = {{{table}}};\n"
        f"            return (int){step.function}({params}, tensors, {scratch});\n"
        "        }\n"
    )


def _argument(place: int | str | None, kind: str) -> str:
    if place is None:
        return "NULL"
    if isinstance(place, str):
        return f"(const {kind} *){place}"
    return f"AT({kind}, {place})"


def _pointer(place: int | str | None) -> str:
    if place is None:
        return "NULL"
    return f"(void *){place}" if isinstance(place, str) else f"AT(void, {place})"


def _invoke(plan: ExportPlan, prefix: str) -> str:
    upper = prefix.upper()
    lines = []
    known = []
    for i, (port, name) in enumerate(zip(plan.inputs, _names(plan.inputs, "input"), strict=True)):
        size = f"{upper}_INPUT_{i}_SIZE"
        if port.offset is not None and port.nbytes:
            place = f"{prefix}_input_{i}()"
            lines.append(f"    if ({name} != NULL && {name} != {place}) memcpy({place}, {name}, {size});\n")
        elif port.value is not None and port.nbytes:
            known.append(_known(f"known_input_{i}", port))
            differs = f"memcmp({name}, known_input_{i}, {size}) != 0"
            lines.append(f"    if ({name} != NULL && {differs}) return QC_BAD_DATA;\n")
        else:
            lines.append(f"    (void){name};\n")
    if plan.steps:
        lines.append(
            f"    for (int step = 0; step < {upper}_STEP_COUNT; ++step) {{\n"
            f"        const int status = {prefix}_invoke_step(step);\n"
            "        if (status != QC_OK) return status;\n"
            "    }\n"
        )
    for i, (port, name) in enumerate(zip(plan.outputs, _names(plan.outputs, "output"), strict=True)):
        if not port.nbytes:
            lines.append(f"    (void){name};\n")
            continue
        lines.append(
            f"    if ({name} != NULL && {name} != {prefix}_output_{i}()) "
            f"memcpy({name}, {prefix}_output_{i}(), {upper}_OUTPUT_{i}_SIZE);\n"
        )
    about = "/* Values that the shapes of tensors follow from; the export is for these. */\n" if known else ""
    return f"{about}{''.join(known)}{signature(plan, prefix)} {{\n{''.join(lines)}    return 0;\n}}\n"


def _known(name: str, port: Port) -> str:
    assert port.value is not None
    return write_array(port.c_type, name, c_values(np.ascontiguousarray(port.value)).reshape(-1))


def _reset(plan: ExportPlan, prefix: str) -> str:
    lines = []
    for port in plan.state:
        assert port.value is not None
        fill = int(port.value.reshape(-1)[0]) if port.value.size and port.dtype == np.int8 else 0
        lines.append(
            f"    memset(AT(void, {port.offset}), {fill}, {port.nbytes}); /* {comment(port.tensor.name)} */\n"
        )
    return f"void {prefix}_reset(void) {{\n{''.join(lines)}}}\n"


def _accessors(plan: ExportPlan, prefix: str) -> str:
    made = []
    for word, ports in (("input", plan.inputs), ("output", plan.outputs)):
        for i, port in enumerate(ports):
            name = f"{prefix}_{word}_{i}"
            if port.offset is not None:
                body = f"    return AT({port.c_type}, {port.offset});\n"
            elif port.value is not None and port.nbytes:
                values = write_array(
                    port.c_type, "values", c_values(np.ascontiguousarray(port.value)).reshape(-1), "static"
                )
                body = "".join(f"    {line}\n" for line in values.splitlines()) + "    return values;\n"
            else:
                body = "    return NULL;\n"
            made.append(f"{port.c_type} *{name}(void) {{\n{body}}}\n")
    return "\n".join(made)
