"""Floor 6: what is known of a sample, frozen; and batches."""

from fkit.structures.apart import data_samples as data_samples
from fkit.structures.batch import Batch as Batch
from fkit.structures.batch import Samples as Samples
from fkit.structures.element import DataElement as DataElement
from fkit.structures.instance import InstanceData as InstanceData
from fkit.structures.instance import bucket as bucket
from fkit.structures.label import LabelData as LabelData
from fkit.structures.pixel import PixelData as PixelData
from fkit.structures.pytree import from_parts as from_parts
from fkit.structures.pytree import tree_parts as tree_parts
from fkit.structures.sample import ClsDataSample as ClsDataSample
from fkit.structures.sample import DataSample as DataSample
from fkit.structures.sample import DetDataSample as DetDataSample
from fkit.structures.sample import PoseDataSample as PoseDataSample
from fkit.structures.sample import SegDataSample as SegDataSample

# what a room registers as pytrees when it is opened, by `tree_parts` and `from_parts`
PYTREES: tuple[type[DataElement], ...] = (
    DataElement,
    InstanceData,
    PixelData,
    LabelData,
    DataSample,
    ClsDataSample,
    DetDataSample,
    SegDataSample,
    PoseDataSample,
)
