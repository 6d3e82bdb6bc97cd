"""Of transforms of transforms, policies and mixtures: recorded draws -> params, by the name of fkit's class."""

from collections.abc import Callable, Mapping
from typing import Any

from frozendict import frozendict

from fkit.data.transform.composition import Chosen
from fkit.data.transform.policy import Several


def random_choice(recorded: Any, transform: Any, sample: Any) -> Any:
    which = int(recorded.param("random_pipeline_index"))
    return Chosen(which, recorded.params_of(transform.pipelines[which], sample))


def random_apply(recorded: Any, transform: Any, sample: Any) -> Any:
    return recorded.params_of(transform.pipeline, sample) if recorded.param("random_apply") else None


def random_order(recorded: Any, transform: Any, sample: Any) -> Any:
    order = tuple(recorded.param("_random_permutation").tolist())
    return Chosen(order, recorded.params_of(transform.ordered(order), sample))


def key_mapper(recorded: Any, transform: Any, sample: Any) -> Any:
    return recorded.params_of(transform.pipeline, transform.inner(sample))


def broadcaster(recorded: Any, transform: Any, sample: Any) -> Any:
    rows = transform.scattered(sample)
    if transform.share_random_params:
        return (recorded.params_of(transform.pipeline, rows[0]),) * len(rows)
    return tuple(recorded.params_of(transform.pipeline, row) for row in rows)


def proposals(recorded: Any, transform: Any, sample: Any) -> Any:
    return recorded.params_of(transform.pipeline, sample)


def rand_augment(recorded: Any, transform: Any, sample: Any) -> Any:
    which = tuple(recorded.param("random_pipeline_index").tolist())
    return Several(which, recorded.params_of(transform.chain(which), sample))


def magnitude(recorded: Any, transform: Any, sample: Any) -> Any:
    return None if recorded.param("_random_disable") else float(recorded.param("_get_mag"))


MAGNITUDES = (
    "AutoContrast", "Brightness", "Color", "Contrast", "Equalize", "Invert", "Posterize", "Rotate", "Sharpness", "ShearX",
    "ShearY", "Solarize", "SolarizeAdd", "TranslateX", "TranslateY",
)  # fmt: skip

PARAMS: Mapping[str, Callable[..., Any]] = frozendict(
    AutoAugment=random_choice,
    KeyMapper=key_mapper,
    ProposalBroadcaster=proposals,
    RandAugment=rand_augment,
    RandomApply=random_apply,
    RandomChoice=random_choice,
    RandomOrder=random_order,
    TransformBroadcaster=broadcaster,
    **dict.fromkeys(MAGNITUDES, magnitude),
)
