"""Data files that ship with the package, each beside its licence; read by `importlib.resources`."""
