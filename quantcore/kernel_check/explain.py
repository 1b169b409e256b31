"""Why a kernel fails: what the definition gives on the same case with one thing changed.

The definition runs as a program of its own, so that params can be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from quantcore.c_interface import Struct
from quantcore.c_interface.layout import EnumType, enumerator
from quantcore.fixed_point import multiply_by_quantized_multiplier, quantize_multiplier
from quantcore.kernel_check.case import Case
from quantcore.kernel_check.checker import ARRANGEMENTS, Checker, Failure, differing, request_of
from quantcore.kernel_check.process import Fills, KernelProcess, as_arrays

__all__ = ["explain", "requant_of", "rule_variants", "run_reference", "scaling", "variants"]

ZERO_SHIFT = -31


def explain(
    failure: Failure, others: Sequence[Failure], checker: Checker, reference: KernelProcess | None
) -> list[str]:
    """Return what is to be said about a failure, a sentence each; nothing where nothing is known.

    Parameters
    ----------
    failure : Failure
        The small case.
    others : sequence of Failure
        More cases on which the kernel fails: what does not explain them as well is not said.
    checker : Checker
    reference : KernelProcess or None
        The definition.
    """
    if failure.kind != "mismatch":
        return []
    found = memory_reasons(failure, checker)
    if found or reference is None:
        return found
    common: dict[str, None] | None = None
    for each in (failure, *others):
        words = dict.fromkeys(mistakes_of(each, reference))
        common = words if common is None else {word: None for word in common if word in words}
    found = [f"the output equals that of the definition {words}" for words in common or ()]
    return [*found, *arithmetic(failure, reference)]


def mistakes_of(failure: Failure, reference: KernelProcess) -> Iterator[str]:
    """Yield the mistakes with which the definition gives what the kernel gave."""
    for words, case in variants(failure.case):
        if gives(reference, case, failure.got):
            yield words
    yield from truncating(failure, reference)


def memory_reasons(failure: Failure, checker: Checker) -> list[str]:
    """Say whether the result depends on what is in memory before the call, and on which."""
    process = next(p for p in checker.processes if p.program.build.name == failure.build)
    arrangement = ARRANGEMENTS[failure.arrangement]
    fills = arrangement.fills
    request = request_of(failure.case)
    kinds = {
        "its scratch memory": replace(fills, scratch=0),
        "its output": replace(fills, output=0),
        "its stack": replace(fills, stack=0),
    }
    for what, changed in kinds.items():
        reply = process.run(request, changed, at_end=arrangement.at_end)
        if reply.fault is None and not same(as_arrays(reply.outputs, failure.case.expected), failure.got):
            return [
                f"the result depends on what is in {what} before the call: it is read before it is written "
                "(memory may hold anything, also what an earlier call left)"
            ]
    if starts_with_locals(failure, checker):
        return [
            "the result depends on what local variables hold that were not set: "
            "one is read before it is written"
        ]
    again = [process.run(request, fills, at_end=arrangement.at_end) for _ in range(2)]
    if any(
        not same(as_arrays(r.outputs, failure.case.expected), failure.got) for r in again if r.fault is None
    ):
        return ["the same call does not always give the same: something is kept from call to call"]
    return []


def starts_with_locals(failure: Failure, checker: Checker) -> bool:
    """Whether the kernel gives something else where local variables start with a pattern of the compiler."""
    found = {}
    for process in checker.processes:
        name = process.program.build.name
        if name in ("plain", "locals"):
            reply = process.run(request_of(failure.case), ARRANGEMENTS[failure.arrangement].fills)
            found[name] = as_arrays(reply.outputs, failure.case.expected) if reply.fault is None else []
    return len(found) == 2 and not same(found["plain"], found["locals"])


def same(got: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> bool:
    return len(got) == len(expected) and not any(
        differing(a, b).size for a, b in zip(got, expected, strict=True)
    )


def gives(reference: KernelProcess, case: Case, outputs: Sequence[np.ndarray]) -> bool:
    """Whether the definition gives `outputs` on a case."""
    found = run_reference(reference, case)
    return found is not None and same(found, outputs)


def run_reference(reference: KernelProcess, case: Case) -> list[np.ndarray] | None:
    """Return what the definition gives; None where it cannot run the case."""
    reply = reference.run(request_of(case), Fills(0, 0, 0))
    return None if reply.fault is not None else as_arrays(reply.outputs, case.expected)


def requant_of(params: Struct) -> Struct | None:
    """Return the requantization among params, if there is one."""
    return next((s for s in params.structs() if s.type.name == "qc_requant"), None)


def changed(case: Case, change: Callable[[Struct], None]) -> Case:
    """Return a case with other params."""
    params = copied(case.params)
    change(params)
    return replace(case, params=params, call=None)


def copied(value: Any) -> Any:
    """Return a copy of structs and lists; what they hold is replaced and never written to."""
    if isinstance(value, Struct):
        return Struct(value.type, {name: copied(each) for name, each in value.fields.items()})
    return [copied(each) for each in value] if isinstance(value, list) else value


def set_fields(case: Case, **values: int | float) -> Case | None:
    """Return a case with these fields changed, wherever they are; None where nothing changes."""
    different = False

    def change(params: Struct) -> None:
        nonlocal different
        for struct in params.structs():
            for name, value in values.items():
                if name in struct and struct[name] != value:
                    struct.fields[name] = value
                    different = True

    made = changed(case, change)
    return made if different else None


def moved(case: Case, *names: str, by: int) -> Case | None:
    """Return a case in which fields are greater by `by`."""
    values = {n: int(s[n]) + by for s in case.params.structs() for n in names if n in s}
    return set_fields(case, **values) if values else None


def variants(case: Case) -> Iterator[tuple[str, Case]]:
    """Yield the usual mistakes, each as words and as a case on which the definition makes it."""
    yield from rule_variants(case)
    low = {1: -128, 2: -32768}.get(case.expected[0].dtype.itemsize, -(2**31))
    everything = {"activation_min": -(2**31) + 1, "activation_max": 2**31 - 1}
    type_only = {"activation_min": low, "activation_max": -low - 1}
    if case.expected[0].dtype == np.uint8:
        type_only = {"activation_min": 0, "activation_max": 255}
    mistakes: list[tuple[str, Case | None]] = [
        ("without the fused activation (activation_min, activation_max)", set_fields(case, **type_only)),
        ("without a clamp, the result wrapped to the element type", set_fields(case, **everything)),
        ("without a bias", without_bias(case)),
        ("without input_offset", set_fields(case, input_offset=0)),
        ("with input_offset subtracted", opposite(case, "input_offset")),
        ("without input1_offset", set_fields(case, input1_offset=0)),
        ("without input2_offset", set_fields(case, input2_offset=0)),
        ("without filter_offset", set_fields(case, filter_offset=0)),
        ("without output_offset", set_fields(case, output_offset=0)),
        ("with a dilation of 1", set_fields(case, dilation_height=1, dilation_width=1)),
        (
            "with dilation_height and dilation_width exchanged",
            exchanged(case, "dilation_height", "dilation_width"),
        ),
        ("with a stride of 1", set_fields(case, stride_height=1, stride_width=1)),
        ("with stride_height and stride_width exchanged", exchanged(case, "stride_height", "stride_width")),
        ("without padding (pad_top and pad_left 0)", set_fields(case, pad_top=0, pad_left=0)),
        ("with pad_top greater by 1", moved(case, "pad_top", by=1)),
        ("with pad_top less by 1", moved(case, "pad_top", by=-1)),
        ("with pad_left greater by 1", moved(case, "pad_left", by=1)),
        ("with pad_left less by 1", moved(case, "pad_left", by=-1)),
        ("with pad_top and pad_left greater by 1", moved(case, "pad_top", "pad_left", by=1)),
        ("with pad_top and pad_left less by 1", moved(case, "pad_top", "pad_left", by=-1)),
        ("with pad_top and pad_left exchanged", exchanged(case, "pad_top", "pad_left")),
        *channel_variants(case),
    ]
    yield from ((words, made) for words, made in mistakes if made is not None)


def rule_variants(case: Case) -> Iterator[tuple[str, Case]]:
    """Yield the other rounding rules."""
    requant = requant_of(case.params)
    if requant is None:
        return
    own = int(requant["rounding"])
    names = rule_names(requant)
    for value, name in names.items():
        if value == own:
            continue

        def change(params: Struct, value: int = value, name: str = name) -> None:
            found = requant_of(params)
            assert found is not None
            found.fields |= {"rounding": value, "tail": value, "body": 2**31 - 1}
            if name == "float32" and found["real_multiplier"] is not None:
                rounded = np.asarray(found["real_multiplier"], np.float32)
                found.fields["real_multiplier"] = rounded.astype(np.float64)
            if found["multiplier"] is None and found["real_multiplier"] is not None:
                pair = quantize_multiplier(found["real_multiplier"])
                found.fields["multiplier"], found.fields["shift"] = (np.asarray(p, np.int32) for p in pair)

        if "float" in name and requant["real_multiplier"] is None:
            continue
        yield f"with the rounding rule {name} in place of {names[own]}", changed(case, change)


def rule_names(requant: Struct) -> dict[int, str]:
    """Return what the documentation calls the rounding rules, by their value in C."""
    kind = requant.type.fields["rounding"]
    assert isinstance(kind, EnumType)
    return {value: name.removeprefix("QC_").lower() for value, name in kind.names.items()}


def channel_variants(case: Case) -> Iterator[tuple[str, Case | None]]:
    """Yield multipliers that are taken for other channels."""
    requant = requant_of(case.params)
    if requant is None or not requant["per_channel"]:
        return
    orders = {
        "with the multiplier and shift of channel 0 for all": lambda a: np.full_like(a, a[0]),
        "with the multiplier and shift of the channel before": lambda a: np.concatenate([a[:1], a[:-1]]),
        "with the multiplier and shift of the channel behind": lambda a: np.concatenate([a[1:], a[-1:]]),
    }
    for words, order in orders.items():

        def change(params: Struct, order: Callable[[np.ndarray], np.ndarray] = order) -> None:
            found = requant_of(params)
            assert found is not None
            for name in ("multiplier", "shift", "real_multiplier"):
                if found[name] is not None:
                    found.fields[name] = order(found[name])

        yield words, changed(case, change)


def without_bias(case: Case) -> Case | None:
    """Return a case without a bias, where there is one that is not 0."""
    bias = case.inputs[2] if len(case.inputs) == 3 else None
    if bias is None or not bias.any():
        return None
    return replace(case, inputs=[*case.inputs[:2], None])


def opposite(case: Case, name: str) -> Case | None:
    """Return a case in which a field has the other sign."""
    found = next((s for s in case.params.structs() if name in s), None)
    return None if found is None else set_fields(case, **{name: -int(found[name])})


def exchanged(case: Case, one: str, other: str) -> Case | None:
    """Return a case in which two fields have changed places."""
    found = next((s for s in case.params.structs() if one in s), None)
    if found is None or found[one] == found[other]:
        return None
    return set_fields(case, **{one: int(found[other]), other: int(found[one])})


def accumulators(case: Case, reference: KernelProcess) -> np.ndarray | None:
    """Return the accumulator of each output, exactly; None where the kernel does not requantize sums.

    With a multiplier of ``2**(-8 k)``, rounded half up, and no bounds, the definition stores the bits from
    8 k on, wrapped to the element type: from these the 32 bits are put together.
    """
    requant = requant_of(case.params)
    if requant is None or case.expected[0].dtype.itemsize > 2 or requant["multiplier"] is None:
        return None
    if "WIDE" in case.kernel.upper() or case.params.type.name == "qc_mul_params":
        return None
    half_up = enumerator("QC_SINGLE_ROUNDING")
    width = 8 * case.expected[0].dtype.itemsize
    total = np.zeros(case.expected[0].shape, np.int64)
    for low in range(0, 32, width):

        def change(params: Struct, low: int = low) -> None:
            found = requant_of(params)
            assert found is not None
            count = np.ones_like(found["multiplier"])
            found.fields |= {
                "rounding": half_up, "tail": half_up, "body": 2**31 - 1, "output_offset": 0,
                "activation_min": -(2**31) + 1, "activation_max": 2**31 - 1,
                "multiplier": count * 2**30, "shift": count * (1 - low),
            }  # fmt: skip

        outputs = run_reference(reference, changed(case, change))
        if outputs is None:
            return None
        digit = outputs[0].astype(np.int64) & ((1 << width) - 1)
        if low:  # it was rounded by the bit below, which is known
            digit = (digit - (total >> (low - 1) & 1)) & ((1 << width) - 1)
        total |= digit << low
    wrapped: np.ndarray = np.atleast_1d(total.astype(np.uint32).astype(np.int32))
    return wrapped


def scaling(case: Case, reference: KernelProcess) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return accumulator, multiplier and shift of each output."""
    requant, sums = requant_of(case.params), accumulators(case, reference)
    if sums is None or requant is None:
        return None
    index = np.broadcast_to(np.arange(sums.shape[-1]), sums.shape) * int(requant["per_channel"])
    return sums, requant["multiplier"].astype(np.int64)[index], requant["shift"].astype(np.int64)[index]


