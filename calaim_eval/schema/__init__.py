"""Every column, table and code list, once; checks and the data dictionary."""

from calaim_eval.schema.check import check_table
from calaim_eval.schema.codes import code_list_names, codes_sha256, load_codes
from calaim_eval.schema.dictionary import dictionary_drift, write_dictionary
from calaim_eval.schema.field import Field, Table
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.race_ethnicity import derive_race_ethnicity, race_ethnicity_groups
from calaim_eval.schema.race_rule import RaceRule
from calaim_eval.schema.race_schemas import RaceSchema, race_schema, race_schemas
from calaim_eval.schema.recorded_race import RecordedCategories, recorded_categories
from calaim_eval.schema.tables import TABLES

__all__ = [
    "FIELDS",
    "TABLES",
    "Field",
    "RaceRule",
    "RaceSchema",
    "RecordedCategories",
    "Table",
    "check_table",
    "code_list_names",
    "codes_sha256",
    "derive_race_ethnicity",
    "dictionary_drift",
    "load_codes",
    "race_ethnicity_groups",
    "race_schema",
    "race_schemas",
    "recorded_categories",
    "write_dictionary",
]
