"""Text on images that stays legible: labels beside boxes, a legend.

A canvas is uint8 [height, width, 3], RGB, and is drawn into in place.
"""

import functools
import importlib.util
import os
from typing import Optional, Sequence, Tuple

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from utils import types

_OPACITY = 0.85  # what text covers can still be guessed
_SMALLEST = 12  # pixels of a font
_SIDE_OF_FONT = 50.  # the longer side of an image, in heights of its font
_MAX_LETTERS = 40  # of a name; longer ones would cover the image
_MAX_LINES = 12  # of a legend


@functools.lru_cache(maxsize=None)
def font(size: int) -> ImageFont.ImageFont:
  """A font with the letters of most languages, else the one of Pillow."""
  # matplotlib comes with pycocotools; only its font file is used.
  spec = importlib.util.find_spec('matplotlib')
  if spec and spec.origin:
    path = os.path.join(os.path.dirname(spec.origin), 'mpl-data', 'fonts',
                        'ttf', 'DejaVuSans.ttf')
    try:
      return ImageFont.truetype(path, size)
    except OSError:
      pass
  return ImageFont.load_default()


def font_size(canvas: np.ndarray, num_texts: int = 1,
              num_full_size: int = 50) -> int:
  """Pixels of a font that can be read when the whole image is looked at.

  Args:
    canvas: array [height, width, 3].
    num_texts: int; very many are written smaller.
    num_full_size: int, up to so many texts are not.
  """
  size = max(canvas.shape[:2]) / _SIDE_OF_FONT
  return max(_SMALLEST, int(round(
      size * min(1., num_full_size / float(max(num_texts, 1))) ** .5)))


def shortened(text: str) -> str:
  """One line of a name of any kind and length."""
  text = ' '.join(''.join(c if c.isprintable() else ' ' for c in text).split())
  return text if len(text) <= _MAX_LETTERS else text[:_MAX_LETTERS - 1] + '…'


def write_labels(canvas: np.ndarray, corners: Sequence[types.Corners],
                 texts: Sequence[str], colors: Sequence[types.Color],
                 only_free: bool = False) -> None:
  """Writes every text beside its box, where it hides others least.

  Args:
    canvas: is drawn into.
    corners: [(x0, y0, x1, y1)] of the boxes, the most important one last: it
      chooses first and is drawn last.
    texts: [str].
    colors: [(red, green, blue)], the ground of the texts.
    only_free: leaves texts out that would hide other boxes or texts.
  """
  size = font_size(canvas, len(texts))
  canvas_size = canvas.shape[1], canvas.shape[0]
  boxes = np.array(corners, np.float64).reshape([-1, 4])
  chosen = []
  for i in range(len(texts))[::-1]:
    taken = np.array([place for _, place in chosen]).reshape([-1, 4])
    if only_free:
      taken = np.concatenate([taken, np.delete(boxes, i, axis=0)])
    place, cost = place_label(_size(texts[i], size), corners[i], canvas_size,
                              taken, only_free)
    if not (only_free and cost):
      chosen.append((i, place))
  for i, place in reversed(chosen):
    _write(canvas, texts[i], place, colors[i], size)


