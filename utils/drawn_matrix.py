"""A matrix of counts as an image."""

from typing import Sequence

import numpy as np
from PIL import Image
from PIL import ImageDraw

from utils import drawn_text

_SIDE = 640  # pixels of all cells, if that leaves them a size
_CELL = (2, 48)  # pixels, the smallest and the largest
_LEAST_FOR_NAMES = 12
_LEAST_FOR_COUNTS = 36
_FULL = np.array([20., 60., 140.])  # colour of a share of 1
_GAP = 6


def draw(counts: np.ndarray, names: Sequence[str]) -> np.ndarray:
  """Draws counts, each row by the shares of its sum.

  Args:
    counts: int [N, N].
    names: [N], of rows and columns.

  Returns:
    uint8 [h, w, 3]. Names are written where cells are high enough for them,
    counts where there is room.
  """
  counts = np.asarray(counts)
  size = int(np.clip(_SIDE // max(1, len(counts)), *_CELL))
  shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.)
  colors = 255. + shares[:, :, np.newaxis] * (_FULL - 255.)
  cells = np.repeat(np.repeat(colors.round().astype(np.uint8), size, 0),
                    size, 1)
  if size < _LEAST_FOR_NAMES:
    return cells
  font = drawn_text.font(max(9, min(14, size - 3)))
  texts = [drawn_text.shortened(name) for name in names]
  margin = 2 * _GAP + max(_width(text, font) for text in texts)
  canvas = Image.new('RGB', (margin + cells.shape[1], margin + cells.shape[0]),
                     (255, 255, 255))
  canvas.paste(Image.fromarray(cells), (margin, margin))
  pen = ImageDraw.Draw(canvas)
  for i, text in enumerate(texts):
    middle = margin + i * size + size // 2
    pen.text((margin - _GAP - _width(text, font), middle - 8), text, font=font,
             fill=(0, 0, 0))
    canvas.paste(_upright(text, font, margin - _GAP), (middle - 8, 0))
  if size >= _LEAST_FOR_COUNTS:
    for (row, column), count in np.ndenumerate(counts):
      text = str(count) if count < 10000 else '%dk' % (count // 1000)
      pen.text((margin + column * size + (size - _width(text, font)) // 2,
                margin + row * size + size // 2 - 8), text, font=font,
               fill=(255, 255, 255) if shares[row, column] > .5 else (0, 0, 0))
  return np.array(canvas)


def _width(text, font):
  pen = ImageDraw.Draw(Image.new('RGB', (1, 1)))
  return int(np.ceil(pen.textbbox((0, 0), text, font=font)[2]))


def _upright(text, font, length):
  """A text that reads from below, ending at the bottom of its strip."""
  strip = Image.new('RGB', (length, 18), (255, 255, 255))
  ImageDraw.Draw(strip).text((0, 1), text, font=font, fill=(0, 0, 0))
  return strip.rotate(90, expand=True)
