"""The book ``registry``: mmengine's column is the reference.

A scenario there is a forest of registries. Here a tree of them is one kind, named like its root, and its nodes are the
scopes of one Registry; trees whose roots share a scope share the Registry. A lookup "from" a node, and a default
scope, are the argument ``scope``.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from fkit import FkitError, Registry

BOOK = "registry"
STEPS = ("registries", "register", "lookups", "contains", "len", "builds")


def cases(book: dict[str, Any]) -> list[dict[str, Any]]:
    """One case a recorded outcome, named ``scenario/step/what``."""
    return [
        {
            "id": f"{scenario['id']}/{step}/{label}",
            "scenario": scenario,
            "step": step,
            "at": index,
            "args": _facts(scenario, step, index),
        }
        for scenario in book["scenarios"]
        for step in STEPS
        for index, label in _labels(scenario.get(step, ()), step)
    ]


def _labels(items: Any, step: str) -> Iterator[tuple[int, str]]:
    if step == "len":
        yield from ((index, node) for index, node in enumerate(dict(items).get("mmengine", ())))
        return
    seen: list[str] = []
    for index, item in enumerate(items):
        node = item.get("id") or item.get("in") or item.get("from")
        what = item.get("key", item.get("object", _short(item.get("cfg", ""))))
        label = f"{node}:{what}" if what != "" or step == "lookups" else node
        seen.append(label)
        again = seen.count(label)
        yield index, label if again == 1 else f"{label}#{again}"


def _facts(scenario: dict[str, Any], step: str, index: int) -> dict[str, bool]:
    """What differences.toml asks of a lookup: was its object imported there, or left by a registration that failed?"""
    if step != "lookups":
        return {}
    label = scenario[step][index]["mmengine"].get("result")
    ends = ["error" in item["mmengine"] for item in scenario["register"] if item["object"] == label]
    return {"imported": label is not None and not ends, "half_done": bool(ends) and all(ends)}


def _short(cfg: Any) -> str:
    kind = cfg.get("type") if isinstance(cfg, dict) else cfg
    scope = f"@{cfg['_scope_']}" if isinstance(cfg, dict) and "_scope_" in cfg else ""
    return f"{kind}{scope}"


class Forest(NamedTuple):
    """The replay of a scenario: its trees by root scope, where each node lies, and how each step ended."""

    trees: dict[str, Registry]
    nodes: dict[str, tuple[str, str, str]]  # node -> (tree, kind, scope)
    ended: dict[tuple[str, int], Exception | None]
    objects: dict[str, Any]


def replay(scenario: dict[str, Any]) -> Forest:
    forest = Forest({}, {}, {}, {})
    for index, node in enumerate(scenario["registries"]):
        forest.ended["registries", index] = _attempt(lambda node=node: _plant(forest, node))
    for index, step in enumerate(scenario["register"]):
        forest.objects.setdefault(step["object"], thing(step["object"], step.get("kind", "class")))
        forest.ended["register", index] = _attempt(lambda step=step: _register(forest, step))
    return forest


def _attempt(act: Callable[[], None]) -> Exception | None:
    try:
        act()
    except FkitError as error:
        return error
    return None


def _plant(forest: Forest, node: dict[str, Any]) -> None:
    if node["parent"] is None:
        tree = forest.trees.get(node["scope"], Registry(node["scope"]))
        build = tag if node.get("build_func") else None
        forest.trees[node["scope"]] = tree.declare(node["name"], build=build)
        forest.nodes[node["id"]] = (node["scope"], node["name"], node["scope"])
    else:
        root, kind, parent = forest.nodes[node["parent"]]
        forest.trees[root] = forest.trees[root].child(node["scope"], parent=parent)
        forest.nodes[node["id"]] = (root, kind, node["scope"])


def _register(forest: Forest, step: dict[str, Any]) -> None:
    if step["in"] not in forest.nodes:
        raise FkitError(f"The registry {step['in']!r} was refused.")
    tree, kind, scope = forest.nodes[step["in"]]
    options = {"replace": step["force"]} if "force" in step else {}
    name = value(step.get("names"), forest)
    maker = forest.objects[step["object"]]
    forest.trees[tree] = forest.trees[tree].register(kind, maker, name=name, scope=scope, **options)


def thing(label: str, kind: str) -> Any:
    """The object that the book registers under ``label``."""
    name = label.rpartition(".")[2]

    def keep(self: Any, **kwargs: Any) -> None:
        self.kwargs = kwargs

    def contain(self: Any, child: Any = None, *, build: Any, **kwargs: Any) -> None:
        self.kwargs = {**kwargs, "child": build("model", child)}

    def strict(self: Any, a: Any = None) -> None:
        self.kwargs = {"a": a}

    def fail(self: Any, **kwargs: Any) -> None:
        raise ValueError("bad value")

    if kind == "value":
        return 3
    if kind == "function":

        def fn(**kwargs: Any) -> Any:
            return ("fn", kwargs)

        fn.__name__ = name
        return fn
    inits = {"class": keep, "container": contain, "strict": strict, "fails": fail}
    return type(name, (), {"__init__": inits[kind], "label": label})


def tag(cfg: Any, registry: Registry, kind: str, **_: Any) -> Any:
    return ("tagged by", [kind, dict(cfg)])


def value(item: Any, forest: Forest) -> Any:
    """A recorded value: ``__tuple__`` and ``__object__`` stand for themselves."""
    if isinstance(item, dict) and "__tuple__" in item:
        return tuple(value(part, forest) for part in item["__tuple__"])
    if isinstance(item, dict) and "__object__" in item:
        return forest.objects[item["__object__"]]
    if isinstance(item, dict):
        return {key: value(part, forest) for key, part in item.items()}
    return [value(part, forest) for part in item] if isinstance(item, list) else item


def described(built: Any) -> Any:
    """What was built, as the book writes it."""
    if isinstance(built, tuple) and built[0] == "fn":
        return {"built": "fn", "info": [built[1]]}
    if isinstance(built, tuple):
        return {"built": built[0], "info": built[1]}
    if hasattr(type(built), "label"):
        return {"built": type(built).label, "kwargs": {key: _part(part) for key, part in built.kwargs.items()}}
    return {"built": type(built).__name__}


def _part(item: Any) -> Any:
    return described(item) if hasattr(type(item), "label") else item


def test_case(case: dict[str, Any]) -> None:
    scenario, step, at = case["scenario"], case["step"], case["at"]
    forest = replay(scenario)
    if step == "len":
        node, count = list(scenario["len"]["mmengine"].items())[at]
        tree, kind, scope = forest.nodes[node]
        assert len(forest.trees[tree].names(kind, scope=scope)) == count
        return
    item = scenario[step][at]
    want = item["mmengine"]
    if step in ("registries", "register"):
        assert (forest.ended[step, at] is not None) == ("error" in want)
        return
    tree, kind, scope = forest.nodes[item.get("in") or item["from"]]
    registry = forest.trees[tree]
    if step == "contains":
        found = registry.look(kind, item["key"], scope=scope) is not None
        assert found == want["result"]
    elif step == "lookups":
        _check_lookup(forest, registry, kind, scope, item["key"], want)
    else:
        _check_build(forest, registry, kind, item, want, scope)


def _check_lookup(forest: Forest, registry: Registry, kind: str, scope: str, key: str, want: dict[str, Any]) -> None:
    if want.get("result") is None:  # null there, or an error: a lookup error here
        with pytest.raises(FkitError):
            registry.get(kind, key, scope=scope)
    else:
        assert registry.get(kind, key, scope=scope) is forest.objects[want["result"]]


def _check_build(
    forest: Forest, registry: Registry, kind: str, item: dict[str, Any], want: dict[str, Any], scope: str
) -> None:
    cfg, defaults = value(item["cfg"], forest), value(item.get("default_args"), forest)
    before = repr(cfg)
    scope = item.get("default_scope", scope)
    if "error" in want:
        with pytest.raises(FkitError):
            registry.build(kind, cfg, defaults=defaults, scope=scope)
    else:
        assert described(registry.build(kind, cfg, defaults=defaults, scope=scope)) == want["result"]
    assert repr(cfg) == before
