"""Perfect masks through the crop of targets and the paste, and their figures.

What a perfect model would score: the exact masks of a COCO annotation file are
cut out as the parser does, cut out of the exact boxes as the model does for its
targets, taken for its output, pasted and compared with themselves.
"""

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import mask_crops
from evaluation import coco_evaluator
from ops import masks as mask_ops
from tests.dataloader import examples
from utils import mask_grids
from utils import masks

GRIDS = mask_crops.GRIDS
# A pass of the graph takes so many masks.
_CHUNK = 100


class Cropper:
  """The crops of objects, in one graph for all images."""

  def __init__(self, grid, crop_size, target_size=None):
    """Builds the graph.

    Args:
      grid: 'corners' or 'cells'.
      crop_size: int, of the parser.
      target_size: int, of Mask R-CNN's model; None: the crops are the targets,
        as ShapeMask's.
    """
    self.grid = mask_grids.CELLS
    if grid == mask_grids.CORNERS_NAME:
      self.grid = mask_grids.corners(crop_size if target_size else 0)
    with tf.Graph().as_default() as graph:
      self._pngs = tf.placeholder(tf.string, [None])
      self._boxes = tf.placeholder(tf.float32, [None, 4])
      self._size = tf.placeholder(tf.int32, [2])
      crops, = mask_crops.crop_masks(
          self._pngs, self._boxes, [crop_size], tf.constant(False), self._size,
          tf.constant('7'), grid=grid)
      if target_size:
        boxes = self._boxes * tf.cast(tf.tile(self._size, [2]), tf.float32)
        crops = mask_ops.crop_masks_in_boxes(
            crops[tf.newaxis], boxes[tf.newaxis], boxes[tf.newaxis],
            target_size, means_of_cells=grid == mask_grids.CELLS_NAME)[0]
      self._crops = crops
      self._session = tf.Session(graph=graph)

  def __call__(self, pixels, boxes):
    """Crops [K, S, S] of masks [K, H, W] within boxes yxyx, pixels."""
    size = pixels.shape[1:]
    boxes = np.float32(boxes) / np.tile(size, 2)
    parts = [self._session.run(self._crops, {
        self._pngs: [examples.encode(m) for m in pixels[i:i + _CHUNK]],
        self._boxes: boxes[i:i + _CHUNK], self._size: size})
             for i in range(0, len(pixels), _CHUNK)]
    return np.concatenate(parts)


def evaluate(annotations, cropper, mask_grid=None):
  """Metrics of perfect detections.

  Args:
    annotations: COCO dict. Crowds are not detected.
    cropper: Cropper.
    mask_grid: MaskGrid to paste by; None: that of the crops.

  Returns:
    {metric: float} of COCOEvaluator.
  """
  objects = {image['id']: [] for image in annotations['images']}
  for entry in annotations['annotations']:
    if not entry.get('iscrowd'):
      objects[entry['image_id']].append(entry)
  num_slots = max(map(len, objects.values()))
  evaluator = coco_evaluator.COCOEvaluator(
      annotations, include_mask=True, per_category=False,
      mask_grid=mask_grid or cropper.grid)
  for image in annotations['images']:
    if objects[image['id']]:
      evaluator.update(_predictions(image, objects[image['id']], cropper,
                                    num_slots))
  return evaluator.evaluate()


def _predictions(image, objects, cropper, num_slots):
  """A batch of one image, of which every object is found."""
  size = image['height'], image['width']
  pixels = np.stack([masks.decode(masks.segmentation_to_rle(
      entry['segmentation'], *size)) for entry in objects])
  x, y, width, height = np.float32([entry['bbox'] for entry in objects]).T
  boxes = np.stack([y, x, y + height, x + width], axis=1)
  def pad(values):
    rows = [(0, num_slots - len(values))] + [(0, 0)] * (np.ndim(values) - 1)
    return np.pad(np.asarray(values), rows, mode='constant')[np.newaxis]
  return {
      'source_id': np.array([image['id']]),
      'num_detections': np.array([len(objects)]),
      'detection_boxes': pad(boxes),
      'detection_classes': pad([entry['category_id'] for entry in objects]),
      'detection_scores': pad(np.linspace(1., .9, len(objects))),
      'detection_masks': pad(cropper(pixels, boxes)),
      'image_info': np.float32([[size, size, [1., 1.], [0., 0.]]])}
