"""Panels without a folder of their own: written to a temporary one that goes when they go."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calaim_eval.panel.member_months import MemberMonths


def temporary_folder() -> Path:
    """New folder for a panel."""
    return Path(tempfile.mkdtemp(prefix="calaim_panel_"))


def gone_with_panel(panel: MemberMonths) -> MemberMonths:
    """The panel; its folder is removed when nothing holds it any more."""
    weakref.finalize(panel, shutil.rmtree, panel.folder, ignore_errors=True)
    return panel
