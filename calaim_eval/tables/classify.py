"""Which claim lines are Enhanced Care Management or a Community Support, by the code list alone.

A line belongs to a program when its HCPCS code and one of its modifiers, in any of the five
slots, are together in `service_codes` and the code was in effect on the day of the line. The same
HCPCS code with another modifier is another support; without a modifier it is usually no program
line at all (H0014 without U6 is detoxification). Outreach is an attempt, not a service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.schema.codes import load_codes

if TYPE_CHECKING:
    import ibis

MODIFIER_SLOTS = tuple(f"hcpcs_modifier_{i}" for i in range(1, 6))
_NEEDED = ("hcpcs_code", *MODIFIER_SLOTS, "claim_start_date", "claim_line_start_date")
_PROGRAMS = {"ecm": "ecm", "cs": "community_support"}

NO_MODIFIER = "program code without a program modifier"
OTHER_MODIFIER = "program code with a modifier the code list does not pair with it"
NOT_IN_EFFECT = "program code and modifier before the pair took effect"
SEVERAL_SERVICES = "modifiers of several services on one line"


def program_codes() -> pd.DataFrame:
    """Pairs of HCPCS code and modifier that mark a program line.

    Returns
    -------
    pd.DataFrame
        One row per pair: `hcpcs`, `modifier`, `extra_modifier` (empty where none is needed),
        `program` (``"ecm"`` or ``"community_support"``), `service` (``"ecm"``, a support of the
        code list `community_support`, or empty for outreach that starts any housing support),
        `is_outreach`, `effective_from` (text, ``YYYY-MM-DD``).

    Raises
    ------
    TableError
        `service_codes` names a support that `community_support` does not, or gives one pair two
        meanings.
    """
    listed = load_codes("service_codes")
    codes = listed[listed["program"].isin(list(_PROGRAMS))].copy()
    codes["is_outreach"] = codes["counts_as_service"] == "0"
    codes["service"] = [_service_id(row) for row in codes.itertuples(index=False)]
    codes["program"] = codes["program"].map(_PROGRAMS)
    # The same pair with and without GQ (by phone or electronic) is one meaning: keep the wider.
    codes = codes.sort_values("extra_modifier", kind="stable")
    meaning = ["hcpcs", "modifier", "program", "service", "is_outreach", "effective_from"]
    codes = codes.drop_duplicates(meaning)
    if codes.duplicated(["hcpcs", "modifier"]).any():
        raise TableError(
            "code list `service_codes`: a pair of `hcpcs` and `modifier` has two meanings.\n"
            "  Give each pair one `service` and one `effective_from`."
        )
    return codes[[*meaning[:2], "extra_modifier", *meaning[2:]]].reset_index(drop=True)


def _service_id(row: Any) -> str:
    """Service id of a row of `service_codes`; empty for outreach to no one support."""
    if row.program == "ecm":
        return "ecm"
    if row.is_outreach:
        return ""
    supports = load_codes("community_support")
    ids: dict[str, str] = dict(zip(supports["name_in_code_list"], supports["service"], strict=True))
    name: str = row.service
    if name not in ids:
        raise TableError(
            f"code list `service_codes` names the support '{name}', which the column "
            "`name_in_code_list` of `community_support` does not have.\n"
            "  Use the same name in both lists."
        )
    return ids[name]


def classify_program_lines(claims: ibis.Table, codes: pd.DataFrame | None = None) -> ibis.Table:
    """Add program, service and outreach to claim lines.

    Parameters
    ----------
    claims : ibis.Table
        Claim lines with `hcpcs_code`, the five `hcpcs_modifier_*`, `claim_start_date` and
        `claim_line_start_date` (the header's day counts where the line has none). Narrow and
        filter it first where it is large; every row comes back once.
    codes : pd.DataFrame, optional
        Pairs as `program_codes` gives them; that by default.

    Returns
    -------
    ibis.Table
        The same rows and columns, and:

        `program` : ``"ecm"``, ``"community_support"``, or missing for a line of neither.
        `service` : ``"ecm"`` or a support; missing for housing outreach, which is to no one
        support.
        `is_outreach` : the line is an attempt to reach the member, not a service; false for a
        line of no program. A line with both modifiers is a service.
        `unclassified_reason` : why a line with a code of a program is of no program; missing for
        all other lines.

    Raises
    ------
    TableError
        A needed column is absent.
    """
    lacking = [column for column in _NEEDED if column not in claims.columns]
    if lacking:
        raise TableError(
            f"classifying program lines needs the column `{lacking[0]}` of `medical_claim`.\n"
            "  Select the code, the five modifiers and the two start dates."
        )
    pairs = program_codes() if codes is None else codes
    matched = _match_each_slot(claims, pairs)
    return _combine_slots(matched, claims.columns, sorted(set(pairs["hcpcs"])))


def _match_each_slot(claims: ibis.Table, pairs: pd.DataFrame) -> ibis.Table:
    """Join the code list once per modifier slot; each pair is unique, so no line multiplies."""
    import ibis

    matched = claims
    for slot in MODIFIER_SLOTS:
        listed = _slot_lookup(pairs, slot)
        matched = matched.left_join(
            listed,
            [
                matched.hcpcs_code == listed[f"{slot}__hcpcs"],
                matched[slot] == listed[f"{slot}__modifier"],
            ],
        )
    day = ibis.coalesce(matched.claim_line_start_date, matched.claim_start_date)
    return matched.mutate(
        **{f"{slot}__counts": _counts(matched, slot, day) for slot in MODIFIER_SLOTS}
    )


def _slot_lookup(pairs: pd.DataFrame, slot: str) -> ibis.Table:
    """Code list with the columns named for one slot."""
    import ibis

    lookup = pd.DataFrame(
        {
            f"{slot}__hcpcs": pairs["hcpcs"],
            f"{slot}__modifier": pairs["modifier"],
            f"{slot}__extra": pairs["extra_modifier"],
            f"{slot}__key": pairs["program"] + ":" + pairs["service"],
            f"{slot}__is_outreach": pairs["is_outreach"].astype(bool),
            f"{slot}__from": pd.to_datetime(pairs["effective_from"]),
        }
    )
    return ibis.memtable(lookup)


def _counts(matched: ibis.Table, slot: str, day: ibis.Value) -> ibis.Value:
    """Whether the pair found for a slot is in effect and has its extra modifier."""
    extra = matched[f"{slot}__extra"]
    has_extra = extra == ""
    for other in MODIFIER_SLOTS:
        has_extra = has_extra | (matched[other] == extra).fill_null(False)
    return (day >= matched[f"{slot}__from"].date()) & has_extra


def _combine_slots(
    matched: ibis.Table, columns: tuple[str, ...], hcpcs_codes: list[str]
) -> ibis.Table:
    """One answer per line out of the answers of its five slots."""
    import ibis

    def keys(*, outreach: bool) -> list[ibis.Value]:
        return [
            ibis.cases(
                (
                    matched[f"{slot}__counts"] & (matched[f"{slot}__is_outreach"] == outreach),
                    matched[f"{slot}__key"],
                )
            )
            for slot in MODIFIER_SLOTS
        ]

    found = matched.select(
        *columns,
        __service=ibis.least(*keys(outreach=False)),
        __other_service=ibis.greatest(*keys(outreach=False)),
        __outreach=ibis.least(*keys(outreach=True)),
        __any_pair=ibis.coalesce(*[matched[f"{slot}__key"] for slot in MODIFIER_SLOTS]).notnull(),
        __any_modifier=ibis.coalesce(*[matched[slot] for slot in MODIFIER_SLOTS]).notnull(),
        __is_program_code=matched.hcpcs_code.isin(hcpcs_codes).fill_null(False),
    )
    is_one_service = found["__service"] == found["__other_service"]
    key = ibis.cases((is_one_service, found["__service"]), else_=found["__outreach"])
    key = ibis.ifelse(found["__service"] != found["__other_service"], ibis.null("string"), key)
    reason = ibis.cases(
        (~found["__is_program_code"] | key.notnull(), ibis.null("string")),
        (found["__service"].notnull(), SEVERAL_SERVICES),
        (found["__any_pair"], NOT_IN_EFFECT),
        (found["__any_modifier"], OTHER_MODIFIER),
        else_=NO_MODIFIER,
    )
    return found.mutate(
        program=key.split(":")[0].nullif(""),
        service=key.split(":")[1].nullif(""),
        is_outreach=found["__service"].isnull() & found["__outreach"].notnull(),
        unclassified_reason=reason,
    ).drop(
        "__service",
        "__other_service",
        "__outreach",
        "__any_pair",
        "__any_modifier",
        "__is_program_code",
    )


def unclassified_lines(classified: ibis.Table) -> pd.DataFrame:
    """Lines with a code of a program that are of no program, counted by code and reason.

    Use after `classify_program_lines`, to find codes sent with the wrong modifier and code sets
    that have moved on. Many codes are ordinary benefits when they come without a modifier.

    Parameters
    ----------
    classified : ibis.Table
        What `classify_program_lines` returns.

    Returns
    -------
    pd.DataFrame
        `hcpcs_code`, `reason`, `n_lines`; most lines first. Holds no member.
    """
    lines = classified.filter(classified.unclassified_reason.notnull())
    counted = lines.group_by(lines.hcpcs_code, reason=lines.unclassified_reason).agg(
        n_lines=lines.count()
    )
    frame = counted.to_pandas()
    return frame.sort_values(
        ["n_lines", "hcpcs_code", "reason"], ascending=[False, True, True], ignore_index=True
    )
