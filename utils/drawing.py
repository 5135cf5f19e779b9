"""Images with boxes, masks and labels, for people to look at."""

import colorsys
import functools
import importlib.util
import os

import cv2
import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

# Hues, in turns of the colour circle, far from their neighbours in the list.
_HUES = (0.98, 0.58, 0.145, 0.36, 0.78, 0.50, 0.06, 0.66, 0.88, 0.24)
# Lightness and saturation: after every ten classes another tone.
_TONES = ((0.56, 0.82), (0.72, 0.70), (0.42, 0.75))

_MASK_OPACITY = 0.45
_CLASS_OPACITY = 0.7  # of label maps, which have no frames and names
_LABEL_OPACITY = 0.85  # what a label covers can still be guessed
_MAX_LABELS = 50  # of more objects, labels would hide one another and the rest
_MIN_SIZE = 640  # pixels of the longer side below which text is unreadable


def class_color(class_id):
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
  rgb = colorsys.hls_to_rgb((_HUES[hue] + shift) % 1, lightness, saturation)
  return tuple(int(round(255 * v)) for v in rgb)


def draw_detections(image, boxes, classes, scores=None, label_map=None,
                    masks=None, min_score=0., max_boxes=100,
                    min_size=_MIN_SIZE, color_objects=False):
  """Draws objects into an image; the best ones on top.

  Args:
    image: uint8 [height, width, 3], RGB; or grey [height, width(, 1)].
    boxes: [N, 4], yxyx, pixels of `image`.
    classes: int [N].
    scores: [N], or None: objects that are known, drawn without a figure.
    label_map: {class id: name}; ids without a name are shown as numbers.
    masks: bool or 0/1 [N, height, width], or None.
    min_score: objects below it are not drawn.
    max_boxes: at most so many are drawn, those of the highest scores.
    min_size: smaller images are enlarged until their longer side has so
      many pixels; 0 keeps the size.
    color_objects: gives every object a colour of its own, which tells objects
      of one class apart, not every class.

  Returns:
    uint8 [height, width, 3], RGB, enlarged if need be; a copy. Of very many
    objects only masks, or without them boxes, are drawn.

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
      _blend_mask(canvas, np.asarray(masks[i]), color)
  is_crowded = len(order) > _MAX_LABELS
  if is_crowded and masks is not None:
    return canvas
  corners = [_visible_corners(boxes[i], scale, canvas.shape[:2])
             for i in order]
  _draw_boxes(canvas, corners, colors)
  if is_crowded:
    return canvas
  texts = [_label(classes[i], None if scores is None else scores[i],
                  label_map or {}) for i in order]
  return _draw_labels(canvas, corners, texts, colors)


def draw_label_map(image, label_map, min_size=512):
  """Colours the pixels of an image by their class, but for class 0.

  The image becomes grey, so that no colour in it is taken for a class.

  Args:
    image: uint8 [height, width, 3], RGB; or grey [height, width(, 1)].
    label_map: int [height, width], classes.
    min_size: smaller images are enlarged until their longer side has so
      many pixels; 0 keeps the size.

  Returns:
    uint8 [height, width, 3], RGB, enlarged if need be; a copy.
  """
  grey = cv2.cvtColor(_as_rgb(image), cv2.COLOR_RGB2GRAY)
  canvas, _ = _enlarge(_as_rgb(grey), min_size)
  for class_id in np.unique(label_map):
    if class_id:
      _blend_mask(canvas, np.asarray(label_map) == class_id,
                  class_color(class_id), _CLASS_OPACITY)
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


def _draw_boxes(canvas, corners, colors):
  """Draws rectangles in place."""
  thickness = max(1, int(round(max(canvas.shape[:2]) / 400.)))
  # Dark below, colour above: seen on bright and on dark ground.
  for (x0, y0, x1, y1), color in zip(corners, colors):
    cv2.rectangle(canvas, (x0, y0), (x1, y1), (0, 0, 0), thickness + 2)
    cv2.rectangle(canvas, (x0, y0), (x1, y1), color, thickness)


def _blend_mask(canvas, mask, color, opacity=_MASK_OPACITY):
  """Colours the inside of a mask and draws its outline, in place."""
  height, width = canvas.shape[:2]
  # Smooth edges when the image was enlarged.
  mask = cv2.resize((mask > 0).astype(np.float32), (width, height)) >= .5
  inside = canvas[mask].astype(np.float32)
  canvas[mask] = np.round(inside + opacity * (np.array(color) - inside))
  outline = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL,
                             cv2.CHAIN_APPROX_NONE)[-2]
  cv2.drawContours(canvas, outline, -1, color, 1, cv2.LINE_AA)


def _label(class_id, score, label_map):
  name = label_map.get(int(class_id), str(int(class_id)))
  return name if score is None else '%s %.2f' % (name, score)


@functools.lru_cache(maxsize=None)
def _font(size):
  """A font with the letters of most languages, else the one of Pillow."""
  # matplotlib comes with pycocotools; only its font file is used.
  spec = importlib.util.find_spec('matplotlib')
  if spec:
    path = os.path.join(os.path.dirname(spec.origin), 'mpl-data', 'fonts',
                        'ttf', 'DejaVuSans.ttf')
    try:
      return ImageFont.truetype(path, size)
    except OSError:
      pass
  return ImageFont.load_default()


def _draw_labels(canvas, corners, texts, colors):
  """Writes every text beside its box, where it hides other labels least."""
  height, width = canvas.shape[:2]
  font = _font(max(12, int(round(max(height, width) / 50.))))
  ground = Image.fromarray(canvas)
  layer = ground.copy()
  pen = ImageDraw.Draw(layer)
  taken = []
  # The best object chooses first and is drawn last.
  for (x0, y0, x1, y1), text in reversed(list(zip(corners, texts))):
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    taken.append(_place((right + 6, bottom + 4), (x0, y0, x1, y1),
                        (width, height), taken))
  for (x, y, x1, y1), text, color in zip(reversed(taken), texts, colors):
    pen.rectangle((x, y, x1 - 1, y1 - 1), fill=color)
    luminance = np.dot(color, (.299, .587, .114))
    pen.text((x + 3, y + 1), text, font=font,
             fill=(0, 0, 0) if luminance > 140 else (255, 255, 255))
  return np.array(Image.blend(ground, layer, _LABEL_OPACITY))


def _place(size, corners, canvas_size, taken):
  """Chooses the place of a label.

  Args:
    size: (width, height) of the label.
    corners: (x0, y0, x1, y1) of its box.
    canvas_size: (width, height).
    taken: places of other labels.

  Returns:
    (x0, y0, x1, y1), on the canvas as far as it has room.
  """
  (w, h), (x0, y0, x1, y1) = size, corners
  outside = [(x0, y1 + 1), (x1 - w, y0 - h), (x1 - w, y1 + 1), (x1 + 1, y0),
             (x0 - w, y0)]
  inside = [(x0, y0), (x0, y1 - h)]
  # Inside is clearer about which box is meant, but hides a small object.
  is_large = y1 - y0 > 3 * h and x1 - x0 > w
  candidates = []
  for x, y in [(x0, y0 - h)] + (inside + outside if is_large
                                else outside + inside):
    x_in = max(0, min(x, canvas_size[0] - w))
    y_in = max(0, min(y, canvas_size[1] - h))
    candidates.append((abs(x - x_in) + abs(y - y_in),
                       (x_in, y_in, x_in + w, y_in + h)))
  # Moved onto the canvas, a label stands on its own box: as bad as overlap.
  costs = [sum(_overlap(place, other) for other in taken) + h * moved
           for moved, place in candidates]
  return candidates[int(np.argmin(costs))][1]


def _overlap(a, b):
  """Pixels that two rectangles (x0, y0, x1, y1) share."""
  return (max(0, min(a[2], b[2]) - max(a[0], b[0]))
          * max(0, min(a[3], b[3]) - max(a[1], b[1])))


def draw_classes(image, names, scores, min_size=256):
  """Writes the classes of an image and their scores into its corner.

  Args:
    image: uint8 [height, width, 3], RGB; or grey [height, width(, 1)].
    names: [str], the best first.
    scores: [float], of the names.
    min_size: smaller images are enlarged until their longer side has so many
      pixels; 0 keeps the size.

  Returns:
    uint8 [height, width, 3], RGB, enlarged if need be; a copy.
  """
  canvas, _ = _enlarge(_as_rgb(image), min_size)
  text = '\n'.join('%s %.2f' % pair for pair in zip(names, scores))
  font = _font(max(12, int(round(max(canvas.shape[:2]) / 50.))))
  ground = Image.fromarray(canvas)
  layer = ground.copy()
  pen = ImageDraw.Draw(layer)
  right, bottom = pen.multiline_textbbox((4, 2), text, font=font)[2:]
  pen.rectangle((0, 0, right + 4, bottom + 4), fill=(0, 0, 0))
  pen.multiline_text((4, 2), text, font=font, fill=(255, 255, 255))
  return np.array(Image.blend(ground, layer, _LABEL_OPACITY))
