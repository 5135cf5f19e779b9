"""Pages that need no other file: what stands on them, and how it becomes HTML.

Names of files and classes come from anywhere: Jinja2 escapes all of them, and a
policy in the page keeps the browser from running or fetching anything.
"""

import base64
import os
from typing import (
  Any,
  Iterable,
  List,
  NamedTuple,
  Optional,
  Sequence,
  Tuple,
)

import cv2
import jinja2
import numpy as np

from tools.report import charts
from utils import types

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_POLICY = ("default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
           "base-uri 'none'; form-action 'none'")
_JPEG_QUALITY = 85


class Block(NamedTuple):
  """A part of a page.

  Attributes:
    kind: a name that report.html.j2 knows.
    content: what is shown there.
  """
  kind: str
  content: Any


class Figure(NamedTuple):
  """An image, or several versions of it side by side.

  Attributes:
    caption: str, below all of them.
    parts: [(JPEG bytes, str)].
  """
  caption: str
  parts: List[Tuple[bytes, str]]


class Table(NamedTuple):
  """Attributes: titles [str]; rows [[str, int, float or None]]."""
  titles: Sequence[str]
  rows: Sequence[Sequence[Any]]


class Images(NamedTuple):
  """Attributes: figures [Figure]; small: whether many stand in a row."""
  figures: Sequence[Figure]
  small: bool


class Folded(NamedTuple):
  """Text of many lines, folded away below a summary."""
  summary: str
  text: str


class Content(NamedTuple):
  """What differs between kinds of models.

  Attributes:
    figures: figures of the headline.
    num_images: that were evaluated.
    tables: [Block].
    images: [Block].
    notes: [str], what a person should know about the data.
  """
  figures: str
  num_images: int
  tables: List[Block]
  images: List[Block]
  notes: Sequence[str] = ()


def page(title: str, blocks: Iterable[Block],
         facts: Sequence[Tuple[str, str]] = (),
         notes: Sequence[str] = ()) -> str:
  """A complete page.

  Args:
    title: str.
    blocks: [Block].
    facts: [(name, value)], a table at the top.
    notes: [str], what a person should know first.

  Returns:
    HTML text.
  """
  return render('report.html.j2', title=title, facts=facts, notes=notes,
                blocks=list(blocks))


def render(template: str, **values: Any) -> str:
  """HTML text of a template of this folder."""
  environment = jinja2.Environment(
      loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True,
      undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
  environment.filters['figure'] = figure_text
  environment.filters['base64'] = lambda data: base64.b64encode(data).decode()
  return environment.get_template(template).render(policy=_POLICY, **values)


def figure_text(value: Optional[float]) -> str:
  """A metric as text; -1 stands for one that is undefined."""
  return '–' if value is None or value < 0 else '%.3f' % value


def heading(text: str) -> Block:
  return Block('heading', text)


def headline(text: str) -> Block:
  return Block('headline', text)


def paragraph(text: str) -> Block:
  return Block('text', text)


def folded(summary: str, text: str) -> Block:
  return Block('folded', Folded(summary, text))


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> Block:
  """A table; numbers are set to the right.

  Args:
    titles: [str].
    rows: [[str, int or float]]; floats are metrics, None is undefined.
  """
  return Block('table', Table(titles, rows))


def images(figures: Sequence[Figure], small: bool = False) -> Block:
  """Images with captions, small ones in rows.

  Args:
    figures: [Figure].
    small: bool.
  """
  return Block('images', Images(figures, small))


def colors(entries: Sequence[Tuple[str, types.Color]]) -> Block:
  """Names next to their colours.

  Args:
    entries: [(str, (red, green, blue))].
  """
  return Block('colors', [(text, tuple(int(v) for v in color))
                          for text, color in entries])


def curves(series: Any) -> Block:
  """Curves over the training steps, or a sentence that there are none.

  Args:
    series: see charts.over_steps.
  """
  chart = charts.over_steps(series)
  return Block('chart', chart) if chart else paragraph(
      'There is no record of the training run here.')


def figure(caption: str,
           parts: Sequence[Tuple[np.ndarray, str]]) -> Figure:
  """Figure of images.

  Args:
    caption: str.
    parts: [(uint8 [h, w, 3], RGB; str)].
  """
  return Figure(caption, [(jpeg(image), text) for image, text in parts])


def jpeg(image: np.ndarray) -> bytes:
  """JPEG bytes of uint8 [h, w, 3], RGB."""
  # With colours of half the size, thin lines would lose theirs.
  return cv2.imencode('.jpg', np.ascontiguousarray(image[:, :, ::-1]), [
      cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY,
      cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
      cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444])[1].tobytes()
