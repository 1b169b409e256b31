"""The arena of an exported model as a picture, and as text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from quantcore.export_c.plan import Block, ExportPlan

__all__ = ["draw_memory_map", "memory_table", "peak_step"]

WIDTH, HEIGHT = 960, 480  # of the drawing, in the middle of margins
LEFT, TOP, RIGHT, BOTTOM = 90, 60, 20, 130
SIZE = (LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM)
CHARACTER = 6.2  # width of one
COLOURS = {
    "input": "#8fc1e3",
    "output": "#a8d5a2",
    "state": "#e0b0ff",
    "scratch": "#f4c28f",
    "tensor": "#d9d9d9",
}
MOST_LABELS = 40  # of steps


def memory_table(plan: ExportPlan) -> str:
    """Return the blocks of the arena as text, one per line."""
    lines = [f"{'bytes':>10} {'at':>10}  {'steps':>9}  what\n"]
    for block in plan.blocks:
        steps = f"{block.first}-{block.last}" if block.first != block.last else str(block.first)
        lines.append(f"{block.size:>10,} {block.offset:>10,}  {steps:>9}  {block.kind}: {block.name}\n")
    step, size = peak_step(plan.blocks)
    lines.append(f"{plan.arena_bytes:>10,} in all; most is in use at step {step}: {size:,} bytes\n")
    return "".join(lines)


def peak_step(blocks: Sequence[Block]) -> tuple[int, int]:
    """Return the step at which most bytes are in use, and how many these are."""
    sizes: dict[int, int] = {}
    for block in blocks:
        for step in range(block.first, block.last + 1):
            sizes[step] = sizes.get(step, 0) + block.size
    if not sizes:
        return 0, 0
    step = max(sizes, key=lambda step: (sizes[step], -step))
    return step, sizes[step]


def draw_memory_map(plan: ExportPlan, title: str) -> str:
    """Return an SVG picture: tensors as rectangles over steps (across) and bytes of the arena (up)."""
    steps, total = max(len(plan.steps), 1), max(plan.arena_bytes, 1)
    heading = f"{title}: arena of {plan.arena_bytes:,} bytes"
    column, byte = WIDTH / steps, HEIGHT / total

    def x(step: float) -> float:
        return LEFT + step * column

    def y(offset: float) -> float:
        return TOP + HEIGHT - offset * byte

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE[0]} {SIZE[1]}" font-family="sans-serif" '
        'font-size="11">\n',
        f'<rect width="{SIZE[0]}" height="{SIZE[1]}" fill="white"/>\n',
        f'<text x="{LEFT}" y="22" font-size="15">{escape(heading)}</text>\n',
        *_legend(),
    ]
    for block in plan.blocks:
        left, width = x(block.first), (block.last - block.first + 1) * column
        top, height = y(block.offset + block.size), max(block.size * byte, 0.5)
        span = f"steps {block.first} to {block.last}"
        parts.append(
            f"<g><title>{escape(block.name)}: {block.size:,} bytes at {block.offset:,}, {span}</title>"
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{COLOURS[block.kind]}" stroke="#555" stroke-width="0.5"/>'
        )
        if height > 12 and (room := int((width - 6) / CHARACTER)) >= 6:
            label = f"{block.size:,} {block.name}"
            shown = label if len(label) <= room else label[: room - 1] + "…"
            parts.append(f'<text x="{left + 3:.1f}" y="{top + height / 2 + 4:.1f}">{escape(shown)}</text>')
        parts.append("</g>\n")
    parts += _axes(plan, x, y)
    return "".join([*parts, "</svg>\n"])


def _legend() -> list[str]:
    made, at = [], LEFT
    for kind, colour in COLOURS.items():
        made.append(
            f'<rect x="{at}" y="34" width="12" height="12" fill="{colour}" stroke="#555" stroke-width="0.5"/>'
        )
        made.append(f'<text x="{at + 17}" y="44">{kind}</text>\n')
        at += 80
    return made


def _axes(plan: ExportPlan, x, y) -> list[str]:  # type: ignore[no-untyped-def]
    steps, total = max(len(plan.steps), 1), max(plan.arena_bytes, 1)
    made = [
        f'<path d="M{LEFT} {TOP}V{TOP + HEIGHT}H{LEFT + WIDTH}" fill="none" stroke="black"/>\n',
    ]
    for i in range(5):
        offset = total * i // 4
        made.append(
            f'<path d="M{LEFT - 4} {y(offset):.1f}h4" stroke="black"/>'
            f'<text x="{LEFT - 7}" y="{y(offset) + 4:.1f}" text-anchor="end">{offset:,}</text>\n'
        )
    every = -(-steps // MOST_LABELS)
    for i in range(0, len(plan.steps), every):
        at, base = x(i + 0.5), TOP + HEIGHT + 8
        label = f"{i} {plan.steps[i].op}"
        made.append(
            f'<text x="{at:.1f}" y="{base}" text-anchor="end" transform="rotate(-60 {at:.1f} {base})" '
            f'font-size="9">{escape(label)}</text>\n'
        )
    return made
