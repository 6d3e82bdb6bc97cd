"""Policies together: which hyperparameter each acts on, in what order, and what all of them give."""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any, NamedTuple, cast

import numpy as np

from fkit.training.schedule.plateau import ReduceOnPlateauLR
from fkit.training.schedule.policy import INF, UNKNOWN, Extent, Schedule, Time, Value, targets
from fkit.training.schedule.ranged import Ranged
from fkit.training.schedule.recursion import Member, Recursion
from fkit.training.schedule.updater import Updater
from fkit.tree.check import expect

__all__ = ["Link", "ahead", "arrange", "chain", "told", "watches"]


class Link(NamedTuple):
    """One policy of a chain, and the hyperparameter that it acts on."""

    name: str
    policy: Schedule


def arrange(policies: Iterable[Schedule], base: Mapping[str, Any], extent: Extent = UNKNOWN) -> tuple[Link, ...]:
    """Policies as they act: a link for each hyperparameter of each, in the order in which they act.

    mmengine's schedulers of one hyperparameter all act on the value in force. Where the order of their steps makes no
    difference, that is a product, and where one begins when the other is done, the one of the other's last value: closed
    forms. Any others are one `Recursion`. A policy of another kind acts on what the ones before it give.

    Args:
        base: the hyperparameters without any policy; ``initial_NAME`` where a group began with another value.
        extent: of the run, as far as it is known.

    Raises:
        FkitValueError: a policy acts on what is not there, or does not fit the run.

    Example:
        >>> from fkit.training.schedule.factor import LinearLR
        >>> [link.name for link in arrange([LinearLR(param="momentum")], {"lr": np.ones(1), "beta1": np.ones(1)})]
        ['beta1']
    """
    links: list[Link] = []
    for policy in policies:
        for name in targets(policy.param, base):
            bind = getattr(policy, "bind", None)
            bound = bind(extent, np.asarray(base[name], np.float64)) if bind else policy
            links.append(Link(name, bound))
    members = {name: [link.policy for link in links if link.name == name and _is_member(link)] for name, _ in links}
    arranged: list[Link] = []
    for link in links:
        if not _is_member(link):
            arranged.append(link)
        elif mine := members.pop(link.name, None):
            arranged += [Link(link.name, one) for one in _together(link.name, cast("list[Member]", mine), base, extent)]
    return tuple(arranged)


def _is_member(link: Link) -> bool:
    return isinstance(link.policy, Ranged | ReduceOnPlateauLR) and not isinstance(link.policy, Updater)


def _together(name: str, members: list[Member], base: Mapping[str, Any], extent: Extent) -> list[Schedule]:
    """Schedulers of one hyperparameter in the order of their closed forms; or one recursion."""
    rows = [(_span(member, extent), member) for member in members if isinstance(member, Ranged)]
    apart = len(rows) == len(members) and all(
        (one.scales and other.scales) or _apart(span, one, other_span, other, extent)
        for (span, one), (other_span, other) in combinations(rows, 2)
    )
    if not apart:
        return [Recursion(tuple(members), _origin(name, base), name)]
    return [member for _, member in sorted(rows, key=lambda row: row[0])]


def _span(member: Ranged, extent: Extent) -> tuple[int, int]:
    """The first and the last iteration at which a scheduler may change a value."""
    first, last = member.moves
    length = 1 if not member.by_epoch else (extent.length or 1) if extent.by_epoch else INF
    return (member.begin + first) * length, (member.begin + last) * length


def _apart(span: tuple[int, int], one: Ranged, other_span: tuple[int, int], other: Ranged, extent: Extent) -> bool:
    """Whether one scheduler is done when the other begins."""
    if one.by_epoch is not other.by_epoch and extent.by_epoch and not extent.length:
        return False  # nobody knows
    return span[1] < other_span[0] or other_span[1] < span[0]


def _origin(name: str, base: Mapping[str, Any]) -> Value:
    """What a hyperparameter had before any policy: ``initial_lr``, or what it has."""
    before, dot, word = name.rpartition(".")
    return np.asarray(base.get(f"{before}{dot}initial_{word}", base[name]), np.float64)


def chain(
    links: tuple[Link, ...], states: tuple[Any, ...], at: Time, base: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """All policies in order: their states, and every hyperparameter in force at ``at``.

    Args:
        links: as `arrange` gives them.
        base: the hyperparameters without any policy.

    Example:
        >>> from fkit.training.schedule.factor import LinearLR
        >>> base = {"lr": np.array([0.1])}
        >>> warm = arrange([LinearLR(start_factor=0.5, end=2, by_epoch=False)], base)
        >>> chain(warm, ((),), Time(0, 0), base)[1]["lr"].tolist()
        [0.05]
    """
    expect(base, Mapping, "`base` holds the hyperparameters without any policy")
    values = dict(base)
    after: list[Any] = []
    for (name, policy), state in zip(links, states, strict=True):
        if isinstance(policy, Ranged):
            values[name] = policy.rows(at, 1, values[name][None], _origin(name, base))[0]
        else:
            state, values[name] = policy.step(state, at, values[name])
        after.append(state)
    return tuple(after), values


def watches(policy: Schedule) -> bool:
    """Whether a policy steps when a validation is done."""
    return isinstance(policy, Recursion) and any(isinstance(one, ReduceOnPlateauLR) for one in policy.members)


def told(
    links: tuple[Link, ...], states: tuple[Any, ...], at: Time, base: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Value]]:
    """The states just after a validation that gave ``at.metrics``, and what changes by it: {name: (G,)}.

    Nothing is said of a hyperparameter on which a policy of another kind acts: that is asked before the next step.

    Raises:
        FkitKeyError: a policy looks at a metric that is not there.
    """
    values: dict[str, Value] = {link.name: base[link.name] for link in links if watches(link.policy)}
    after = list(states)
    for place, (name, policy) in enumerate(links):
        value = values.get(name)
        if value is None:
            continue
        if isinstance(policy, Recursion):
            after[place], values[name] = policy.told(states[place], at, at.metrics, value)
        elif isinstance(policy, Ranged):
            values[name] = policy.rows(at, 1, value[None], _origin(name, base))[0]
        else:
            del values[name]
    return tuple(after), values


def ahead(links: tuple[Link, ...], at: Time, count: int, base: Mapping[str, Any]) -> dict[str, Value]:
    """What closed policies give at ``at`` and the iterations after it, of one epoch: {name: (count, G)} of the
    hyperparameters that they act on; each row is what `chain` gives, to the bit.

    Example:
        >>> from fkit.training.schedule.factor import LinearLR
        >>> base = {"lr": np.array([0.1]), "momentum": np.array([0.9])}
        >>> warm = arrange([LinearLR(start_factor=0.5, end=3, by_epoch=False)], base)
        >>> ahead(warm, Time(1, 0), 2, base)["lr"].tolist()
        [[0.07500000000000001], [0.1]]
    """
    rows: dict[str, Value] = {}
    for name, policy in links:
        value = rows.get(name)
        if value is None:
            value = np.broadcast_to(np.asarray(base[name], np.float64), (count, len(base[name])))
        if isinstance(policy, Ranged):
            rows[name] = np.broadcast_to(policy.rows(at, count, value, _origin(name, base)), value.shape)
        else:
            moments = [at._replace(iteration=at.iteration + i) for i in range(count)]
            rows[name] = np.stack([policy.step(policy.init(), one, value[i])[1] for i, one in enumerate(moments)])
    return rows
