"""Dual status codes: the published meanings, and one place that says them."""

import ast
import re
from pathlib import Path

from calaim_eval.schema import load_codes
from calaim_eval.schema.dual_status import (
    DUAL_KIND_NOT_TOLD,
    FULL_DUAL,
    NOT_DUAL,
    NOT_KNOWN_DUAL,
    PARTIAL_DUAL,
    not_dual_spellings,
)

PACKAGE = Path(__file__).resolve().parents[3] / "calaim_eval"


def test_full_and_partial_duals_are_those_of_the_public_documentation():
    # ResDAC, MME_TYPE_CD: full 02 04 08, partial 01 03 05 06, Medicare only 00 09 NA 99.
    # 10 (other full dual) and 07 (qualifying individual to 2002): CodeSystem BENE_DUAL_STUS_CD.
    assert set(FULL_DUAL) == {"02", "04", "08", "10"}
    assert set(PARTIAL_DUAL) == {"01", "03", "05", "06", "07"}
    assert {"00", "09", "NA"} <= set(NOT_DUAL)
    assert {"99", "XX", "*", "~"} <= set(NOT_KNOWN_DUAL)


def test_the_code_of_an_unknown_kind_is_none_of_cms_and_dual():
    codes = load_codes("dual_status")["code"].tolist()
    assert len(set(codes)) == len(codes)
    assert not re.fullmatch(r"[0-9A-Z*~]{1,2}", DUAL_KIND_NOT_TOLD)
    assert DUAL_KIND_NOT_TOLD not in not_dual_spellings()


def test_no_other_file_says_dual_codes_of_its_own():
    """No tuple or literal of codes stands beside a name that speaks of duals."""
    said = []
    for path in [*(PACKAGE / "tables").glob("*.py"), *(PACKAGE / "panel").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [ast.unparse(t) for t in node.targets] if isinstance(node, ast.Assign) else []
            if any("DUAL" in name and "SOPT" not in name for name in names):
                texts = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
                said += [f"{path.name}: {t}" for t in texts if re.fullmatch(r"\d\d", str(t))]
            if isinstance(node, ast.Dict):
                keys = [ast.unparse(key) if key else "" for key in node.keys]
                for key, value in zip(keys, node.values, strict=True):
                    if "dual_status_code" in key and re.search(r"'\d\d'", ast.unparse(value)):
                        said.append(f"{path.name}: {key}")
    assert said == []
