"""The metrics of LVIS: COCO's rules on images that are known in part.

An image is fully known for the categories that it has objects of, and for
those that are listed as absent (`neg_category_ids`). Detections of any other
category in it are left out. Where a category is listed as not exhaustive
(`not_exhaustive_category_ids`), not every object of it is marked, so that
detections without an object are neither right nor wrong. The 300 best
detections of an image count, of all categories together.

Source: LVIS: A Dataset for Large Vocabulary Instance Segmentation
(arXiv:1908.03195). The digits are those of the package `lvis` 0.5.3.
"""

from typing import Any, Dict, List, Mapping, NamedTuple, Optional

import numpy as np

from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import detections as detections_lib
from evaluation import ids
from evaluation import pairs as pairs_lib
from utils import coco_annotations
from utils import values

UNDEFINED = coco_metrics.UNDEFINED
MAX_DETECTIONS = 300

_AREAS = (('s', 'small'), ('m', 'medium'), ('l', 'large'))
# In how many images of the training set a category is: up to 10, 100, more.
_FREQUENCIES = ('r', 'c', 'f')
_RECALL = 'AR%%s@%d' % MAX_DETECTIONS
METRIC_NAMES = (
    ('AP', 'AP50', 'AP75') + tuple('AP' + a for a, _ in _AREAS)
    + tuple('AP' + f for f in _FREQUENCIES) + (_RECALL % '',)
    + tuple(_RECALL % a for a, _ in _AREAS))

_NEGATIVE, _NOT_EXHAUSTIVE = coco_annotations.FEDERATED_LISTS

# Key of a category's value -> arguments of COCOeval's summary.
_CATEGORY_KEYS = (
    (coco_metrics.CATEGORY_AP, True, None, 'all'),
    ('Precision mAP ByCategory@50IoU/%s', True, .5, 'all'),
    ('Precision mAP ByCategory@75IoU/%s', True, .75, 'all'),
    ('Precision mAP ByCategory (small)/%s', True, None, 'small'),
    ('Precision mAP ByCategory (medium)/%s', True, None, 'medium'),
    ('Precision mAP ByCategory (large)/%s', True, None, 'large'),
    ('Recall AR@%d ByCategory/%%s' % MAX_DETECTIONS, False, None, 'all'))


class Federation(NamedTuple):
  """The categories whose absence or presence is known, by image.

  Attributes:
    negatives: int64 [n], image row * C + category row of each category that is
      listed as absent.
    not_exhaustive: int64 [m], likewise, of those not fully marked.
    frequencies: [C] 'r', 'c', 'f', or '' where the annotations do not tell.
    messages: [str], what a person should know.
  """
  negatives: np.ndarray
  not_exhaustive: np.ndarray
  frequencies: List[str]
  messages: List[str]


def load(content: Mapping[str, Any], annotations: annotations_lib.Annotations,
         name: str = 'The annotations') -> Federation:
  """Reads the lists of images and the frequencies of categories.

  Args:
    content: the annotations as a dict.
    annotations: `annotations.Annotations` of the same.
    name: what errors call them.

  Returns:
    `Federation`.

  Raises:
    ValueError: if an image has no such lists, or they hold no ids.
  """
  keys = {_NEGATIVE: [], _NOT_EXHAUSTIVE: []}
  num_categories = len(annotations.category_ids)
  for image in content['images']:
    row = annotations.image_index[ids.canonical_id(image['id'])]
    for key, found in keys.items():
      found.extend(row * num_categories + category for category in
                   _rows(image, key, annotations.category_index, name))
  frequencies, messages = _frequencies(content, annotations, name)
  return Federation(np.array(keys[_NEGATIVE], np.int64),
                    np.array(keys[_NOT_EXHAUSTIVE], np.int64), frequencies,
                    messages)


def _rows(image, key, category_index, name):
  """Rows of the categories in a list of an image; unknown ids are left out."""
  listed = image.get(key)
  if not isinstance(listed, (list, tuple)):
    raise ValueError(
        '%s: image %r has no list %s, so nobody knows which detections in it '
        'are wrong. The types lvis_box and lvis_box_and_mask need annotations '
        'of LVIS, or records that tools.create_lvis_tfrecord made of them; '
        'other data sets have the types box and box_and_mask.' % (
            name, image['id'], key))
  try:
    keys = [ids.canonical_id(values.identifier(i)) for i in listed]
  except ValueError as e:
    raise ValueError('%s: image %r: its %s: %s.' % (name, image['id'], key, e))
  return [category_index[k] for k in keys if k in category_index]


