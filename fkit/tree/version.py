"""The kit's version; the distribution's is read from here."""

__all__ = ["__version__"]

__version__ = "0.1.0"
