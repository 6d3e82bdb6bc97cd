"""Kinds, and scopes: where a name is looked for.

The rules are OpenMMLab's, as mmengine 0.10.7's ``Registry.get`` follows them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from frozendict import frozendict

from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["ALIASES", "KINDS", "Branch", "chain", "checked", "places"]

# mmengine's root registries in lower case, and MMPose's keypoint codecs
KINDS = (
    "checkpoint_schemes", "codecs", "data_samplers", "datasets", "evaluators", "file_backends", "file_handlers", "functions", "hooks", "inferencers",
    "log_processors", "loops", "metrics", "model_wrappers", "models", "optim_wrapper_constructors", "optim_wrappers",
    "optimizers", "param_schedulers", "runner_constructors", "runners", "strategies", "task_utils", "transforms",
    "vis_backends", "visualizers", "weight_initializers",
)  # fmt: skip

# the registries of mmcv 1.x and of the packages built on it -> the kind that took them in
ALIASES: frozendict[str, str] = frozendict(
    {
        old: new
        for new, olds in (
            (
                "models",
                "backbones necks roi_extractors shared_heads heads losses detectors segmentors posenets classifiers "
                "conv_layers norm_layers activation_layers padding_layers upsample_layers plugin_layers dropout_layers "
                "attention feedforward_network positional_encoding transformer_layer transformer_layer_sequence",
            ),
            ("transforms", "pipelines"),
            ("task_utils", "bbox_assigners bbox_samplers bbox_coders anchor_generators prior_generators match_cost"),
            ("optim_wrapper_constructors", "optimizer_builders"),
            ("runner_constructors", "runner_builders"),
            ("model_wrappers", "module_wrappers"),
            ("weight_initializers", "initializers"),
            ("codecs", "keypoint_codec keypoint_codecs"),
            ("evaluators", "evaluator"),
            ("vis_backends", "visbackends"),
        )
        for old in olds.split()
    }
)


class Branch(NamedTuple):
    """Where a scope hangs in the tree of scopes: under ``parent``.

    ``declared`` is False for a scope that only a registration named. ``open`` lets ``scope.Name``, asked for from the
    scope itself, fall back to the parents, where OpenMMLab's rule looks in the scope alone.
    """

    parent: str
    declared: bool = True
    open: bool = False


def places(scopes: Mapping[str, Branch], root: str, scope: str, name: str) -> tuple[tuple[str, str], ...]:
    """Where OpenMMLab's rules look for ``name`` from ``scope``: (scope, bare name), first to last.

    A bare name: its own scope, then the parents up to the root. ``own.Name``: the own scope alone (an open one goes on
    to the parents). ``child.Name``: from that child. Another prefix is asked of the root, if the root knows it.
    """
    prefix, dot, tail = name.partition(".")
    if not dot:
        return tuple((place, name) for place in chain(scopes, scope))
    if prefix == scope:
        at = scopes.get(scope)
        return (
            tuple((place, tail) for place in chain(scopes, scope)) if at is not None and at.open else ((scope, tail),)
        )
    below = scopes.get(prefix)
    if below is not None and below.parent == scope:
        return places(scopes, root, prefix, tail)
    if scope != root and (prefix == root or (below is not None and below.parent == root)):
        return places(scopes, root, root, name)
    return ()


def chain(scopes: Mapping[str, Branch], scope: str) -> tuple[str, ...]:
    """A scope and its parents, up to the root."""
    way = (scope,)
    while scope in scopes:
        scope = scopes[scope].parent
        way = (*way, scope)
    return way


def checked(scope: str) -> str:
    """A scope's name, if it can be one."""
    expect(scope, str, "`scope` is a word")
    if not scope or "." in scope:
        raise FkitValueError(f"A scope is one word without dots, not {scope!r}.")
    return scope