def _frequencies(content, annotations, name):
  """([C] 'r', 'c', 'f' or ''), [message]."""
  given = {ids.canonical_id(c['id']): c.get('frequency', '')
           for c in content.get('categories') or ()}
  found = [given.get(ids.canonical_id(i), '') for i in annotations.category_ids]
  wrong = sorted({str(f) for f in found} - set(_FREQUENCIES) - {''})
  if wrong:
    raise ValueError('%s: the frequency of a category is %r; it can be %s.' % (
        name, wrong[0], ', '.join(_FREQUENCIES)))
  if all(found):
    return found, []
  return found, [
      '%s: %d of %d categories have no frequency: APr, APc and APf leave them '
      'out. Records do not hold it; eval.val_json_file names the annotations '
      'that do.' % (name, found.count(''), len(found))]


def is_judged(annotations: annotations_lib.Annotations, federation: Federation,
              detections: detections_lib.Detections) -> np.ndarray:
  """bool [D]: detections of categories that were looked for in their images.

  The others are neither right nor wrong.

  Args:
    annotations: `annotations.Annotations`.
    federation: `Federation` of the same.
    detections: `detections.Detections`, rows of the annotations' lists.
  """
  known = np.concatenate([
      _pairs(annotations, annotations.images, annotations.categories),
      federation.negatives])
  return np.isin(_pairs(annotations, detections.images, detections.categories),
                 known)


def _pairs(annotations, images, categories):
  """int64 [N]: images and categories as one number, as in `Federation`."""
  return images * len(annotations.category_ids) + categories


class FederatedCOCOeval(coco_metrics.ColumnCOCOeval):
  """COCOeval of images that are known in part."""

  def __init__(self, annotations: annotations_lib.Annotations,
               federation: Federation, detections: detections_lib.Detections,
               iou_type: str, image_rows: Optional[np.ndarray] = None) -> None:
    """Leaves out what cannot be judged.

    Args:
      annotations: `annotations.Annotations`, with masks for 'segm'.
      federation: `Federation`.
      detections: `detections.Detections`.
      iou_type: 'bbox' or 'segm'.
      image_rows: int [I], images to score; all if None.
    """
    kept = (pairs_lib.ranks(detections, by_category=False) < MAX_DETECTIONS)
    kept &= is_judged(annotations, federation, detections)
    detections = detections_lib.select(detections, kept)
    super().__init__(annotations, detections, iou_type, image_rows)
    self._is_unsure = np.isin(
        _pairs(annotations, detections.images, detections.categories),
        federation.not_exhaustive)
    self.params.maxDets = [MAX_DETECTIONS]

  def ignored_if_unmatched(self, dt: np.ndarray,
                           dt_areas: np.ndarray) -> np.ndarray:
    """bool [A, D], as of the base class, with what nobody looked for."""
    return super().ignored_if_unmatched(dt, dt_areas) | self._is_unsure[dt]


def evaluate(annotations: annotations_lib.Annotations, federation: Federation,
             detections: detections_lib.Detections, iou_type: str,
             per_category: bool = True,
             image_rows: Optional[np.ndarray] = None) -> Dict[str, float]:
  """Computes the metrics.

  Args:
    annotations: `annotations.Annotations`, with masks for 'segm'.
    federation: `Federation`.
    detections: `detections.Detections`; their size classes go by the masks if
      they have any, else by the boxes.
    iou_type: 'bbox' or 'segm'.
    per_category: all figures of every category, or its AP only.
    image_rows: int [I], images to score; all if None.

  Returns:
    {metric: float}: METRIC_NAMES and figures by category, with mask_ before
    them for 'segm'; -1 is undefined.
  """
  engine = FederatedCOCOeval(annotations, federation, detections, iou_type,
                             image_rows)
  engine.evaluate()
  engine.accumulate()
  prefix = coco_metrics.PREFIXES[iou_type]
  metrics = {prefix + name: value
             for name, value in _overall(engine, federation)}
  for key, *what in _CATEGORY_KEYS if per_category else _CATEGORY_KEYS[:1]:
    for category, value in zip(annotations.category_ids, engine.category_values(
        *what, max_detections=MAX_DETECTIONS)):
      metrics[prefix + key % category] = value
  return metrics


def _overall(engine, federation):
  """Yields (name, value) in the order of METRIC_NAMES."""
  def value(is_precision, threshold=None, area='all', rows=None):
    return engine.overall_value(is_precision, threshold, area, MAX_DETECTIONS,
                                rows)
  yield 'AP', value(True)
  yield 'AP50', value(True, .5)
  yield 'AP75', value(True, .75)
  for letter, area in _AREAS:
    yield 'AP' + letter, value(True, area=area)
  for frequency in _FREQUENCIES:
    yield 'AP' + frequency, value(True, rows=np.array(
        [f == frequency for f in federation.frequencies], bool))
  yield _RECALL % '', value(False)
  for letter, area in _AREAS:
    yield _RECALL % letter, value(False, area=area)
