"""Datasets: frozen, indexed, giving raw samples."""

from fkit.data.dataset.base import BaseDataset as BaseDataset
from fkit.data.dataset.detection import BaseDetDataset as BaseDetDataset
from fkit.data.dataset.detection import CocoDataset as CocoDataset
from fkit.data.dataset.digit_boxes import DigitBoxes as DigitBoxes
from fkit.data.dataset.digits import Digits as Digits
from fkit.data.dataset.digits import read_digits as read_digits
from fkit.data.dataset.files import ImageFiles as ImageFiles
from fkit.data.dataset.indexed import Indexed as Indexed
from fkit.data.dataset.own import Dataset as Dataset
from fkit.data.dataset.own import Samples as Samples
from fkit.data.dataset.own import check_dataset as check_dataset
from fkit.data.dataset.wrapper import ClassBalancedDataset as ClassBalancedDataset
from fkit.data.dataset.wrapper import ConcatDataset as ConcatDataset
from fkit.data.dataset.wrapper import RepeatDataset as RepeatDataset
from fkit.data.dataset.wrapper import Subset as Subset
