"""ARCHITECTURE.md and the public names say what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import calaim_eval

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
DOORS = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", TEXT, flags=re.MULTILINE))
FILES = dict(re.findall(r"^### `(\w+)`\n(.+?)\n(?=\n#)", TEXT, flags=re.MULTILINE | re.DOTALL))


def test_every_room_is_described_and_every_described_room_exists():
    package = ROOT / "calaim_eval"
    folders = {p.parent.name for p in package.glob("*/__init__.py")}
    modules = {p.stem for p in package.glob("*.py")} - {"__init__", "__main__", "version"}
    assert set(DOORS) == set(FILES) == folders | modules


@pytest.mark.parametrize("room", DOORS)
def test_files_and_names_of_a_room_exist(room):
    package = ROOT / "calaim_eval"
    source = package / room if (package / room).is_dir() else package
    code = "\n".join(p.read_text(encoding="utf-8") for p in source.rglob("*.py"))
    for word in re.findall(r"`([\w./]+)`", DOORS[room] + FILES[room]):
        if word.endswith((".py", ".csv", "/")):
            assert (source / word).exists(), f"{room}: {word}"
        else:
            assert re.search(rf"\b{word}\b", code), f"{room}: {word}"


def test_every_public_name_is_there():
    assert len(set(calaim_eval.__all__)) == len(calaim_eval.__all__)
    assert not [name for name in calaim_eval.__all__ if not hasattr(calaim_eval, name)]


def test_links_of_the_readme_lead_somewhere():
    for page in ("README.md", "CONTRIBUTING.md", "analyses/README.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_the_package_alone_loads_no_library():
    heavy = "{'pandas', 'numpy', 'scipy', 'ibis', 'duckdb', 'pyarrow', 'statsmodels', 'plotnine'}"
    loaded = f"import sys, calaim_eval; print({heavy} & set(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "set()"
