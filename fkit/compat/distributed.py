"""mmengine's functions on several processes, by its names, over torch.distributed: without a group each does what it would of one
process."""

import functools
import itertools
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from fkit.backend.torch.fleet import open_fleet
from fkit.edge.launch import infer_launcher, place_of
from fkit.tree.check import expect, expect_call, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = [
    "all_gather", "all_gather_object", "all_reduce", "all_reduce_dict", "all_reduce_params", "barrier", "broadcast",
    "broadcast_object_list", "collect_results", "collect_results_cpu", "collect_results_gpu", "gather", "gather_object",
    "get_backend", "get_dist_info", "get_local_rank", "get_rank", "get_world_size", "infer_launcher", "init_dist",
    "is_distributed", "is_main_process", "master_only", "sync_random_seed",
]  # fmt: skip

R = TypeVar("R")
_OPS = ("sum", "mean", "product", "min", "max", "band", "bor", "bxor")
_MEGA = 1 << 20


def init_dist(launcher: str, backend: str = "nccl", init_backend: str = "torch", timeout: int | None = None) -> None:
    """Meet the other processes that a launcher has started; on a machine without CUDA by gloo.

    Args:
        launcher: "pytorch", "slurm" or "mpi".
        backend: of torch.distributed.
        init_backend: "torch"; there is no other.
        timeout: seconds.

    Raises:
        FkitError: this process was not started by the launcher, or the others are not met.
    """
    expect(backend, str, "`backend` is the name of one of torch.distributed")
    if init_backend != "torch":
        raise FkitValueError(f"init_backend = {quoted(init_backend)} is not supported.", choices=("torch",))
    if timeout is not None:
        expect_number(timeout, "`timeout`", whole=True)
    place = place_of(launcher)
    if launcher == "none":
        raise FkitValueError("init_dist: launcher = 'none' starts no processes.", choices=("pytorch", "slurm", "mpi"))
    open_fleet(place.rank, place.world, place.local_rank, None, place.address, place.port, backend, timeout)


def is_distributed() -> bool:
    """Whether a process group is open."""
    return dist.is_available() and dist.is_initialized()


def get_backend(group: Any = None) -> str | None:
    """The backend of a group; None where there is none."""
    return dist.get_backend(_group(group)) if is_distributed() else None


def get_rank(group: Any = None) -> int:
    """This process's number in a group; 0 where there is none."""
    return dist.get_rank(_group(group)) if is_distributed() else 0


def get_world_size(group: Any = None) -> int:
    """How many processes a group has; 1 where there is none."""
    return dist.get_world_size(_group(group)) if is_distributed() else 1


def get_dist_info(group: Any = None) -> tuple[int, int]:
    """(rank, number of processes).

    Example:
        >>> get_dist_info()
        (0, 1)
    """
    return get_rank(group), get_world_size(group)


def get_local_rank() -> int:
    """This process's number among those of its machine, as the launcher says; 0 without one."""
    return place_of(infer_launcher()).local_rank if is_distributed() else 0


def is_main_process(group: Any = None) -> bool:
    """Whether this is the process of rank 0."""
    return get_rank(group) == 0


def master_only(func: Callable[..., R]) -> Callable[..., R | None]:
    """The function, which rank 0 alone runs; the others get None.

    Example:
        >>> master_only(max)(1, 2)
        2
    """
    expect_call(func, "`func` is a function")

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> R | None:
        return func(*args, **kwargs) if is_main_process() else None

    return wrapped


def barrier(group: Any = None) -> None:
    """Wait for all processes of a group."""
    if get_world_size(group) > 1:
        dist.barrier(_group(group))


def all_reduce(data: Tensor, op: str = "sum", group: Any = None) -> None:
    """Put in the place of a tensor what it is over all processes.

    Args:
        data: of the same shape everywhere; written to.
        op: "sum", "mean", "product", "min", "max", "band", "bor" or "bxor".

    Raises:
        FkitError: ``data`` is no tensor, or there is no such operation.
    """
    _expect_tensor(data)
    _expect_op(op)
    world = get_world_size(group)
    if world > 1:
        sent = _sent(data, group)
        dist.all_reduce(sent, getattr(dist.ReduceOp, "SUM" if op == "mean" else op.upper()), _group(group))
        data.detach().copy_(torch.true_divide(sent, world) if op == "mean" else sent)


def all_reduce_dict(data: dict[str, Tensor], op: str = "sum", group: Any = None) -> None:
    """`all_reduce` of each value of a mapping, which has the same keys and shapes everywhere, in one go; the mapping is written
    to."""
    expect(data, Mapping, "`data` is a dict of tensors")
    for value in data.values():
        _expect_tensor(value)
    _expect_op(op)
    if get_world_size(group) > 1 and data:
        names = sorted(data)
        flat = torch.cat([data[name].flatten() for name in names])
        all_reduce(flat, op, group)
        for name, part in zip(names, flat.split([data[name].numel() for name in names]), strict=True):
            data[name] = part.view(data[name].shape)


def all_reduce_params(
    params: Iterable[Tensor], coalesce: bool = True, bucket_size_mb: int = -1, op: str = "sum", group: Any = None
) -> None:
    """`all_reduce` of many tensors of one device.

    Args:
        params: written to.
        coalesce: many at once.
        bucket_size_mb: of one such bucket; -1: all tensors of a type.
    """
    expect(params, Iterable, "`params` are tensors")
    _expect_op(op)
    expect_number(bucket_size_mb, "`bucket_size_mb`")
    tensors = [*params]
    for tensor in tensors:
        _expect_tensor(tensor)
    tensors = [tensor.data for tensor in tensors]
    if get_world_size(group) == 1:
        return
    for bucket in _buckets(tensors, bucket_size_mb * _MEGA) if coalesce else [[tensor] for tensor in tensors]:
        flat = torch.cat([tensor.flatten() for tensor in bucket])
        all_reduce(flat, op, group)
        for tensor, part in zip(bucket, flat.split([one.numel() for one in bucket]), strict=True):
            tensor.copy_(part.view(tensor.shape))


