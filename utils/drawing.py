"""Images with boxes, masks and labels, for people to look at."""

import colorsys
from typing import Optional, Sequence

import cv2
import numpy as np

from utils import drawn_text
from utils import masks as mask_utils
from utils import types

# Hues, in turns of the colour circle, far from their neighbours in the list.
_HUES = (0.98, 0.58, 0.145, 0.36, 0.78, 0.50, 0.06, 0.66, 0.88, 0.24)
# Lightness and saturation: after every ten classes another tone.
_TONES = ((0.56, 0.82), (0.72, 0.70), (0.42, 0.75))

_MASK_OPACITY = 0.45
_CLASS_OPACITY = 0.7  # of label maps, which have no frames and names
_MAX_LABELS = 50  # of more objects, only labels that hide nothing are written
_MIN_SIZE = 640  # pixels of the longer side below which text is unreadable


def class_color(class_id: int) -> types.Color:
  """A bright colour, the same for a class in every image.

  Args:
    class_id: int.

  Returns:
    (red, green, blue), 0..255.
  """
  turn, hue = divmod(int(class_id), len(_HUES))
  lightness, saturation = _TONES[turn % len(_TONES)]
  # Later turns move along the circle, so that all 90 classes of COCO differ.
  shift = .033 * (turn // len(_TONES))
  red, green, blue = (int(round(255 * v)) for v in colorsys.hls_to_rgb(
      (_HUES[hue] + shift) % 1, lightness, saturation))
  return red, green, blue


def draw_detections(image: np.ndarray, boxes: types.ArrayLike,
                    classes: types.ArrayLike,
                    scores: Optional[types.ArrayLike] = None,
                    label_map: Optional[types.LabelMap] = None,
                    masks: Optional[types.ArrayLike] = None,
                    min_score: float = 0., max_boxes: int = 100,
                    min_size: int = _MIN_SIZE,
                    color_objects: bool = False) -> np.ndarray:
  """Draws objects into an image; the best ones on top.

  Args:
    image: uint8 [height, width, 3], RGB; or grey [height, width(, 1)].
    boxes: [N, 4], yxyx, pixels of `image`.
    classes: int [N].
    scores: [N], or None: objects that are known, drawn without a figure.
    label_map: {class id: name}; ids without a name are shown as numbers.
    masks: bool or 0/1 [N, height, width]; utils.masks.Crops; or None.
    min_score: objects below it are not drawn.
    max_boxes: at most so many are drawn, those of the highest scores.
    min_size: smaller images are enlarged until their longer side has so
      many pixels; 0 keeps the size.
    color_objects: gives every object a colour of its own, which tells objects
      of one class apart, not every class.

  Returns:
    uint8 [height, width, 3], RGB, enlarged if need be; a copy. Of very many
    objects only masks, or without them boxes, are drawn, and the labels that
    hide nothing.

  Raises:
    ValueError: if the arrays do not have N entries each.
  """
  boxes = np.asarray(boxes, np.float64).reshape([-1, 4])
  classes = np.asarray(classes).reshape([-1])
  _check_lengths(boxes=boxes, classes=classes, scores=scores, masks=masks)
  order = _drawing_order(boxes, scores, min_score, max_boxes)
  canvas, scale = _enlarge(_as_rgb(image), min_size)
  colors = [class_color(i if color_objects else classes[i]) for i in order]
  if masks is not None:
    for i, color in zip(order, colors):
      _blend_mask(canvas, masks[i], color)
  is_crowded = len(order) > _MAX_LABELS
  corners = [_visible_corners(boxes[i], scale, canvas.shape[:2])
             for i in order]
  if masks is None or not is_crowded:
    _draw_boxes(canvas, corners, colors)
  texts = [_label(classes[i], None if scores is None else scores[i],
                  label_map or {}) for i in order]
  drawn_text.write_labels(canvas, corners, texts, colors, is_crowded)
  return canvas


def draw_label_map(image: np.ndarray, label_map: np.ndarray,
                   min_size: int = 512,
                   names: Optional[types.LabelMap] = None) -> np.ndarray:
  """Colours the pixels of an image by their class, but for class 0.

  The image becomes grey, so that no colour in it is taken for a class.

  Args:
    image: uint8 [height, width, 3], RGB; or grey [height, width(, 1)].
    label_map: int [height, width], classes.
    min_size: smaller images are enlarged until their longer side has so
      many pixels; 0 keeps the size.
    names: {class: name}: adds a legend of the classes that occur, the largest
      first; None: no legend.

  Returns:
    uint8 [height, width, 3], RGB, enlarged if need be; a copy.
  """
  grey = cv2.cvtColor(_as_rgb(image), cv2.COLOR_RGB2GRAY)
  canvas, _ = _enlarge(_as_rgb(grey), min_size)
  classes, counts = np.unique(label_map, return_counts=True)
  for class_id in classes:
    if class_id:
      _blend_mask(canvas, np.asarray(label_map) == class_id,
                  class_color(class_id), _CLASS_OPACITY, has_outline=False)
  if names is not None:
    shown = [i for i in classes[np.argsort(-counts, kind='mergesort')] if i]
    drawn_text.write_panel(canvas, [names.get(int(i), str(i)) for i in shown],
                           [class_color(i) for i in shown])
  return canvas


def _check_lengths(boxes, **others):
  for name, values in others.items():
    if values is not None and len(values) != len(boxes):
      raise ValueError('There are %d boxes but %d %s.'
                       % (len(boxes), len(values), name))


def _drawing_order(boxes, scores, min_score, max_boxes):
  """Rows to draw, the best last; without scores the smallest last."""
  is_drawn = np.isfinite(boxes).all(axis=1)
  if scores is None:
    rank = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return [i for i in np.argsort(-rank, kind='mergesort') if is_drawn[i]
           ][-max_boxes:]
  scores = np.asarray(scores, np.float64).reshape([-1])
  is_drawn &= scores >= min_score
  return [i for i in np.argsort(scores, kind='mergesort') if is_drawn[i]
         ][-max_boxes:]


def _as_rgb(image):
  image = np.asarray(image)
  if image.ndim == 2:
    image = image[:, :, np.newaxis]
  if image.shape[2] == 1:
    image = np.repeat(image, 3, axis=2)
  if image.dtype != np.uint8 or image.shape[2] != 3:
    raise ValueError('The image should be uint8 [height, width, 3], it is '
                     '%s %s.' % (image.dtype, list(image.shape)))
  return image


def _enlarge(image, min_size):
  """Returns (a copy whose longer side has at least `min_size`, scale)."""
  scale = max(1., float(min_size) / max(image.shape[:2]))
  if scale == 1.:
    return image.copy(), scale
  height, width = (int(round(scale * v)) for v in image.shape[:2])
  return cv2.resize(image, (width, height),
                    interpolation=cv2.INTER_CUBIC), scale


def _visible_corners(box, scale, size):
  """Corners (x0, y0, x1, y1) on the canvas of a box, its border inside."""
  height, width = size
  limit = np.array([height, width, height, width]) - 1
  y0, x0, y1, x1 = np.clip(np.round(box * scale), 0, limit).astype(int)
  return int(x0), int(y0), int(x1), int(y1)


def _thickness(canvas):
  """Of a line: visible when the whole image is looked at."""
  side = max(canvas.shape[:2])
  # One pixel of colour would be lost between two dark ones.
  return max(2 if side >= 320 else 1, int(round(side / 400.)))


def _draw_boxes(canvas, corners, colors):
  """Draws rectangles in place."""
  thickness = _thickness(canvas)
  edge = 2 * max(1, thickness // 3)
  # Dark below, colour above: seen on bright and on dark ground.
  for (x0, y0, x1, y1), color in zip(corners, colors):
    cv2.rectangle(canvas, (x0, y0), (x1, y1), (0, 0, 0), thickness + edge)
    cv2.rectangle(canvas, (x0, y0), (x1, y1), color, thickness)


def _blend_mask(canvas, mask, color, opacity=_MASK_OPACITY, has_outline=True):
  """Colours the inside of a mask and draws its outline, in place.

  Args:
    canvas: is drawn into.
    mask: [height, width] of the image, or utils.masks.Crop of it.
    color: (red, green, blue).
    opacity: float, of the inside.
    has_outline: bool.
  """
  crop = _on_canvas(mask, canvas.shape[:2])
  if not crop.mask.size:
    return
  window = canvas[crop.y:crop.y + crop.mask.shape[0],
                  crop.x:crop.x + crop.mask.shape[1]]
  inside = window[crop.mask].astype(np.float32)
  window[crop.mask] = np.round(inside + opacity * (np.array(color) - inside))
  if has_outline:
    _draw_outline(canvas, crop, color)


def _draw_outline(canvas, crop, color):
  """Draws the border of a mask, dark and bright as that of a box."""
  # Without a margin, what touches the border of the crop had no line there.
  bordered = np.pad(crop.mask, 1, 'constant').astype(np.uint8)
  outline = cv2.findContours(bordered, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE,
                             offset=(crop.x - 1, crop.y - 1))[-2]
  thickness = _thickness(canvas)
  edge = 2 * max(1, thickness // 3)
  for line, width in (((0, 0, 0), thickness + edge), (color, thickness)):
    cv2.drawContours(canvas, outline, -1, line, width)


def _on_canvas(mask, size):
  """utils.masks.Crop of the canvas, around what is inside of a mask."""
  if not isinstance(mask, mask_utils.Crop):
    mask = mask_utils.Crop(0, 0, np.asarray(mask) > 0, np.shape(mask))
  if tuple(mask.size) != tuple(size):
    # Smooth edges when the image was enlarged.
    whole = np.zeros(mask.size, np.float32)
    whole[mask.y:mask.y + mask.mask.shape[0],
          mask.x:mask.x + mask.mask.shape[1]] = mask.mask
    whole = cv2.resize(whole, size[::-1])
    # Half of a pixel of the small image takes its stairs away.
    whole = cv2.GaussianBlur(whole, (0, 0), .5 * size[0] / mask.size[0])
    mask = mask_utils.Crop(0, 0, whole >= .5, size)
  rows = np.flatnonzero(mask.mask.any(axis=1))
  columns = np.flatnonzero(mask.mask.any(axis=0))
  if not len(rows):
    return mask._replace(mask=mask.mask[:0])
  return mask._replace(
      y=mask.y + int(rows[0]), x=mask.x + int(columns[0]),
      mask=mask.mask[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1])


def _label(class_id, score, label_map):
  name = drawn_text.shortened(
      label_map.get(int(class_id), str(int(class_id))))
  return name if score is None else '%s %.2f' % (name, score)


def draw_classes(image: np.ndarray, names: Sequence[str],
                 scores: Optional[Sequence[float]] = None,
                 min_size: int = 256) -> np.ndarray:
  """Writes the classes of an image and their scores into its corner.

  Args:
    image: uint8 [height, width, 3], RGB; or grey [height, width(, 1)].
    names: [str], the best first.
    scores: [float], of the names; None: the classes are known.
    min_size: smaller images are enlarged until their longer side has so many
      pixels; 0 keeps the size.

  Returns:
    uint8 [height, width, 3], RGB, enlarged if need be; a copy.
  """
  canvas, _ = _enlarge(_as_rgb(image), min_size)
  drawn_text.write_panel(canvas, list(names) if scores is None else [
      '%.2f %s' % (score, name) for name, score in zip(names, scores)])
  return canvas
