"""Panels without a folder of their own: written to a temporary one that goes when they go."""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.engine.temporary import temporary_folder

if TYPE_CHECKING:
    from calaim_eval.panel.member_months import MemberMonths


def panel_folder() -> Path:
    """New temporary folder for a panel."""
    return temporary_folder("calaim_panel_")


def gone_with_panel(panel: MemberMonths) -> MemberMonths:
    """The panel; its folder is removed when nothing holds it any more."""
    weakref.finalize(panel, shutil.rmtree, panel.folder, ignore_errors=True)
    return panel
