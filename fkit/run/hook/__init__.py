"""Hooks: frozen values with a priority and pure handlers, one file an idea."""
