"""Decoded ``Operator`` and ``OperatorCode`` tables to `Operator`."""

from __future__ import annotations

from typing import Any

from quantcore.flatbuffer.decoder import Decoder
from quantcore.flatbuffer.place import Where, fail
from quantcore.flatbuffer.schema import OPERATORS, TABLES, options_table
from quantcore.graph import Operator

__all__ = ["OperatorReader"]


class OperatorReader:
    """Reads operators that refer to the given ``OperatorCode`` tables."""

    def __init__(self, decoder: Decoder, codes: list[dict[str, Any]]) -> None:
        self.decoder = decoder
        self.codes = [self._operator_code(raw, ((None, "operator_codes"), i)) for i, raw in enumerate(codes)]

    def _operator_code(self, raw: dict[str, Any], where: Where) -> tuple[str, int, str | None]:
        # Old files have only the 8-bit field; new ones have 127 there if the code does not fit.
        code = max(raw["builtin_code"], raw["deprecated_builtin_code"])
        if code < 0:
            fail(f"negative operator code {code}", (where, "builtin_code"))
        op = OPERATORS[code] if code < len(OPERATORS) else f"BUILTIN_{code}"
        if op == "CUSTOM" and not raw["custom_code"]:
            fail("custom operator without a name", (where, "custom_code"))
        return op, raw["version"], raw["custom_code"]

    def operator(self, raw: dict[str, Any], where: Where) -> Operator:
        op, version, custom_code = self.codes[raw["opcode_index"]]
        custom_options = raw["custom_options"]
        if custom_options is None and raw["large_custom_options_offset"] > 1:
            place = (where, "large_custom_options_offset")
            view = self.decoder.slice(
                raw["large_custom_options_offset"], raw["large_custom_options_size"], place
            )
            self.decoder.spend(view.size, place)
            custom_options = view.tobytes()
        types = raw["builtin_options_type"], raw["builtin_options_2_type"]
        usual = options_table(op) if types == (None, None) else None
        defaults = TABLES[usual].defaults if usual else {}
        return Operator(
            op=op,
            version=version,
            inputs=raw["inputs"] or (),
            outputs=raw["outputs"] or (),
            options=defaults | self._options(op, raw, where),
            options_type=types[0],
            options_2_type=types[1],
            custom_code=custom_code,
            custom_options=custom_options,
            intermediates=raw["intermediates"] or (),
            mutating_variable_inputs=raw["mutating_variable_inputs"] or (),
            debug_metadata_index=raw["debug_metadata_index"],
            implicit_options=bool(defaults),
        )

    def _options(self, op: str, raw: dict[str, Any], where: Where) -> dict[str, Any]:
        """Return the fields of the tables in both unions."""
        usual = options_table(op)
        options: dict[str, Any] = {}
        for union in ("builtin_options", "builtin_options_2"):
            name, fields = raw[f"{union}_type"], raw[union]
            if name is None:
                continue
            if fields is None and not op.startswith("BUILTIN_"):
                fail(f"{op} has options of an unknown type, {name}", (where, union))
            # TFLite would take such options for absent ones.
            if usual and TABLES[usual].fields and name != usual:
                fail(f"{op} has options of type {name}, expected {usual}", (where, union))
            if options.keys() & (fields or {}).keys():
                fail(f"{op} has two options tables with the same fields", (where, union))
            options |= fields or {}
        return options
