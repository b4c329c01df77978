"""Small frames by hand."""

from __future__ import annotations

import pandas as pd


def table(text: str, **fill: object) -> pd.DataFrame:
    """Frame from an ASCII table: header, rule, rows; an empty cell is missing."""
    lines = [line.strip() for line in text.strip().splitlines()]
    names = [cell.strip() for cell in lines[0].split("|")]
    rows = [[cell.strip() or None for cell in line.split("|")] for line in lines[2:]]
    return pd.DataFrame(rows, columns=names).assign(**fill)


def one_row(frame: pd.DataFrame, **keys: object) -> pd.Series:
    """The one row with these keys."""
    for column, value in keys.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


ORGANIZATION = table("""
    organization_id | organization_type | headquarters_county | market_entry_date | leadership
    ----------------+-------------------+---------------------+-------------------+-----------
    o1              | cbo               | Kings               | 2010-01-01        | black_led
    o2              | cbo               | out_of_state        | 2010-01-01        | white_led
    o3              | cbo               | Tulare              | 2022-03-01        |
    o4              | cbo               |                     |                   |
    o5              | for_profit        | out_of_state        | 2023-01-01        | white_led
    o6              | clinic            | Kings               | 2000-01-01        |
""")

CONTRACT = table("""
    contract_id | plan       | organization_id | county | service          | start      | end
    ------------+------------+-----------------+--------+------------------+------------+-----------
    c1          | Anthem     | o1              | Kings  | ecm              | 2022-01-01 |
    c1          | Anthem     | o1              | Kings  | housing_deposits | 2022-01-01 | 9999-12-31
    c2          | Health Net | o1              | Kings  | ecm              | 2023-01-01 | 2024-10-01
    c3          | Anthem     | o2              | Kings  | ecm              | 2024-12-31 |
    c4          | Anthem     | o3              | Tulare | ecm              | 2023-01-01 |
    c5          | Anthem     | o4              | Tulare | ecm              |            |
    c6          | Anthem     | o5              | Kings  | ecm              | 2023-01-01 |
    c7          | Anthem     | o5              | Tulare | ecm              | 2023-01-01 |
    c8          | Anthem     | o6              | Kings  | ecm              | 2022-01-01 | 2024-09-30
    c9          | Anthem     | o6              | Kings  | ecm              | 2025-01-01 |
""").rename(columns={"start": "contract_start_date", "end": "contract_end_date"})

SERVICE = table("""
    member_id | service          | record_type   | record_date | organization_id | county
    ----------+------------------+---------------+-------------+-----------------+-------
    m1        | ecm              | service       | 2024-10-01  | o1              | Kings
    m1        | ecm              | service       | 2024-12-31  | o1              | Kings
    m1        | ecm              | service       | 2024-11-01  | o5              | Kings
    m2        | ecm              | service       | 2024-11-01  | o5              | Tulare
    m3        | housing_deposits | service       | 2024-11-01  | o6              | Kings
    m4        | ecm              | service       | 2024-11-01  |                 | Kings
    m5        | ecm              | outreach      | 2024-11-01  | o3              | Tulare
    m6        | ecm              | authorization | 2024-11-01  | o3              | Tulare
    m7        | ecm              | service       | 2024-09-30  | o3              | Tulare
    m8        | ecm              | service       | 2025-01-01  | o3              | Tulare
""")
