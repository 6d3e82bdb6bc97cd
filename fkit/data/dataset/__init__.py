"""Datasets: frozen, indexed, giving raw samples."""

from fkit.data.dataset.digits import Digits as Digits
from fkit.data.dataset.digits import read_digits as read_digits
from fkit.data.dataset.files import ImageFiles as ImageFiles
from fkit.data.dataset.indexed import Indexed as Indexed
from fkit.data.dataset.own import Dataset as Dataset
from fkit.data.dataset.own import Samples as Samples
from fkit.data.dataset.own import check_dataset as check_dataset
