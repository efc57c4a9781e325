"""The configuration: read, validated, and turned into dataclasses at once.

Standard library, YAML and JSON schema only: Snakemake reads the configuration in every job.
"""

from rheobase.config.parse import Config, Dataset, Entry, ModelEntry, Split, parse, parse_dataset
from rheobase.config.read import ConfigError, read
from rheobase.config.schema import schema, validate

__all__ = [
    "Config",
    "ConfigError",
    "Dataset",
    "Entry",
    "ModelEntry",
    "Split",
    "parse",
    "parse_dataset",
    "read",
    "schema",
    "validate",
]
