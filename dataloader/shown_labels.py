"""What a parser gives to training, turned back into images with labels."""

from typing import Any, Dict, NamedTuple, Optional

import cv2
import numpy as np

from configs import base
from ops import preprocess
from ops import tensor_types
from utils import drawing
from utils import fields
from utils import mask_grids
from utils import masks as mask_utils
from utils import types

_ANCHOR_COLOR = (255, 255, 255)
_MIN_ANCHORS_LEFT_OUT = 150  # more would hide the image


class Shown(NamedTuple):
  """What a model is trained on.

  Attributes:
    image: uint8 [h, w, 3].
    boxes: [K, 4], yxyx, pixels of `image`.
    classes: [K].
    masks: bool [K, h, w], or None.
    anchors: [P, 4], yxyx, same pixels, those that are matched.
  """
  image: np.ndarray
  boxes: np.ndarray
  classes: np.ndarray
  masks: Optional[np.ndarray]
  anchors: np.ndarray


def grid_of(section: base.Section) -> mask_grids.MaskGrid:
  """The grid of the masks that a parser makes, which are its crops."""
  name = getattr(section, 'mask_crop_grid', mask_grids.CELLS_NAME)
  return mask_grids.MaskGrid(name, 0)


def to_pixels(image: np.ndarray) -> np.ndarray:
  """uint8 [h, w, 3] of an image as networks get it, float [h, w, 3]."""
  pixels = image.astype(np.float32) * preprocess.STDDEV_RGB
  pixels = np.clip((pixels + preprocess.MEAN_RGB) * 255., 0, 255)
  return np.round(pixels).astype(np.uint8)


def show(image: np.ndarray, labels: Dict[str, Any],
         anchors: tensor_types.LevelArrays,
         mask_grid: mask_grids.MaskGrid = mask_grids.CELLS) -> Shown:
  """Turns one parsed example back.

  Args:
    image: float [h, w, 3], normalised.
    labels: {label: nest of arrays} of training, RetinaNet's or Mask R-CNN's.
    anchors: {level: float32 [h*w*A, 4]}, yxyx, pixels of the network input.
    mask_grid: mask_grids.MaskGrid of the masks.

  Returns:
    Shown. The boxes of RetinaNet are those that its targets stand for.
  """
  pixels = to_pixels(image)
  if 'gt_boxes' in labels:
    matched = _matched(labels['rpn_box_targets'], anchors,
                       lambda level, targets: np.any(targets != 0, axis=1))[0]
    is_real = labels['gt_classes'] > 0
    boxes, classes = labels['gt_boxes'][is_real], labels['gt_classes'][is_real]
    masks = None
    if 'gt_masks' in labels:
      masks = _paste(labels['gt_masks'][is_real], boxes, pixels.shape[:2],
                     mask_grid)
    return Shown(pixels, boxes, classes, masks, matched)
  classes = {level: targets.reshape(-1)
             for level, targets in labels['cls_targets'].items()}
  matched, boxes = _matched(labels['box_targets'], anchors,
                            lambda level, targets: classes[level] > 0)
  of_anchors = np.concatenate([c[c > 0] for _, c in sorted(classes.items())])
  # All anchors of an object have its box.
  rows = np.concatenate([np.round(boxes), of_anchors[:, None]], axis=1)
  _, first = np.unique(rows, axis=0, return_index=True)
  return Shown(pixels, boxes[first], of_anchors[first], None, matched)


def _matched(box_targets, anchors, is_matched):
  """Matched anchors [P, 4] and the boxes [P, 4] that they should become."""
  chosen, boxes = [], []
  for level, targets in sorted(box_targets.items()):
    targets = targets.reshape(-1, 4)
    where = is_matched(level, targets)
    of_level = anchors[level][where]
    chosen.append(of_level)
    boxes.append(decode_targets(targets[where], of_level))
  return np.concatenate(chosen), np.concatenate(boxes)


def decode_targets(targets, anchors):
  """The inverse of ops.boxes.encode_anchor_targets without weights.

  Args:
    targets: float array [..., 4], (dy, dx, dh, dw).
    anchors: float array [..., 4], yxyx, pixels.

  Returns:
    Array [..., 4], yxyx, same pixels.
  """
  sizes = anchors[..., 2:] - anchors[..., :2]
  centers = anchors[..., :2] + sizes / 2. + targets[..., :2] * sizes
  halves = sizes * np.exp(targets[..., 2:]) / 2.
  return np.concatenate([centers - halves, centers + halves], axis=-1)


def _paste(masks, boxes, size, mask_grid):
  """bool [K, h, w] of masks that fill their boxes."""
  y0, x0, y1, x1 = boxes.T
  return mask_utils.paste_masks(
      masks, np.stack([x0, y0, x1 - x0, y1 - y0], axis=1), *size,
      grid=mask_grid) > 0


def draw(shown: Shown, label_map: Optional[types.LabelMap] = None,
         min_size: int = 640) -> np.ndarray:
  """The image with anchors below boxes, masks and names.

  Args:
    shown: Shown, an image of [h, w, 3].
    label_map: {class id: name}.
    min_size: int, pixels; a smaller image is enlarged.

  Returns:
    uint8 [H, W, 3], RGB.
  """
  image = shown.image.copy()
  anchors = shown.anchors
  if len(anchors) > _MIN_ANCHORS_LEFT_OUT:
    anchors = anchors[::len(anchors) // _MIN_ANCHORS_LEFT_OUT + 1]
  for y0, x0, y1, x1 in np.round(anchors).astype(int):
    cv2.rectangle(image, (int(x0), int(y0)), (int(x1), int(y1)),
                  _ANCHOR_COLOR, 1)
  return drawing.draw_detections(
      image, shown.boxes, shown.classes, label_map=label_map,
      masks=shown.masks, min_size=min_size)


def draw_classes(image: np.ndarray, labels: Any,
                 label_map: types.LabelMap) -> np.ndarray:
  """The image with its class, or beside the classes of its pixels.

  Args:
    image: float [h, w, 3], normalised.
    labels: of training: of classification, int [], or of segmentation, a dict
      with `masks` [h, w, 1].
    label_map: {class id: name}.

  Returns:
    uint8 [H, W, 3].
  """
  pixels = to_pixels(image)
  if not isinstance(labels, dict):
    name = label_map.get(int(labels), str(int(labels)))
    return drawing.draw_classes(pixels, [name])
  classes = np.where(labels[fields.VALID_MASKS], labels[fields.MASKS], 0)
  return np.concatenate([pixels, drawing.draw_label_map(
      pixels, classes[..., 0].astype(int), min_size=0, names=label_map)],
                        axis=1)
