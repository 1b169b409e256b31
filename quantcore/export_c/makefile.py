"""The Makefile of an exported folder."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["write_makefile"]


def write_makefile(
    prefix: str, sources: Sequence[str], flags: Sequence[str], include: Sequence[str], math: bool
) -> str:
    """Return the Makefile that builds and runs the test on the computer at hand."""
    lines = " \\\n    ".join([f"{prefix}.c", f"{prefix}_data.c", *sources])
    folders = " ".join(["-I.", "-Iinclude", *(f"-I{folder}" for folder in include)])
    return f"""\
# make test: build the model and its test for this computer, and run it.
# Other compilers and flags: make test CC=clang CFLAGS="-O3 -march=native"
CC ?= cc
CFLAGS ?= -Os
# Part of the numerics: products and sums are rounded as they are written.
EXACT = -std=c99 -ffp-contract=off
WARNINGS = -Wall -Wextra -Wconversion
# What is not used does not get into the program.
SECTIONS = -ffunction-sections -fdata-sections
ifneq ($(shell uname -s),Darwin)
GC = -Wl,--gc-sections
else
GC = -Wl,-dead_strip
endif
LIBS ={" -lm" if math else ""}
EXTRA ={"".join(f" {flag}" for flag in flags)}
BUILD = build

SOURCES = {lines}
OBJECTS = $(addprefix $(BUILD)/,$(SOURCES:.c=.o))

.PHONY: all test clean

all: $(BUILD)/{prefix}_test

test: $(BUILD)/{prefix}_test
	$(BUILD)/{prefix}_test

$(BUILD)/{prefix}_test: $(OBJECTS) $(BUILD)/{prefix}_test.o
	$(CC) $(CFLAGS) $(GC) $^ -o $@ $(LIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(dir $@)
	$(CC) $(EXACT) $(WARNINGS) $(CFLAGS) $(SECTIONS) {folders} $(EXTRA) -c $< -o $@

clean:
	rm -rf $(BUILD)
"""
