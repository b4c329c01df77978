"""Version of the package; every output carries it."""

__version__ = "0.1.0"
