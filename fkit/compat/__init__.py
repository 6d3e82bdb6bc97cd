"""OpenMMLab's small functions under their names: ``from fkit.compat import is_list_of, track_progress, get_logger``.

For scripts that come from mmcv and mmengine. Nothing inside of the kit uses them. Names are loaded when they are first
asked for. What stands in a room of its own is here too: paths (`fkit.fileio`), the environment, builders by mmcv's
arguments (`fkit.catalog.openmmlab`).
"""

from typing import TYPE_CHECKING, Any

from fkit.tree.facade import attribute

if TYPE_CHECKING:
    from fkit.catalog.openmmlab import build_from_cfg as build_from_cfg
    from fkit.compat.bar import ProgressBar as ProgressBar
    from fkit.compat.boxes import batched_nms as batched_nms
    from fkit.compat.boxes import bbox_overlaps as bbox_overlaps
    from fkit.compat.boxes import nms as nms
    from fkit.compat.boxes import nms_match as nms_match
    from fkit.compat.boxes import soft_nms as soft_nms
    from fkit.compat.boxes import weighted_boxes_fusion as weighted_boxes_fusion
    from fkit.compat.counter import TimeCounter as TimeCounter
    from fkit.compat.distributed import all_gather as all_gather
    from fkit.compat.distributed import all_gather_object as all_gather_object
    from fkit.compat.distributed import all_reduce as all_reduce
    from fkit.compat.distributed import all_reduce_dict as all_reduce_dict
    from fkit.compat.distributed import all_reduce_params as all_reduce_params
    from fkit.compat.distributed import barrier as barrier
    from fkit.compat.distributed import broadcast as broadcast
    from fkit.compat.distributed import broadcast_object_list as broadcast_object_list
    from fkit.compat.distributed import collect_results as collect_results
    from fkit.compat.distributed import collect_results_cpu as collect_results_cpu
    from fkit.compat.distributed import collect_results_gpu as collect_results_gpu
    from fkit.compat.distributed import gather as gather
    from fkit.compat.distributed import gather_object as gather_object
    from fkit.compat.distributed import get_backend as get_backend
    from fkit.compat.distributed import get_dist_info as get_dist_info
    from fkit.compat.distributed import get_local_rank as get_local_rank
    from fkit.compat.distributed import get_rank as get_rank
    from fkit.compat.distributed import get_world_size as get_world_size
    from fkit.compat.distributed import init_dist as init_dist
    from fkit.compat.distributed import is_distributed as is_distributed
    from fkit.compat.distributed import is_main_process as is_main_process
    from fkit.compat.distributed import master_only as master_only
    from fkit.compat.distributed import sync_random_seed as sync_random_seed
    from fkit.compat.logging import get_logger as get_logger
    from fkit.compat.logging import print_log as print_log
    from fkit.compat.object import apply_to as apply_to
    from fkit.compat.object import get_object_from_string as get_object_from_string
    from fkit.compat.object import import_modules_from_strings as import_modules_from_strings
    from fkit.compat.object import obj_from_dict as obj_from_dict
    from fkit.compat.older import first_generation as first_generation
    from fkit.compat.package import get_installed_path as get_installed_path
    from fkit.compat.package import is_installed as is_installed
    from fkit.compat.package import package2module as package2module
    from fkit.compat.require import check_prerequisites as check_prerequisites
    from fkit.compat.require import deprecated_api_warning as deprecated_api_warning
    from fkit.compat.require import deprecated_function as deprecated_function
    from fkit.compat.require import digit_version as digit_version
    from fkit.compat.require import has_method as has_method
    from fkit.compat.require import is_method_overridden as is_method_overridden
    from fkit.compat.require import requires_executable as requires_executable
    from fkit.compat.require import requires_package as requires_package
    from fkit.compat.sequence import concat_list as concat_list
    from fkit.compat.sequence import is_list_of as is_list_of
    from fkit.compat.sequence import is_seq_of as is_seq_of
    from fkit.compat.sequence import is_str as is_str
    from fkit.compat.sequence import is_tuple_of as is_tuple_of
    from fkit.compat.sequence import iter_cast as iter_cast
    from fkit.compat.sequence import list_cast as list_cast
    from fkit.compat.sequence import slice_list as slice_list
    from fkit.compat.sequence import to_1tuple as to_1tuple
    from fkit.compat.sequence import to_2tuple as to_2tuple
    from fkit.compat.sequence import to_3tuple as to_3tuple
    from fkit.compat.sequence import to_4tuple as to_4tuple
    from fkit.compat.sequence import to_ntuple as to_ntuple
    from fkit.compat.sequence import tuple_cast as tuple_cast
    from fkit.compat.track import Timer as Timer
    from fkit.compat.track import check_time as check_time
    from fkit.compat.track import track_iter_progress as track_iter_progress
    from fkit.compat.track import track_parallel_progress as track_parallel_progress
    from fkit.compat.track import track_progress as track_progress
    from fkit.compat.track import track_progress_rich as track_progress_rich
    from fkit.compat.weights import CheckpointLoader as CheckpointLoader
    from fkit.compat.weights import find_latest_checkpoint as find_latest_checkpoint
    from fkit.compat.weights import get_state_dict as get_state_dict
    from fkit.compat.weights import load_checkpoint as load_checkpoint
    from fkit.compat.weights import load_state_dict as load_state_dict
    from fkit.compat.weights import save_checkpoint as save_checkpoint
    from fkit.compat.weights import weights_to_cpu as weights_to_cpu
    from fkit.edge.environment import collect_env as collect_env
    from fkit.edge.environment import get_git_hash as get_git_hash
    from fkit.edge.environment import get_host_info as get_host_info
    from fkit.edge.environment import get_time_str as get_time_str
    from fkit.edge.launch import infer_launcher as infer_launcher
    from fkit.fileio.path import check_file_exist as check_file_exist
    from fkit.fileio.path import find_vcs_root as find_vcs_root
    from fkit.fileio.path import is_abs as is_abs
    from fkit.fileio.path import is_filepath as is_filepath
    from fkit.fileio.path import mkdir_or_exist as mkdir_or_exist
    from fkit.fileio.path import scandir as scandir
    from fkit.fileio.path import symlink as symlink

