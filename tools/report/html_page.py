"""Parts of a report as HTML text: tables, a curve, images. No files."""

import base64
import html
import math
from typing import (
  Any,
  Iterable,
  List,
  Mapping,
  NamedTuple,
  Optional,
  Sequence,
  Tuple,
)

import cv2
import numpy as np

from utils import types

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c1e21; margin: 2em auto;
       max-width: 1100px; padding: 0 1em; background: #fff; }
h1 { margin-bottom: 0; } h2 { margin-top: 2em; } p { max-width: 46em; }
table { border-collapse: collapse; } td, th { padding: .25em .8em; }
th { text-align: left; border-bottom: 2px solid #888; }
td { border-bottom: 1px solid #ddd; } .number { text-align: right; }
.bar { background: #2f6fb3; height: .8em; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .5em;
        margin-bottom: 1em; }
.pair img { width: 100%; } .pair figure { margin: 0; }
.triple { display: grid; grid-template-columns: 1fr 1fr 1fr; gap: .5em;
          margin-bottom: 1em; }
.triple img { width: 100%; } .triple figure { margin: 0; }
.grid { display: grid; grid-template-columns: repeat(6, 1fr); gap: .8em; }
.grid img { width: 100%; } .grid figure { margin: 0; }
.legend span { display: inline-block; width: .9em; height: .9em;
               margin: 0 .4em 0 1.2em; }
figcaption { color: #555; font-size: 85%; }
pre { background: #f4f4f4; padding: 1em; overflow: auto; font-size: 85%; }
.headline { font-size: 130%; }
"""
_CURVE_COLORS = ('#1f4e8c', '#c2571a', '#2e7d4f', '#8a3f8f', '#6b6b6b')
_CURVE_SIZE = (1000, 340)  # width, height
_CURVE_MARGINS = (60, 20, 150, 40)  # left, top, right, bottom
_JPEG_QUALITY = 85


class Content(NamedTuple):
  """What differs between kinds of models.

  Attributes:
    figures: figures of the headline.
    num_images: that were evaluated.
    tables: HTML.
    images: HTML.
  """
  figures: str
  num_images: int
  tables: List[str]
  images: List[str]


def page(title: str, parts: Iterable[str]) -> str:
  """A whole page that needs no other file.

  Args:
    title: str.
    parts: [HTML text].
  """
  return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
          '<meta name="viewport" content="width=device-width">\n'
          '<title>%s</title><style>%s</style></head>\n<body><h1>%s</h1>\n%s\n'
          '</body></html>\n' % (html.escape(title), _STYLE, html.escape(title),
                                '\n'.join(parts)))


def heading(text: str) -> str:
  return '<h2>%s</h2>' % html.escape(text)


def paragraph(text: str, css_class: str = '') -> str:
  return '<p class="%s">%s</p>' % (css_class, html.escape(text))


def preformatted(summary: str, text: str) -> str:
  """Text of many lines, folded away below a summary."""
  return '<details><summary>%s</summary><pre>%s</pre></details>' % (
      html.escape(summary), html.escape(text))


def figure_text(value: Optional[float]) -> str:
  """A metric as text; -1 stands for a metric that is undefined."""
  return '-' if value is None or value < 0 else '%.3f' % value


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
  """A table; numbers are set to the right.

  Args:
    titles: [str].
    rows: [[str, int or float]]; floats are metrics, None is undefined.
  """
  def cell(value):
    if isinstance(value, str):
      return '<td>%s</td>' % html.escape(value)
    text = str(value) if isinstance(value, int) else figure_text(value)
    return '<td class="number">%s</td>' % text
  head = ''.join('<th>%s</th>' % html.escape(t) for t in titles)
  body = '\n'.join('<tr>%s</tr>' % ''.join(cell(v) for v in row)
                   for row in rows)
  return '<table><tr>%s</tr>\n%s</table>' % (head, body)


def image_pair(left: np.ndarray, right: np.ndarray,
               captions: Tuple[str, str]) -> str:
  """Two images side by side.

  Args:
    left: uint8 [h, w, 3], RGB.
    right: uint8 [h, w, 3], RGB.
    captions: (str, str).
  """
  return _images('pair', zip((left, right), captions))


def image_triple(figures: Sequence[Tuple[np.ndarray, str]]) -> str:
  """Three images side by side: [(uint8 [h, w, 3], RGB; str)]."""
  return _images('triple', figures)


def image_grid(figures: Sequence[Tuple[np.ndarray, str]]) -> str:
  """Small images with captions, six in a row.

  Args:
    figures: [(uint8 [h, w, 3], RGB; str)].
  """
  return _images('grid', figures)


def _images(css_class, figures):
  return '<div class="%s">%s</div>' % (css_class, ''.join(
      _figure(image, caption) for image, caption in figures))


def _figure(image, caption):
  return ('<figure><img src="data:image/jpeg;base64,%s" alt="%s">'
          '<figcaption>%s</figcaption></figure>' % (
              _jpeg(image), html.escape(caption), html.escape(caption)))


def legend(entries: Sequence[Tuple[str, types.Color]]) -> str:
  """Names beside their colours.

  Args:
    entries: [(str, (red, green, blue))].
  """
  return '<p class="legend">%s</p>' % ''.join(
      '<span style="background: rgb(%d, %d, %d)"></span>%s' % (
          tuple(color) + (html.escape(text),)) for text, color in entries)


def _jpeg(image):
  encoded = cv2.imencode('.jpg', image[:, :, ::-1],
                         [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
  return base64.b64encode(encoded.tobytes()).decode('ascii')


def curve(series: Mapping[str, Sequence[Tuple[int, float]]]) -> str:
  """Curves over the training steps, on a logarithmic scale.

  Args:
    series: {name: [(step, value)]}; what is not above 0 is left out.

  Returns:
    An SVG element, or a sentence when there is nothing to draw.
  """
  series = {name: [(s, v) for s, v in points
                   if v is not None and 0 < v < float('inf')]
            for name, points in series.items()}
  series = {name: points for name, points in series.items() if points}
  if not series:
    return paragraph('There is no record of the training run here.')
  values = [v for points in series.values() for _, v in points]
  last_step = max(s for points in series.values() for s, _ in points)
  axes = _Axes(last_step, min(values), max(values))
  width, height = _CURVE_SIZE
  return '<svg viewBox="0 0 %d %d" font-size="13">%s\n%s</svg>' % (
      width, height, axes.grid(), _lines(axes, series))


class _Axes:
  """Maps steps and values to the drawing, logarithmic upwards."""

  def __init__(self, last_step, low, high):
    self._last_step = max(last_step, 1)
    self._low = math.log10(low) - .05
    self._high = max(math.log10(high) + .05, self._low + .5)

  def x(self, step):
    left, _, right, _ = _CURVE_MARGINS
    return left + (_CURVE_SIZE[0] - left - right) * step / self._last_step

  def y(self, value):
    _, top, _, bottom = _CURVE_MARGINS
    part = (math.log10(value) - self._low) / (self._high - self._low)
    return _CURVE_SIZE[1] - bottom - part * (_CURVE_SIZE[1] - top - bottom)

  def grid(self):
    """Grid lines with their figures."""
    left, top, right, bottom = _CURVE_MARGINS
    line = '<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#ddd"/>'
    text = '<text x="%d" y="%d" text-anchor="%s" fill="#555">%s</text>'
    parts = []
    for exponent in range(math.floor(self._low), math.ceil(self._high) + 1):
      for digit in (1, 2, 5):
        value = digit * 10. ** exponent
        if self._low <= math.log10(value) <= self._high:
          y = self.y(value)
          parts.append(line % (left, y, _CURVE_SIZE[0] - right, y))
          parts.append(text % (left - 8, y + 4, 'end', '%g' % value))
    step_size = _round_number(self._last_step / 6.)
    for i in range(int(self._last_step / step_size) + 1):
      x = self.x(i * step_size)
      parts.append(line % (x, top, x, _CURVE_SIZE[1] - bottom))
      parts.append(text % (x, _CURVE_SIZE[1] - bottom + 18, 'middle',
                           '%d' % (i * step_size)))
    parts.append(text % ((left + _CURVE_SIZE[0] - right) / 2.,
                         _CURVE_SIZE[1] - 4, 'middle', 'step'))
    return '\n'.join(parts)


def _round_number(value):
  """The smallest of 1, 2, 5, 10, 20 ... that is not below a value."""
  power = 10. ** math.floor(math.log10(max(value, 1)))
  return next(d * power for d in (1, 2, 5, 10) if d * power >= value)


def _lines(axes, series):
  """The curves, each with its name at its end."""
  parts, label_ys = [], []
  by_height = sorted(series.items(), key=lambda item: axes.y(item[1][-1][1]))
  for i, (name, points) in enumerate(by_height):
    color = _CURVE_COLORS[i % len(_CURVE_COLORS)]
    path = ' '.join('%.1f,%.1f' % (axes.x(s), axes.y(v)) for s, v in points)
    parts.append('<polyline points="%s" fill="none" stroke="%s" '
                 'stroke-width="2"/>' % (path, color))
    step, value = points[-1]
    y = axes.y(value) + 4
    if label_ys:
      y = max(y, label_ys[-1] + 15)  # Labels do not overlap.
    label_ys.append(y)
    parts.append('<text x="%.1f" y="%.1f" fill="%s">%s %.3g</text>' % (
        axes.x(step) + 6, y, color, html.escape(name), value))
  return '\n'.join(parts)
