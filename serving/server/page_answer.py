"""A result as what the page draws: plain values and small PNGs."""

import base64
import io
from typing import Any, Dict

import cv2
import numpy as np
from PIL import Image

from serving import results
from utils import drawing

_MAX_SIDE = 1600  # pixels of what the page shows; screens have as many
_JPEG_QUALITY = 90
_LARGEST_CLASS = 2**16 - 1  # two channels of a PNG


def of_result(result: Any, max_side: int = _MAX_SIDE) -> Dict[str, Any]:
  """What the page gets for an image.

  Args:
    result: a result of serving.results, with its image.
    max_side: int, of the image that is sent back; masks have its pixels.

  Returns:
    JSON object. `height`, `width` of the upright image; `preview`: a data URI
    of it, as the model saw it; `preview_height`, `preview_width`; `task`, and
    'detection': `objects` [{name, class, score, color, box (y0, x0, y1, x1 in
    pixels of the image), mask or null}], 'classification': `classes`,
    'segmentation': `classes` and `label_map`.
  """
  height, width = result.image_size
  shrink = min(1., max_side / float(max(height, width)))
  size = tuple(max(1, int(round(side * shrink))) for side in (height, width))
  values = {'height': height, 'width': width, 'preview_height': size[0],
            'preview_width': size[1], 'preview': _preview(result.image, size)}
  add = {results.DetectionResult: _detection,
         results.ClassificationResult: _classification,
         results.SegmentationResult: _segmentation}[type(result)]
  return dict(values, **add(result, size))


def _preview(image, size):
  if tuple(image.shape[:2]) != size:
    image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
  return _data_uri(image, 'jpeg', quality=_JPEG_QUALITY)


def _data_uri(pixels, image_format, **options):
  stream = io.BytesIO()
  Image.fromarray(pixels).save(stream, image_format, **options)
  return 'data:image/%s;base64,%s' % (
      image_format, base64.b64encode(stream.getvalue()).decode('ascii'))


def _color(class_id):
  return '#%02x%02x%02x' % drawing.class_color(class_id)


def _detection(result, size):
  masks = [None] * len(result)
  if result.masks is not None:
    masks = [_mask(*crop) for crop in result.mask_crops(size)]
  return {'task': 'detection', 'objects': [
      {'name': name, 'class': int(class_id), 'score': float(score),
       'color': _color(class_id), 'box': box.tolist(), 'mask': mask}
      for name, class_id, score, box, mask in zip(
          result.names, result.classes, result.scores, result.boxes, masks)]}


def _mask(crop, y0, x0):
  """JSON of a mask; null if nothing of it is in the image."""
  rows, columns = [np.flatnonzero(crop.any(axis=axis)) for axis in (1, 0)]
  if not len(rows):
    return None
  # Masks that an export has pasted are as large as the image.
  crop = crop[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
  return {'y': int(y0 + rows[0]), 'x': int(x0 + columns[0]),
          'height': crop.shape[0], 'width': crop.shape[1],
          'png': _data_uri(crop.astype(np.uint8) * 255, 'png')}


def _classification(result, size):
  del size
  return {'task': 'classification', 'classes': [
      {'name': name, 'class': int(class_id), 'score': float(score),
       'color': _color(class_id)} for name, class_id, score in zip(
           result.names, result.classes, result.scores)]}


def _segmentation(result, size):
  """The label map as a PNG: class in red + 256 * green, score in blue."""
  classes = cv2.resize(
      np.minimum(result.label_map, _LARGEST_CLASS).astype(np.uint16),
      size[::-1], interpolation=cv2.INTER_NEAREST)
  scores = np.ones(size, np.float32)
  if result.scores is not None:
    scores = cv2.resize(np.asarray(result.scores, np.float32), size[::-1],
                        interpolation=cv2.INTER_NEAREST)
  pixels = np.stack([classes & 255, classes >> 8,
                     np.clip(np.floor(scores * 255), 0, 255)], axis=-1)
  counts = np.bincount(result.label_map.ravel(),
                       minlength=int(result.classes.max()) + 1)
  return {
      'task': 'segmentation',
      'label_map': _data_uri(pixels.astype(np.uint8), 'png'),
      'classes': [{'name': name, 'class': int(class_id),
                   'score': counts[class_id] / float(result.label_map.size),
                   'color': _color(class_id)}
                  for name, class_id in zip(result.names, result.classes)]}