def _margins(size):
  """(beside, above) a text, pixels."""
  return max(3, size // 5), max(1, size // 10)


def _size(text, size):
  """(width, height) of a label."""
  right, bottom = _bottom_right(text, size)
  beside, above = _margins(size)
  return right + 2 * beside, bottom + 2 * above


@functools.lru_cache(maxsize=1024)
def _bottom_right(text, size):
  pen = ImageDraw.Draw(Image.new('RGB', (1, 1)))
  return tuple(int(np.ceil(v)) for v in pen.multiline_textbbox(
      (0, 0), text, font=font(size))[2:])


def _write(canvas, text, place, color, size):
  """Writes a text on a coloured ground that shines through a little."""
  x0, y0, x1, y1 = (max(0, int(v)) for v in place)
  window = canvas[y0:y1, x0:x1]
  if not window.size:
    return
  label = Image.new('RGB', window.shape[1::-1], tuple(color))
  luminance = np.dot(color, (.299, .587, .114))
  ImageDraw.Draw(label).multiline_text(
      _margins(size), text, font=font(size),
      fill=(0, 0, 0) if luminance > 140 else (255, 255, 255))
  window[:] = np.round(window + _OPACITY * (np.array(label, np.float32)
                                            - window))


def place_label(size: Tuple[int, int], corners: types.Corners,
                canvas_size: Tuple[int, int], taken: types.ArrayLike,
                is_crowded: bool = False) -> Tuple[types.Corners, float]:
  """Chooses the place of a label.

  Args:
    size: (width, height) of the label.
    corners: (x0, y0, x1, y1) of its box.
    canvas_size: (width, height).
    taken: [N, 4], places (x0, y0, x1, y1) that are to stay visible.
    is_crowded: keeps labels out of small boxes, which they would hide.

  Returns:
    (x0, y0, x1, y1), on the canvas as far as it has room; what it costs: 0 if
    nothing of `taken` and no small box is hidden.
  """
  (w, h), (x0, y0, x1, y1) = size, corners
  outside = [(x0, y1 + 1), (x1 - w, y0 - h), (x1 - w, y1 + 1), (x1 + 1, y0),
             (x0 - w, y0)]
  inside = [(x0, y0), (x0, y1 - h)]
  # Inside is clearer about which box is meant, but hides a small object.
  is_large = y1 - y0 > 3 * h and x1 - x0 > w
  candidates = [(x0, y0 - h)] + (inside + outside if is_large
                                 else outside + inside * (not is_crowded))
  places, costs = [], []
  for x, y in candidates:
    x_in = max(0, min(x, canvas_size[0] - w))
    y_in = max(0, min(y, canvas_size[1] - h))
    places.append((x_in, y_in, x_in + w, y_in + h))
    # Moved onto the canvas, a label stands on its own box: as bad as overlap.
    costs.append(overlap(places[-1], taken)
                 + h * (abs(x - x_in) + abs(y - y_in)))
  best = int(np.argmin(costs))
  return places[best], costs[best]


def overlap(place: types.Corners, others: types.ArrayLike) -> float:
  """Pixels that a rectangle (x0, y0, x1, y1) shares with others [N, 4]."""
  others = np.asarray(others, np.float64).reshape([-1, 4])
  sides = (np.minimum(place[2:], others[:, 2:])
           - np.maximum(place[:2], others[:, :2]))
  return float(np.prod(np.maximum(sides, 0.), axis=1).sum())


def write_panel(canvas: np.ndarray, lines: Sequence[str],
                colors: Optional[Sequence[types.Color]] = None) -> None:
  """Writes lines into the upper left corner, on black.

  Args:
    canvas: is drawn into.
    lines: [str]; as many as fit are written, the last one says how many are
      left out.
    colors: [(red, green, blue)], of a square before each line, or None.
  """
  size = font_size(canvas)
  line_height = _size('Ág', size)[1]
  room = min(_MAX_LINES, max(1, canvas.shape[0] // line_height))
  lines = [shortened(line) for line in lines]
  if len(lines) > room:
    lines = lines[:room - 1] + ['%d more' % (len(lines) - room + 1)]
    colors = colors and list(colors[:room - 1]) + [(0, 0, 0)]
  indent = line_height if colors else 0
  width = min(canvas.shape[1],
              indent + max([_size(line, size)[0] for line in lines] or [0]))
  for i, line in enumerate(lines):
    top = i * line_height
    _write(canvas, line, (indent, top, width, top + line_height), (0, 0, 0),
           size)
    if colors:
      square = canvas[top:top + line_height, :min(indent, width)]
      square[:] = 0
      edge = line_height // 5
      square[edge:-edge, edge:-edge] = colors[i]
