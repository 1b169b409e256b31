"""The tables of docs/performance.md, from the JSON files that the benchmarks write.

    make bench JSON=figures.json
    python benchmarks/write_tables.py figures.json                          # prints them
    python benchmarks/write_tables.py figures.json --into docs/performance.md   # puts them in their places

A place is a line ``<!-- figures: NAME -->``; what follows it, up to ``<!-- end of figures -->``, is replaced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from bench_bandwidth import BOUNDS, PEERS
from bench_gemm import OURS as OWN_PRODUCTS
from bench_gemm import PEAK, SHAPES
from bench_models import RESOLVERS, duration, slower

from quantcore.benchmark.speed import OURS

PLACE = re.compile(r"(<!-- figures: (?P<name>[\w ]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
MOST_KINDS = 3
Report = dict[str, Any]


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Return a table, the first `left` columns aligned to the left."""
    rule = ["---" if i < left else "---:" for i in range(len(columns))]
    lines = [columns, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def machine(report: Report) -> str:
    """Return what the figures were measured on."""
    found = report["machine"]
    peers = [f"{name} {version}" for name, version in found["versions"].items() if version]
    return (
        f"{found['cpu']}; {found['cores']} cores; instruction set `{found['isa']}`; {found['date']}. "
        f"quantcore {found['quantcore']}, Python {found['python']}, {', '.join(peers)}.\n"
    )


def peaks(report: Report) -> str:
    """Return what the machine can do at most."""
    found = report["peaks"]
    arithmetic = [(p["name"], p["kind"], f"{p['per_second'] / 1e9:,.0f}") for p in found["arithmetic"]]
    levels = list(dict.fromkeys(p["isa"] for p in found["memory"]))
    rates = {(p["isa"], p["kind"]): f"{p['per_second'] / 1e9:.1f}" for p in found["memory"]}
    memory = [(level, rates[level, "read"], rates[level, "copy"]) for level in levels]
    return (
        markdown(("instructions, one core", "values", "GMAC/s"), arithmetic, 2)
        + "\n"
        + markdown(("data in", "read GB/s", "copy GB/s"), memory)
    )


def model_rows(section: dict[str, Any], threads: int) -> str:
    """Return times and ratios of whole models."""
    columns = ["model", "MMAC", OURS, *(w for name in RESOLVERS.values() for w in (name, "ratio"))]
    rows = []
    for row in sorted(section["rows"], key=lambda row: str(row["model"])):
        if row["threads"] != threads:
            continue
        cells = [row["model"], f"{row['macs'] / 1e6:,.1f}", duration(row["seconds"][OURS])]
        for resolver in RESOLVERS:
            ratio = row["ratios"].get(resolver)
            text = "" if ratio is None else f"{ratio:.2f}x"
            marked = f"**{text}** slower" if resolver == "AUTO" and slower(row) else text
            absent = "refused" if resolver in row["refused"] else ""
            cells += [absent, ""] if ratio is None else [duration(row["seconds"][resolver]), marked]
        rows.append(cells)
    for mean in section["geometric_means"]:
        if mean["threads"] == threads:
            ratios = [f"{mean['ratios'][r]:.2f}x" if r in mean["ratios"] else "" for r in RESOLVERS]
            name = f"geometric mean, {mean['group']} ({mean['models']})"
            rows.append([name, "", "", *(cell for ratio in ratios for cell in ("", ratio))])
    return markdown(columns, rows)


def kinds(report: Report) -> str:
    """Return where the time of quantized models goes: the kinds of operators that take most of it."""
    rows = []
    for row in sorted(report["models"]["rows"], key=lambda row: str(row["model"])):
        for kind in row["kinds"][:MOST_KINDS] if not row["float"] else ():
            macs = f"{kind['macs_per_second'] / 1e9:.1f}" if kind["macs"] else ""
            rate = f"{kind['bytes_per_second'] / 1e9:.1f}"
            names = (row["model"], f"{kind['index']} {kind['op']}", f"`{kind['kernel']}` {kind['isa']}")
            rows.append((*names, f"{kind['seconds'] * 1e6:,.1f}", f"{kind['share']:.0%}", macs, rate))
    return markdown(("model", "steps", "kernel", "us", "share", "GMAC/s", "GB/s"), rows, 3)


def products(report: Report, kind: str) -> str:
    """Return the products of matrices, in GMAC/s."""
    rows = [row for row in report["products"]["rows"] if row["kind"] == kind]
    rows.sort(key=lambda row: SHAPES[kind].index((row["rows"], row["depth"], row["columns"])))
    found = dict.fromkeys(name for row in rows for name in row["macs_per_second"] if name != PEAK)
    names = [*OWN_PRODUCTS[kind], *(name for name in found if name not in OWN_PRODUCTS[kind])]
    lines = []
    for row in rows:
        rates = row["macs_per_second"]
        cells = [f"{rates[name] / 1e9:,.1f}" if name in rates else "" for name in (*names, PEAK)]
        share = row["share_of_peak"]
        shape = f"{row['rows']} x {row['depth']} x {row['columns']}"
        lines.append((shape, *cells, "" if share is None else f"{share:.0%}"))
    return markdown(("rows x depth x columns", *names, "peak", "our share of it"), lines)


def bandwidth(report: Report) -> str:
    """Return the passes over arrays, in GB/s of bytes read."""
    lines = []
    for row in sorted(report["bandwidth"]["rows"], key=lambda row: int(row["elements"])):
        rates, ratios = row["bytes_per_second"], row["ratios"]
        cells = [f"{rates[n] / 1e9:.2f}" if n in rates else "" for n in (OURS, *PEERS, *BOUNDS)]
        shares = [f"{ratios[name]:.0%}" if name in ratios else "" for name in BOUNDS]
        lines.append((row["operation"], f"{row['elements']:,}", *cells, *shares, f"{ratios['NumPy']:.1f}x"))
    names = (OURS, *PEERS, *BOUNDS, *(f"of {name}" for name in BOUNDS), "NumPy x")
    return markdown(("operation", "values", *names), lines)


def aims(report: Report) -> str:
    """Return what was aimed at, and what was measured."""
    rows = [*model_aims(report), *product_aims(report), *bandwidth_aims(report)]
    lines = [(what, aim, found, "yes" if reached else "**no**") for what, aim, found, reached in rows]
    return markdown(("", "aim", "measured", "reached"), lines, 2)


Aim = tuple[str, str, str, bool]


def model_aims(report: Report) -> Iterable[Aim]:
    """Yield the aims for whole models, against XNNPACK."""
    section = report["models"]
    for mean in section["geometric_means"]:
        if mean["group"] != "float" and "AUTO" in mean["ratios"]:
            ratio, threads = mean["ratios"]["AUTO"], mean["threads"]
            what = f"geometric mean, {mean['group']}, {threads} thread{'s'[: threads > 1]}"
            yield what, "2x XNNPACK", f"{ratio:.2f}x", ratio >= 2
    for threads in (1, 2):
        rows = [row for row in section["rows"] if row["threads"] == threads and "AUTO" in row["ratios"]]
        if not rows:
            continue
        count = sum(map(slower, rows))
        what = f"models slower than XNNPACK, {threads} thread{'s'[: threads > 1]}"
        yield what, "none", f"{count} of {len(rows)}", not count
    for row in report.get("invoke", {"rows": ()})["rows"]:
        if row["model"] in ("mlperf_ad_int8", "tflm_hello_world_int8") and "AUTO" in row["ratios"]:
            ratio = row["ratios"]["AUTO"]
            yield f"{row['model']}, invoke alone", "1x XNNPACK", f"{ratio:.2f}x", ratio >= 1


def product_aims(report: Report) -> Iterable[Aim]:
    """Yield the aims for products of matrices."""
    for row in report.get("products", {"rows": ()})["rows"]:
        if (row["kind"], row["rows"], row["depth"], row["columns"]) != ("int8", 1024, 1024, 1024):
            continue
        best = max(row["macs_per_second"].get(name, 0.0) for name in OWN_PRODUCTS["int8"])
        if str(row["peak"]).startswith("AMX"):
            aim, reached = "1,000 GMAC/s", best >= 1e12
        else:
            aim, reached = "60% of the peak", (row["share_of_peak"] or 0) >= 0.6
        share = "" if row["share_of_peak"] is None else f", {row['share_of_peak']:.0%} of the peak"
        yield (
            "int8 product with requantization, 1024 x 1024 x 1024",
            aim,
            f"{best / 1e9:,.0f} GMAC/s{share}",
            reached,
        )


def bandwidth_aims(report: Report) -> Iterable[Aim]:
    """Yield the aims for passes over arrays, at the largest size."""
    rows = report.get("bandwidth", {"rows": ()})["rows"]
    largest = max((row["elements"] for row in rows), default=0)
    wanted = {
        "quantize": ("memcpy", "speed of memcpy", 1.0),
        "min and max": ("read", "speed of reading", 0.9),
        "histogram": ("NumPy", "5x NumPy", 5.0),
    }
    for row in rows:
        if row["operation"] in wanted and row["elements"] == largest:
            peer, aim, least = wanted[row["operation"]]
            if peer in row["ratios"]:
                ratio = row["ratios"][peer]
                yield f"{row['operation']}, {largest:,} values", aim, f"{ratio:.2f}x {peer}", ratio >= least


# By the name of its place, each table with the section of the report that it is made of.
TABLES: dict[str, tuple[str, Callable[[Report], str]]] = {
    "machine": ("machine", machine),
    "aims": ("models", aims),
    "peaks": ("peaks", peaks),
    "models one thread": ("models", lambda report: model_rows(report["models"], 1)),
    "models two threads": ("models", lambda report: model_rows(report["models"], 2)),
    "invoke": ("invoke", lambda report: model_rows(report["invoke"], 1)),
    "kinds": ("models", kinds),
    "int8 products": ("products", lambda report: products(report, "int8")),
    "float32 products": ("products", lambda report: products(report, "float32")),
    "bandwidth": ("bandwidth", bandwidth),
}


def filled(page: str, report: Report) -> str:
    """Return a page with its tables written anew; those of sections that the report has not stay.

    Raises
    ------
    KeyError
        A place of an unknown name.
    """

    def table(found: re.Match[str]) -> str:
        section, make = TABLES[found["name"]]
        return f"{found[1]}\n{make(report)}\n{found[3]}" if section in report else found[0]

    return PLACE.sub(table, page)


@click.command(help=str(__doc__))
@click.argument("report_path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--into", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A page.")
def main(report_path: Path, into: Path | None) -> None:
    """Print the tables, or write them into a page."""
    report = json.loads(report_path.read_text(encoding="utf-8"))
    if into is not None:
        into.write_text(filled(into.read_text(encoding="utf-8"), report), encoding="utf-8")
        return
    for name, (section, table) in TABLES.items():
        if section in report:
            print(f"{name}\n\n{table(report)}")


if __name__ == "__main__":
    main()
