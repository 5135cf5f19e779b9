"""Collects ground truth that comes with the batches, as COCO annotations."""

from typing import Any, Dict, List, Mapping, Optional, Sequence

import cv2
import numpy as np

from evaluation import ids
from utils import fields
from utils import masks as mask_utils
from utils import types

_REQUIRED = ('source_id', 'height', 'width', 'boxes', 'classes')
# Some parsers name the count of objects one way, some the other.
_COUNTS = ('num_detections', 'num_groundtruths')


class GroundtruthCollector:
  """Turns padded arrays into a COCO dict; masks are kept run-length coded."""

  def __init__(self, include_mask: bool = False,
               id_map: Optional[Mapping[types.Id, types.Id]] = None) -> None:
    """Starts empty.

    Args:
      include_mask: whether `masks` are part of the ground truth.
      id_map: {source_id: the id by which people know the image}.
    """
    self._include_mask = include_mask
    self._id_map = id_map or {}
    self._images = {}  # canonical id -> COCO image
    self._objects = []

  def add(self, groundtruths: Mapping[str, np.ndarray]) -> List[str]:
    """Adds a batch; images that are known already and padding are skipped.

    Args:
      groundtruths: {name: array}, batch first: source_id, height, width [B];
        num_detections (or num_groundtruths) [B]; boxes [B, K, 4], yxyx,
        original pixels; classes [B, K]; optional is_crowds, areas [B, K];
        masks [B, K], each PNG bytes or an array [height, width].

    Returns:
      [message].

    Raises:
      ValueError: if a key is missing.
    """
    needed = _REQUIRED + (('masks',) if self._include_mask else ())
    missing = [k for k in needed if k not in groundtruths]
    count_key = next((k for k in _COUNTS if k in groundtruths), None)
    if missing or not count_key:
      raise ValueError('The ground truth has no %s; it has the keys %s.' % (
          ', '.join(missing or _COUNTS[:1]), sorted(groundtruths)))
    counts = np.reshape(groundtruths[count_key], [-1])
    messages = []
    for row, source_id in enumerate(np.reshape(groundtruths['source_id'],
                                               [-1])):
      image_id = known_id(source_id, self._id_map)
      key = ids.canonical_id(image_id)
      if is_padding(source_id) or key in self._images:
        continue
      self._images[key] = {
          'id': image_id, 'height': int(groundtruths['height'][row]),
          'width': int(groundtruths['width'][row])}
      length = len(groundtruths['classes'][row])
      if counts[row] > length:
        messages.append('Image %r has %d objects, the ground truth has room '
                        'for %d: the rest is left out.'
                        % (image_id, counts[row], length))
      self._objects.extend(
          self._object(groundtruths, row, k, image_id)
          for k in range(min(int(counts[row]), length)))
    return messages

  def _object(self, groundtruths, row, k, image_id):
    """COCO annotation of object k of the image in this row."""
    y0, x0, y1, x1 = groundtruths['boxes'][row][k]
    entry = {'image_id': image_id,
             'category_id': int(groundtruths['classes'][row][k]),
             'bbox': [float(v) for v in (x0, y0, x1 - x0, y1 - y0)],
             'iscrowd': 0}
    if 'is_crowds' in groundtruths:
      entry['iscrowd'] = int(groundtruths['is_crowds'][row][k])
    if 'areas' in groundtruths:
      entry['area'] = float(groundtruths['areas'][row][k])
    if self._include_mask:
      entry['segmentation'] = mask_utils.encode(
          _decode_mask(groundtruths['masks'][row][k]))
    return entry

  def merge(self, other: 'GroundtruthCollector') -> None:
    """Adds the images of another collector that are not known yet."""
    new = {k: v for k, v in other._images.items() if k not in self._images}
    self._objects.extend(o for o in other._objects
                         if ids.canonical_id(o['image_id']) in new)
    self._images.update(new)

  def content(self) -> Dict[str, Any]:
    """{'images', 'objects'}, JSON values, for `take`."""
    return {'images': list(self._images.values()), 'objects': self._objects}

  def take(self, contents: Sequence[Mapping[str, Any]],
           order: Mapping[types.Id, int]) -> None:
    """Forgets everything, and takes what several collectors were given.

    Args:
      contents: of `content`.
      order: {canonical image id: place}, in which they would have come to one.
    """
    images, objects = {}, []
    for content in contents:
      new = {key: image for key, image in (
          (ids.canonical_id(image['id']), image)
          for image in content['images']) if key not in images}
      images.update(new)
      objects += [o for o in content['objects']
                  if ids.canonical_id(o['image_id']) in new]
    self._images = {key: images[key]
                    for key in sorted(images, key=order.__getitem__)}
    self._objects = sorted(
        objects, key=lambda o: order[ids.canonical_id(o['image_id'])])

  def annotations(self,
                  label_map: Optional[types.LabelMap] = None) -> Dict[str, Any]:
    """COCO dict; its categories are those that occur or have a name."""
    found = {o['category_id'] for o in self._objects} | set(label_map or {})
    objects = [dict(o, id=i) for i, o in enumerate(self._objects, 1)]
    return {'images': list(self._images.values()), 'annotations': objects,
            'categories': [{'id': i} for i in sorted(found)]}


def is_padding(source_id: Any) -> bool:
  """Whether an example fills up the last batch.

  To be asked of the id in the batch: the annotations may call an image -1.
  """
  return source_id == fields.PADDING_ID


def known_id(source_id: Any,
             id_map: Optional[Mapping[types.Id, types.Id]]) -> types.Id:
  """The id by which people know an image: of `id_map`, else as it is."""
  source_id = source_id.item() if hasattr(source_id, 'item') else source_id
  if isinstance(source_id, bytes):
    source_id = source_id.decode('utf-8')
  return id_map.get(source_id, source_id)


def _decode_mask(mask):
  """Array [height, width] of PNG bytes; arrays stay as they are."""
  if not isinstance(mask, bytes):
    return mask
  decoded = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_GRAYSCALE)
  if decoded is None:
    raise ValueError('A mask of the ground truth is not a PNG: it begins '
                     'with %r.' % mask[:8])
  return decoded
