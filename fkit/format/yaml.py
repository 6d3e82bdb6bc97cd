"""YAML: the one reader and the one writer."""

from fkit.format.reader import read_yaml as read_yaml
from fkit.format.writer import write_yaml as write_yaml
