"""A config as text: Python, YAML, JSON and canonical."""
from typing import Any
from fkit.tree.canonical import canonical
from fkit.tree.error import FkitValueError, FkitOSError
from fkit.tree.write import atomic_write
def text(cfg: Any, form: str) -> str:
    from fkit.tree.tree import thaw
    if form == "canonical":
        return canonical(cfg)
    if form == "python":
        return "".join(f"{k} = {v!r}\n" for k, v in thaw(cfg).items())
    raise FkitValueError(f"no text form {form!r}", value=form, choices=("python", "yaml", "json", "canonical"))
def write(cfg: Any, path: str) -> None:
    atomic_write(path, text(cfg, "python").encode())
