"""Write docs/operators.md from the operator registry and the numerics profiles.

Usage: python docs/generate_operators.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from quantcore.numerics import PROFILES, Profile
from quantcore.ops.node import Definition
from quantcore.ops.registry import load_operators

TARGET = Path(__file__).with_name("operators.md")

HEAD = """# Operators

Made by `python docs/generate_operators.py` from the operator registry (`quantcore/ops`), where the rules of
the profiles (`quantcore/numerics.py`) stand too; a test fails when it is out of date.

"Forms" are the dtypes that are implemented (`hybrid`: float32 activations with int8 weights). "Version" is
the highest operator version that is read. Under each profile stand the output dtypes that it has a rule for;
an operator without one is refused under that profile. "Quantized" are the modes of `quantize` that give the
operator another form than float32: activations and weights (`int8`, `int16x8`), or weights alone (`dynamic`,
from 1024 elements on). Each operator's page gives the rule, where it comes from and what the tests compare.
"""

RULES_HEAD = """
## Rules that differ from the default

The default is `double_rounding` of a multiplier formed in float64. `block` and `tail`: width of the vector
body and the rule of what is left after it.
"""


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [
        "| " + " | ".join(header) + " |",
        "| " + " | ".join("---" for _ in header) + " |",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def covered(profile: Profile, definition: Definition) -> str:
    """Return the output dtypes that `profile` has rules for."""
    if profile.default is not None or definition.expand is not None:
        return ", ".join(definition.dtypes)
    names = [name for name in (profile.name, profile.fallback, profile.base) if name is not None]
    dtypes = {dtype.split()[0] for name in names for dtype in definition.rules.get(name, ())}
    return ", ".join(sorted(dtypes)) or "—"


def quantized(definition: Definition) -> str:
    """Return the modes of the quantizer that have a form of their own for the operator."""
    rule = definition.quantization
    modes = {"int8": rule.int8, "int16x8": rule.int16, "dynamic": bool(rule.dynamic_weights)}
    return ", ".join(mode for mode, quantizes in modes.items() if quantizes) or "—"


def rule_rows(profile: Profile, definitions: list[Definition]) -> list[list[str]]:
    """Return a row per rule of `profile` that is not the default."""
    rows = []
    for definition in definitions:
        for dtype, rule in sorted(definition.rules.get(profile.name, {}).items()):
            if rule == PROFILES["reference"].default:
                continue
            tail = f"{rule.block}, {rule.tail}" if rule.block else ""
            rows.append([definition.name, dtype, rule.rounding, rule.product, rule.form, tail, rule.bounds])
    return rows


def render() -> str:
    """Return the text of docs/operators.md."""
    definitions = sorted(load_operators().values(), key=lambda definition: definition.name)
    rows = [
        [
            d.name,
            ", ".join(d.dtypes),
            str(d.max_version),
            *(covered(profile, d) for profile in PROFILES.values()),
            quantized(d),
            f"[{d.page}](numerics/{d.page}.md)",
        ]
        for d in definitions
    ]
    lines = table(["operator", "forms", "version", *PROFILES, "quantized", "page"], rows)
    lines += RULES_HEAD.splitlines()
    for profile in PROFILES.values():
        confirmed = ", ".join(f"{name} {version}" for name, version in profile.confirmed_on.items())
        lines += ["", f"### {profile.name}", "", f"{profile.description}. Confirmed on {confirmed}.", ""]
        header = ["operator", "output", "rounding", "product", "form", "block, tail", "bounds"]
        lines += table(header, rule_rows(profile, definitions))
    return HEAD + "\n" + "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or with ``--check`` only say whether it is up to date."""
    text = render()
    if arguments == ["--check"]:
        return int(not TARGET.exists() or TARGET.read_text() != text)
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
