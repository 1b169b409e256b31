"""The schema table against TensorFlow's generated classes, so that it cannot drift from TFLite."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from quantcore.flatbuffer import read_model, write_model
from quantcore.flatbuffer.schema import ENUMS, OPERATORS, TABLES, UNIONS, Field, options_table, options_union
from tests.flatbuffer.generated import assert_as_generated, camel, generated, pack

# What the schema table knows beyond the generated classes of TensorFlow 2.21, which can only be newer.
NEWER_TABLES = {"MultiAxisQuantization"}
NEWER_VALUES = {"FLOAT8_E4M3FN", "FLOAT8_E5M2"}

OPTIONS = [name for union in ("BuiltinOptions", "BuiltinOptions2") for name in UNIONS[union].members if name]


def generated_enums() -> dict[str, dict[str, int]]:
    """Return the values of each generated enum and union."""
    found = {}
    for name, item in vars(generated()).items():
        if inspect.isclass(item):
            values = {n: v for n, v in vars(item).items() if not n.startswith("_")}
            if values and all(isinstance(v, int) for v in values.values()):
                found[name] = values
    return found


def generated_tables() -> set[str]:
    """Return the names of the generated tables."""
    return {
        name.removesuffix("T") for name in vars(generated()) if hasattr(vars(generated())[name], "_UnPack")
    }


def test_the_generated_classes_are_found() -> None:
    assert len(generated_enums()) >= 20
    assert len(generated_tables()) >= 169


def test_enums_are_the_generated_ones() -> None:
    expected = {name: values for name, values in generated_enums().items() if name not in UNIONS}
    assert set(ENUMS) == set(expected)
    for name, values in expected.items():
        known = {n: v for n, v in ENUMS[name].values.items() if n not in NEWER_VALUES or n in values}
        assert known == values, name


def test_unions_are_the_generated_ones() -> None:
    enums = generated_enums()
    for name, union in UNIONS.items():
        ours = {member or "NONE": i for i, member in enumerate(union.members)}
        assert {n: i for n, i in ours.items() if n not in NEWER_TABLES or n in enums[name]} == enums[name]


def test_tables_are_the_generated_ones() -> None:
    assert set(TABLES) - NEWER_TABLES == generated_tables() - NEWER_TABLES


@pytest.mark.parametrize("name", sorted(set(TABLES) - NEWER_TABLES))
def test_fields_are_the_generated_ones(name: str) -> None:
    defaults = vars(getattr(generated(), f"{name}T")())
    reader = getattr(generated(), name)
    spelled = set()
    for field in TABLES[name].fields:
        if field.deprecated:  # the generated classes leave them out
            continue
        spelled.add(camel(field.name))
        source = inspect.getsource(getattr(reader, camel(field.name)[0].upper() + camel(field.name)[1:]))
        slot = field.slot + 1 if field.kind == "union" else field.slot
        assert f"self._tab.Offset({4 + 2 * slot})" in source, field
        if field.kind == "union":
            spelled.add(camel(field.name) + "Type")
        assert _type_in(source) == _type_of(field), field
        if field.kind == "scalar":
            default = ENUMS[field.type].values[field.default] if field.type else field.default
            assert defaults[camel(field.name)] == default, field
            assert type(defaults[camel(field.name)]) is type(default), field
        else:
            assert defaults[camel(field.name)] is None, field
    assert set(defaults) == spelled


def _type_in(source: str) -> str:
    """Say what a generated accessor reads: a number type, a table, or a kind of field."""
    if "self._tab.Union(" in source:
        return "union"
    numbers = set(re.findall(r"number_types\.(\w+)Flags,", source)) - {"UOffsetT"}
    if numbers:
        return numbers.pop().lower()
    table = re.search(r"obj = (\w+)\(\)", source)
    if table:
        return table[1]
    return "string" if "self._tab.String(" in source else "unknown"


def _type_of(field: Field) -> str:
    if field.kind in ("scalar", "list", "array"):
        return field.number
    if field.kind in ("string", "union"):
        return field.kind
    return "uint8" if field.kind == "bytes" else field.type


def test_every_options_table_is_some_operators() -> None:
    assert {options_table(op) for op in OPERATORS} - {None} == set(OPTIONS)


def _operator_of(table: str) -> int:
    return next(i for i, op in enumerate(OPERATORS) if options_table(op) == table)


def _value(field: Field, i: int) -> Any:
    """Return a value for `field` that is not its default and differs from its neighbours'."""
    if field.kind == "list":
        return [_element(field, i + k) for k in range(3)]
    if field.kind == "string":
        return f"text {i}"
    if field.kind == "bytes":
        return list(range(i, i + 5))
    return not field.default if field.number == "bool" else _element(field, i)


def _element(field: Field, i: int) -> Any:
    if field.type:
        return len(ENUMS[field.type].names) - 1 - NEWER_VALUES_OF.get(field.type, 0)
    if field.domain:
        return i % 4
    return {"bool": i % 2 == 0, "float32": 0.5 + i, "int64": -(2**40) - i}.get(field.number, 2**30 + i)


NEWER_VALUES_OF = {"TensorType": len(NEWER_VALUES)}


@pytest.mark.parametrize("table", OPTIONS)
@pytest.mark.parametrize("filled", [True, False])
def test_options_read_and_written_like_the_generated_classes(table: str, filled: bool) -> None:
    schema = generated()
    options = getattr(schema, f"{table}T")()
    if filled:
        for i, field in enumerate(TABLES[table].fields, start=1):
            setattr(options, camel(field.name), _value(field, i))
    code = schema.OperatorCodeT()
    code.builtinCode = _operator_of(table)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    op = schema.OperatorT()
    union = options_union(table)
    attribute = union[0].lower() + union[1:]
    setattr(op, attribute, options)
    setattr(op, f"{attribute}Type", getattr(getattr(schema, union), table))
    graphs = [schema.SubGraphT() for _ in range(4)]
    for graph in graphs:
        graph.tensors, graph.operators = [], []
    graphs[0].operators = [op]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], graphs
    model.buffers = [schema.BufferT()]
    data = pack(model)

    ours = read_model(data)
    assert_as_generated(ours, data)
    assert_as_generated(ours, write_model(ours))
