"""Floor 4: files. Formats by handlers, storages by backends, both parts of a registry.

=====================================  =================================================================
there (mmcv, mmengine)                 here
=====================================  =================================================================
``@register_handler("parquet")``       ``reg = register_handler(reg, Parquet, "parquet")``
``@register_backend("my", ...)``       ``reg = register_backend(reg, "my", Backend, prefixes="my")``
``FileClient.register_backend(...)``   the same
``load(path)`` with either of those    ``load(path, registry=reg)``
``get_file_backend(...)``, kept once   ``with open_storage(uri, backend_args) as storage: ...``
``load("a.pkl")``                      ``load("a.pkl", allow_pickle=True)``, where its source is trusted
``BaseFileHandler``                    ``FileHandler(decode, encode)``; its subclasses are taken as they are
``BaseStorageBackend``                 any class with the methods that are used of it
=====================================  =================================================================
"""

from typing import Any

from fkit.fileio.error import FkitFileExistsError as FkitFileExistsError
from fkit.fileio.error import FkitSameFileError as FkitSameFileError
from fkit.fileio.handler import FileHandler as FileHandler
from fkit.fileio.handler import file_handlers as file_handlers
from fkit.fileio.io import dump as dump
from fkit.fileio.io import dumps as dumps
from fkit.fileio.io import fopen as fopen
from fkit.fileio.io import load as load
from fkit.fileio.io import loads as loads
from fkit.fileio.line import dict_from_file as dict_from_file
from fkit.fileio.line import list_from_file as list_from_file
from fkit.fileio.local import LocalStorage as LocalStorage
from fkit.fileio.operation import copy_if_symlink_fails as copy_if_symlink_fails
from fkit.fileio.operation import copyfile as copyfile
from fkit.fileio.operation import copyfile_from_local as copyfile_from_local
from fkit.fileio.operation import copyfile_to_local as copyfile_to_local
from fkit.fileio.operation import copytree as copytree
from fkit.fileio.operation import copytree_from_local as copytree_from_local
from fkit.fileio.operation import copytree_to_local as copytree_to_local
from fkit.fileio.operation import exists as exists
from fkit.fileio.operation import generate_presigned_url as generate_presigned_url
from fkit.fileio.operation import get as get
from fkit.fileio.operation import get_local_path as get_local_path
from fkit.fileio.operation import get_text as get_text
from fkit.fileio.operation import isdir as isdir
from fkit.fileio.operation import isfile as isfile
from fkit.fileio.operation import join_path as join_path
from fkit.fileio.operation import list_dir_or_file as list_dir_or_file
from fkit.fileio.operation import open_storage as open_storage
from fkit.fileio.operation import put as put
from fkit.fileio.operation import put_text as put_text
from fkit.fileio.operation import remove as remove
from fkit.fileio.operation import rmtree as rmtree
from fkit.fileio.part import FileClient as FileClient
from fkit.fileio.part import get_file_backend as get_file_backend
from fkit.fileio.part import parse_uri_prefix as parse_uri_prefix
from fkit.fileio.part import register_backend as register_backend
from fkit.fileio.part import register_handler as register_handler
from fkit.fileio.path import check_file_exist as check_file_exist
from fkit.fileio.path import find_vcs_root as find_vcs_root
from fkit.fileio.path import is_abs as is_abs
from fkit.fileio.path import is_filepath as is_filepath
from fkit.fileio.path import mkdir_or_exist as mkdir_or_exist
from fkit.fileio.path import scandir as scandir
from fkit.fileio.path import symlink as symlink
from fkit.fileio.progress import progress as progress
from fkit.fileio.storage import Storage as Storage
from fkit.tree.error import FkitAttributeError
from fkit.tree.write import atomic_write as atomic_write

# OpenMMLab's names that have none here, and what to write
_ELSEWHERE = (
    ("BaseFileHandler", "Take a FileHandler(decode, encode), or a class of its three methods, to register_handler."),
    ("JsonHandler PickleHandler YamlHandler", "They are values: file_handlers['json'], and so on."),
    ("BaseStorageBackend", "Take any class with the methods that are used of it to register_backend."),
    ("HardDiskBackend LocalBackend", "Write LocalStorage()."),
    ("HTTPBackend", "Write get_file_backend('https://...'), or backend_args={'backend': 'http'}."),
    ("CephBackend PetrelBackend", "Write get_file_backend('s3://...'), or backend_args={'backend': 's3'}."),
    ("LmdbBackend", "Write backend_args={'backend': 'lmdb', 'db_path': ...}."),
    ("MemcachedBackend", "There is none; a class of its own goes to register_backend."),
    ("backends", "Nothing is registered globally: fkit.registry().names('file_backends') are the built-in ones."),
)


def __getattr__(name: str) -> Any:
    repair = next((repair for names, repair in _ELSEWHERE if name in names.split()), "")
    others = ("Any", "FkitAttributeError")
    choices = () if repair else sorted(word for word in globals() if word[0] != "_" and word not in others)
    raise FkitAttributeError(
        f"module 'fkit.fileio' has no attribute {name!r}.", value=name, choices=choices, label="Names", repair=repair
    )