def all_gather(data: Tensor, group: Any = None) -> list[Tensor]:
    """The tensors of all processes, of one shape, in the order of ranks."""
    _expect_tensor(data)
    world = get_world_size(group)
    if world == 1:
        return [data]
    sent = _sent(data, group)
    rows = [torch.empty_like(sent) for _ in range(world)]
    dist.all_gather(rows, sent, _group(group))
    return [row.to(data.device) for row in rows]


def gather(data: Tensor, dst: int = 0, group: Any = None) -> list[Tensor]:
    """`all_gather` for the process ``dst`` alone; the others get an empty list."""
    expect_number(dst, "`dst`", whole=True)
    rows = all_gather(data, group)
    return rows if get_rank(group) == dst else []


def broadcast(data: Tensor, src: int = 0, group: Any = None) -> None:
    """Put in the place of a tensor what the process ``src`` has."""
    _expect_tensor(data)
    expect_number(src, "`src`", whole=True)
    if get_world_size(group) > 1:
        sent = _sent(data, group)
        dist.broadcast(sent, src, _group(group))
        data.detach().copy_(sent)


def all_gather_object(data: Any, group: Any = None) -> list[Any]:
    """What all processes have, in the order of ranks: anything that can be pickled.

    Example:
        >>> all_gather_object("a")
        ['a']
    """
    world = get_world_size(group)
    if world == 1:
        return [data]
    rows: list[Any] = [None] * world
    dist.all_gather_object(rows, data, _group(group))
    return rows


def gather_object(data: Any, dst: int = 0, group: Any = None) -> list[Any] | None:
    """`all_gather_object` for the process ``dst`` alone; the others get None."""
    expect_number(dst, "`dst`", whole=True)
    rows = all_gather_object(data, group)
    return rows if get_rank(group) == dst else None


def broadcast_object_list(data: list[Any], src: int = 0, group: Any = None) -> None:
    """Put in the place of a list's items those of the process ``src``."""
    expect(data, list, "`data` is a list")
    expect_number(src, "`src`", whole=True)
    if get_world_size(group) > 1:
        dist.broadcast_object_list(data, src, _group(group))


def sync_random_seed(group: Any = None) -> int:
    """A seed of 31 bits that rank 0 draws, in all processes."""
    row = [secrets.randbelow(2**31)]
    broadcast_object_list(row, 0, group)
    return row[0]


def collect_results(results: list[Any], size: int, device: str = "cpu", tmpdir: str | None = None) -> list[Any] | None:
    """The results of all processes in the order of the samples, which a sampler has dealt out one by one: for rank 0; the others
    get None.

    Args:
        results: of this process's samples.
        size: of the dataset: what padded it is left out.
        device: accepted, as ``tmpdir``: results go from process to process, not by files.

    Example:
        >>> collect_results([1, 2, 3], 2)
        [1, 2]
    """
    expect(results, (list, tuple), "`results` is a list")
    expect_number(size, "`size`", whole=True)
    if device not in ("cpu", "gpu", "npu"):
        raise FkitValueError(f"device = {quoted(device)} is unknown.", choices=("cpu", "gpu", "npu"))
    if get_world_size() == 1:
        return list(results)[:size]
    rows = gather_object(list(results))
    if rows is None:
        return None
    dealt = itertools.chain.from_iterable(itertools.zip_longest(*rows))
    return [one for one in dealt if one is not None][:size]


def collect_results_cpu(results: list[Any], size: int, tmpdir: str | None = None) -> list[Any] | None:
    """`collect_results`."""
    return collect_results(results, size)


def collect_results_gpu(results: list[Any], size: int) -> list[Any] | None:
    """`collect_results`."""
    return collect_results(results, size)


def _group(group: Any) -> Any:
    if group is not None and not isinstance(group, dist.ProcessGroup):
        raise FkitTypeError(f"`group` is a process group of torch.distributed, not {quoted(group)}.")
    return group


def _expect_tensor(data: Any) -> None:
    if not isinstance(data, Tensor):
        raise FkitTypeError(f"`data` is a tensor of torch, not {quoted(data)}.")


def _expect_op(op: Any) -> None:
    if op not in _OPS:
        raise FkitValueError(f"op = {quoted(op)} is unknown.", value=str(op), choices=_OPS)


def _sent(data: Tensor, group: Any) -> Tensor:
    """A copy where the group's backend takes it."""
    on_cuda = data.is_cuda or dist.get_backend(_group(group)) == "nccl"
    return data.detach().to("cuda" if on_cuda and not data.is_cuda else data.device, copy=True).contiguous()


def _buckets(tensors: Sequence[Tensor], most: int) -> list[list[Tensor]]:
    """Tensors of one type together, in buckets of ``most`` bytes where that is above 0."""
    buckets: list[list[Tensor]] = []
    opened: dict[torch.dtype, tuple[list[Tensor], int]] = {}
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        bucket, held = opened.get(tensor.dtype, ([], 0))
        if not bucket or (most > 0 and held + size > most):
            bucket, held = [], 0
            buckets.append(bucket)
        bucket.append(tensor)
        opened[tensor.dtype] = (bucket, held + size)
    return buckets