def truncating(failure: Failure, reference: KernelProcess) -> Iterator[str]:
    """Yield the ways to multiply without rounding that give what the kernel gave."""
    case, requant = failure.case, requant_of(failure.case.params)
    scaled = scaling(case, reference)
    if scaled is None or requant is None:
        return
    for words, values in [*truncations(*scaled), *narrow_sums(*scaled)]:
        y = np.clip(values + requant["output_offset"], requant["activation_min"], requant["activation_max"])
        if same([y.astype(case.expected[0].dtype).reshape(case.expected[0].shape)], failure.got[:1]):
            yield words


def arithmetic(failure: Failure, reference: KernelProcess) -> list[str]:
    """Say how the first element that differs is computed."""
    case, requant = failure.case, requant_of(failure.case.params)
    scaled = scaling(case, reference)
    if scaled is None or requant is None:
        return []
    place = int(differing(failure.got[0], case.expected[0])[0])
    acc, m, s = (int(a.reshape(-1)[place]) for a in scaled)
    real = m / 2**31 * 2.0**s
    return [
        f"there the accumulator is {acc}, the multiplier {m} with shift {s}: "
        f"{acc} * {real:.9g} = {acc * real:.8g}, to be rounded by "
        f"{rule_names(requant)[int(requant['rounding'])]}; "
        f"output_offset is {requant['output_offset']}"
    ]


def truncations(
    sums: np.ndarray, multiplier: np.ndarray, shift: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield ways to multiply that do not round."""
    product = sums.astype(np.int64) * multiplier
    right = 31 - shift
    yield "with a multiplication that truncates (a shift to the right of the whole product)", product >> right
    toward_zero = np.where(product < 0, -(-product >> right), product >> right)
    yield "with a multiplication that truncates toward zero (a division)", toward_zero
    high = (product + (1 << 30)) >> 31
    left = np.where(shift > 0, shift, 0)
    if not left.any():
        yield "with a multiplication whose second step, the shift, truncates", high >> -shift
        yield "with a multiplication whose two steps both truncate", (product >> 31) >> -shift


def narrow_sums(
    sums: np.ndarray, multiplier: np.ndarray, shift: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what accumulators of 16 bits give."""
    ways = {
        "with accumulators of 16 bits, which wrap": sums.astype(np.int16),
        "with accumulators of 16 bits, which saturate": np.clip(sums, -(2**15), 2**15 - 1),
    }
    for words, narrow in ways.items():
        scaled = multiply_by_quantized_multiplier(narrow.astype(np.int32), multiplier, shift)
        yield words, scaled.astype(np.int64)
