"""What TensorBoard shows of an evaluation in addition to its metrics, by step.

Precision and recall of classes by score (plugin `pr_curves`), the confusion
matrix, and a fixed sample of images, with ground truth next to detections.
"""

import io
from typing import Any, List, Sequence

import numpy as np
from PIL import Image
import tensorflow.compat.v1 as tf

from configs import base
from dataloader import decoding
from dataloader import examples
from dataloader import file_patterns
from dataloader import record_files
from evaluation import analysis
from evaluation import detections as detections_lib
from evaluation import pairs as pairs_lib
from evaluation import score_curves
from utils import drawn_matrix
from utils import object_drawing

_OVERLAP = .5
_MAX_CURVES = 20  # classes; TensorBoard gets slow with hundreds
_MAX_CLASSES = 300  # in the matrix: two pixels each
_MAX_SHOWN = 30  # detections in an image
_PLUGIN = 'pr_curves'


def curve_values(annotations: Any, detections: Any, iou_type: str,
                 prefix: str = '') -> List[tf.Summary.Value]:
  """Curves and confusion matrix.

  Args:
    annotations: evaluation.annotations.Annotations.
    detections: evaluation.detections.Detections, in its rows.
    iou_type: 'bbox' or 'segm'.
    prefix: prefix of the tags, such as 'mask_'.

  Returns:
    [tf.Summary.Value].
  """
  annotations = pairs_lib.scored(annotations, iou_type)
  pairs = pairs_lib.find(annotations, detections, iou_type)
  matches = pairs_lib.match(annotations, detections, pairs, _OVERLAP)
  curves = analysis.curves(annotations, detections, matches, _OVERLAP)
  names = annotations.category_names
  values = [_curve_value('%sprecision_recall@50IoU/%s' % (
      prefix, names[curve.category]), score_curves.by_score(curve))
            for curve in score_curves.most_objects(curves, _MAX_CURVES)]
  if 1 < len(names) <= _MAX_CLASSES:
    min_scores = np.array([analysis.best_f1(c).score for c in curves])
    counts = analysis.confusion(annotations, detections, pairs, min_scores,
                                _OVERLAP).counts
    values.append(image_value(
        prefix + 'confusion_matrix',
        drawn_matrix.draw(counts, list(names) + ['nothing'])))
  return values


def _curve_value(tag, rows):
  """A curve in the format of TensorBoard's plugin."""
  # PrCurvePluginData: version (1) is 0, num_thresholds (2) a varint.
  number, content = rows.shape[1], b'\x10'
  while number >= 128:
    content += bytes([number % 128 + 128])
    number //= 128
  return tf.Summary.Value(
      tag=tag, tensor=tf.make_tensor_proto(rows),
      metadata=tf.SummaryMetadata(plugin_data=tf.SummaryMetadata.PluginData(
          plugin_name=_PLUGIN, content=content + bytes([number]))))


def image_value(tag: str, pixels: np.ndarray) -> tf.Summary.Value:
  """An image of TensorBoard, from uint8 [height, width, 3], RGB."""
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, 'PNG')
  return tf.Summary.Value(tag=tag, image=tf.Summary.Image(
      height=pixels.shape[0], width=pixels.shape[1], colorspace=3,
      encoded_image_string=file.getvalue()))


class Sample:
  """The first images of an evaluation, which stay the same by step."""

  def __init__(self, config: base.Config) -> None:
    """Keeps what to read, once, with the first evaluation.

    Args:
      config: experiment; `eval.num_summary_images` says how many.
    """
    self._config = config
    self._images: Any = None  # [uint8 [h, w, 3]]

  def values(self, annotations: Any, detections: Any, rows: Sequence[int],
             has_masks: bool) -> List[tf.Summary.Value]:
    """The images, ground truth on the left, detections on the right.

    Args:
      annotations: evaluation.annotations.Annotations.
      detections: evaluation.detections.Detections, in its rows.
      rows: rows of the annotations' images, in the order of the evaluation.
      has_masks: whether both have masks.

    Returns:
      [tf.Summary.Value].
    """
    if self._images is None:
      self._images = self._read()
    names = dict(enumerate(annotations.category_names))
    values = []
    for number, (row, pixels) in enumerate(zip(rows, self._images)):
      if (annotations.image_sizes[row] or pixels.shape[:2]) != pixels.shape[:2]:
        continue  # The records came in another order.
      known = annotations.select(np.flatnonzero(annotations.images == row))
      found = detections_lib.select(detections, _best(detections, row))
      values.append(image_value('sample/%d' % number, np.concatenate([
          _draw(pixels, known, None, names, has_masks),
          _draw(pixels, found, found.scores, names, has_masks)], axis=1)))
    return values

  def _read(self):
    section = self._config.eval
    paths = file_patterns.expand(section.eval_file_pattern,
                                 'eval.eval_file_pattern')
    return [decoding.pixels(
        examples.features_of(serialized)['image/encoded'].bytes_list.value[0])
            for _, _, serialized in record_files.iterate(
                paths, section.num_summary_images)]


def _best(detections, row):
  """Rows of the best detections of an image."""
  rows = np.flatnonzero(detections.images == row)
  order = np.argsort(-detections.scores[rows], kind='mergesort')
  return rows[order[:_MAX_SHOWN]]


def _draw(pixels, objects, scores, names, has_masks):
  """Draws rows of annotations, or of detections with their scores."""
  return object_drawing.draw(pixels, objects.boxes, objects.categories, scores,
                             names, objects.rles if has_masks else None,
                             max_boxes=max(1, len(objects.boxes)))
