"""The documents agree with the code."""

from __future__ import annotations

import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import quantcore as qc
from quantcore.ops.registry import load_operators
from quantcore.quantizer.settings import MODES
from tests.process import run_with_tensorflow

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "quantcore"
PAGES = ROOT / "docs" / "numerics"
TEXTS = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
FOLDERS = ("", "quantcore/**/", "csrc/**/", "tests/**/", "docs/**/", "benchmarks/**/")
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
TRAINING = ROOT / "docs" / "tutorials" / "quantization_aware_training.py"


def test_operators_md_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate_operators.py", "--check"], check=False)
    assert done.returncode == 0, "docs/operators.md is out of date: run python docs/generate_operators.py"


@pytest.mark.parametrize("page", sorted({d.page for d in load_operators().values()}))
def test_each_operator_has_a_page_with_runnable_numpy(page: str) -> None:
    path = PAGES / f"{page}.md"
    assert path.exists(), f"the page of an operator is missing: write docs/numerics/{path.name}"
    text = path.read_text()
    assert "```python" in text, f"{path.name} has no block of NumPy that runs"
    namespace: dict[str, object] = {}
    for block in text.split("```python")[1:]:
        exec(compile(block.split("```")[0], f"{page}.md", "exec"), namespace)
    assert any(callable(value) for value in namespace.values())


def test_the_index_and_the_pages_agree() -> None:
    linked = set(re.findall(r"\(([a-z_0-9]+\.md)\)", (PAGES / "README.md").read_text()))
    written = {page.name for page in PAGES.glob("*.md")} - {"README.md"}
    assert linked == written, "docs/numerics/README.md has a link to each page in that folder"


@pytest.mark.parametrize("page", TEXTS, ids=[str(page.relative_to(ROOT)) for page in TEXTS])
def test_files_and_modules_that_a_page_names_exist(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^):#]+)", text):
        assert (page.parent / target).exists(), target
    tree = text.partition("## The tree")[2].partition("\n## ")[0]
    words = {*re.findall(r"`([^`\n]+)`", text), *(word.strip(",;:.") for word in tree.split())}
    for word in words:
        if re.fullmatch(r"[\w/*]+(/|\.(py|pyx|def|inc))", word):
            assert any(any(ROOT.glob(f"{folder}{word}")) for folder in FOLDERS), word
        elif re.fullmatch(r"[a-z_]+(\.\w+)+(?<!\.h)", word) and (PACKAGE / word.partition(".")[0]).is_dir():
            pkgutil.resolve_name(f"quantcore.{word}")


def test_names_of_the_package_in_texts_and_docstrings_exist() -> None:
    sources = [path for end in ("py", "pyx", "h") for path in ROOT.glob(f"[bcqt]*/**/*.{end}")]
    for path in (*TEXTS, *sources):
        for name in re.findall(r"`(quantcore\.[\w.]+)(?:\([^`]*\))?`", path.read_text()):
            try:
                pkgutil.resolve_name(name)
            except (ImportError, AttributeError):
                pytest.fail(f"{path}: there is no {name}")


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_of_quantization_has_a_page_and_is_named(mode: str) -> None:
    assert (ROOT / "docs" / "quantization" / f"{mode}.md").exists(), f"write docs/quantization/{mode}.md"
    assert f"`{mode}`" in (ROOT / "docs" / "cli.md").read_text(), f"docs/cli.md does not say `{mode}`"
    assert f'"{mode}"' in str(qc.quantize_model.__doc__), "the docstring of quantize_model does not list it"


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in TUTORIALS if p.stem != "train-for-4-bits"], ids=lambda p: p.stem)
def test_tutorials_run_on_what_the_demo_leaves(
    page: Path, demo_output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo-output").symlink_to(demo_output)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    exec(compile("\n".join(blocks), str(page), "exec"), {})


@pytest.mark.oracle
@pytest.mark.slow
def test_the_tutorial_of_training_runs_and_every_bit_agrees(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the tutorial draws a plot: the extra 'plot' is not installed")
    run_with_tensorflow(TRAINING, "--out", tmp_path, "--seeds", "1", "--epochs", "2", "--qat-epochs", "1")
    rows = json.loads((tmp_path / "accuracy.json").read_text())
    assert len(rows) == 10
    assert all(row["equal"] for row in rows)
    assert len(list(tmp_path.glob("*.tflite"))) == 10
    assert (tmp_path / "accuracy.png").stat().st_size
