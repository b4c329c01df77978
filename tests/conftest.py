"""Fixtures every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of third-party data and reference values beside the checkout; skip without it."""
    if not (SHARED / "reference").is_dir():
        pytest.skip("../shared is absent: third-party data and reference values are not committed")
    return SHARED