_ROOMS = (
    ("fkit.compat.bar", "ProgressBar"),
    ("fkit.compat.boxes", "batched_nms bbox_overlaps nms nms_match soft_nms weighted_boxes_fusion"),
    ("fkit.compat.counter", "TimeCounter"),
    (
        "fkit.compat.distributed",
        "all_gather all_gather_object all_reduce all_reduce_dict all_reduce_params barrier broadcast broadcast_object_list"
        " collect_results collect_results_cpu collect_results_gpu gather gather_object get_backend get_dist_info get_local_rank"
        " get_rank get_world_size init_dist is_distributed is_main_process master_only sync_random_seed",
    ),
    ("fkit.compat.logging", "get_logger print_log"),
    ("fkit.compat.object", "apply_to get_object_from_string import_modules_from_strings obj_from_dict"),
    ("fkit.compat.package", "get_installed_path is_installed package2module"),
    (
        "fkit.compat.require",
        "check_prerequisites deprecated_api_warning deprecated_function digit_version has_method is_method_overridden"
        " requires_executable requires_package",
    ),
    (
        "fkit.compat.sequence",
        "concat_list is_list_of is_seq_of is_str is_tuple_of iter_cast list_cast slice_list to_1tuple to_2tuple"
        " to_3tuple to_4tuple to_ntuple tuple_cast",
    ),
    ("fkit.compat.older", "first_generation"),
    (
        "fkit.compat.track",
        "Timer check_time track_iter_progress track_parallel_progress track_progress track_progress_rich",
    ),
    (
        "fkit.compat.weights",
        "CheckpointLoader find_latest_checkpoint get_state_dict load_checkpoint load_state_dict save_checkpoint"
        " weights_to_cpu",
    ),
    ("fkit.edge.environment", "collect_env get_git_hash get_host_info get_time_str"),
    ("fkit.edge.launch", "infer_launcher"),
    ("fkit.fileio.path", "check_file_exist find_vcs_root is_abs is_filepath mkdir_or_exist scandir symlink"),
    ("fkit.catalog.openmmlab", "build_from_cfg"),
)
_NAMES = tuple((name, f"{room}:{name}") for room, names in _ROOMS for name in names.split())
_INSTEAD = (
    ("set_random_seed", "A seed is an argument: fkit.begin(plan, seed), or `seed` in the config."),
    ("install_package", "Install packages before a script runs: pip install NAME."),
    ("call_command", "Write subprocess.run(command, check=True)."),
    ("load_url", "Write the address itself: load_from='https://...'; fkit.fileio.fetch.fetch(url) keeps a file."),
    (
        "_load_checkpoint_with_prefix",
        "Write load_checkpoint(model, file, prefix=...); `load_from=dict(path=..., prefix=...)` in a config.",
    ),
    ("_load_checkpoint", "Write CheckpointLoader.load_checkpoint(file)."),
    ("torch_meshgrid", "Write torch.meshgrid(..., indexing='ij')."),
    ("TORCH_VERSION", "Write torch.__version__."),
    ("TimerError", "A timer raises fkit.tree.error.FkitRuntimeError."),
)

__all__ = tuple(name for name, _ in _NAMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    return attribute(__name__, name, _NAMES, _INSTEAD, ("fkit", "fkit.fileio", "fkit.image", "fkit.structures"))


def __dir__() -> list[str]:
    return sorted(__all__)
