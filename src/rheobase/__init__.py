"""From real recordings to dynamic models and one report a scientist can trust."""

__version__ = "0.1.0"
