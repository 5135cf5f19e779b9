"""One page of what a model sees in many images; it needs no other file.

Names of files and classes come from anywhere: Jinja2 escapes all of them, and a
policy in the page keeps the browser from running or fetching anything else.
"""

import base64
import collections
import hashlib
import os
from typing import NamedTuple, Optional, Sequence, Tuple
import urllib.parse

import cv2
import jinja2
import numpy as np

from tools.inference import answers
from utils import drawing

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_JPEG_QUALITY = 85


class Card(NamedTuple):
  """One image or video on the page.

  Attributes:
    name: name of the file.
    thumbnail: JPEG.
    width: width of the thumbnail.
    height: height of the thumbnail.
    size: (height, width) of the image.
    items: the best first.
    link: path of the drawn image, relative to the page, or None.
    note: a sentence, or ''.
  """
  name: str
  thumbnail: bytes
  width: int
  height: int
  size: Tuple[int, int]
  items: Sequence[answers.Item]
  link: Optional[str]
  note: str


def thumbnail(image: np.ndarray, longest: int) -> np.ndarray:
  """Shrinks an image; small ones stay as they are.

  Args:
    image: uint8 [H, W, 3].
    longest: int, pixels of its longer side.

  Returns:
    uint8 [h, w, 3].
  """
  scale = longest / float(max(image.shape[:2]))
  if scale >= 1:
    return image
  height, width = (max(1, int(round(scale * side)))
                   for side in image.shape[:2])
  return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def jpeg(image: np.ndarray, quality: int = _JPEG_QUALITY) -> bytes:
  """Bytes of uint8 [H, W, 3], RGB."""
  return cv2.imencode('.jpg', np.ascontiguousarray(image[:, :, ::-1]), [
      cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def render(title: str, summary: Sequence[str], cards: Sequence[Card],
           failures: Sequence[str], num_left_out: int = 0,
           score_name: str = 'score') -> str:
  """The page.

  Args:
    title: str.
    summary: [str], sentences about the run.
    cards: [Card].
    failures: [str], sentences about what could not be read.
    num_left_out: int, images that the page does not show.
    score_name: name of the figures of the items.

  Returns:
    str, HTML.
  """
  names = collections.OrderedDict()
  for item in sorted((i for card in cards for i in card.items),
                     key=lambda i: i.class_id):
    names[item.class_id] = item.name
  script, style = _read('page.js'), _read('page.css')
  return _template().render(
      title=title, summary=summary, failures=failures, score_name=score_name,
      num_left_out=num_left_out, script=script, style=style,
      policy=_policy(script), classes=list(names.items()),
      cards=[_values(card, score_name) for card in cards])


def _read(name):
  with open(os.path.join(_FOLDER, name), encoding='utf-8') as f:
    return f.read()


def _template():
  environment = jinja2.Environment(
      loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True,
      undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
  return environment.get_template('page.html.j2')


def _policy(script):
  """A content security policy: this script, its style, images in the page."""
  digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  return ("default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
          "script-src 'sha256-%s'; base-uri 'none'; form-action 'none'"
          % digest)


def _values(card, score_name):
  """What the template shows of a card."""
  groups = collections.OrderedDict()
  for item in card.items:
    groups.setdefault(item.class_id, []).append(item)
  return {
      'name': card.name, 'note': card.note, 'width': card.width,
      'height': card.height, 'size': '%d × %d' % tuple(card.size[::-1]),
      'image': base64.b64encode(card.thumbnail).decode('ascii'),
      'link': card.link and urllib.parse.quote(card.link),
      'items': [[item.class_id, round(item.score, 4)] for item in card.items],
      'chips': [{'class_id': class_id, 'name': group[0].name,
                 'color': '#%02x%02x%02x' % drawing.class_color(class_id),
                 'text': chip_text(len(group), group[0].score, score_name)}
                for class_id, group in groups.items()]}


def chip_text(count: int, best: float, score_name: str) -> str:
  """Of the objects of a class: how many, and the best score."""
  if score_name == 'share':
    return '%.1f %%' % (100 * best)
  return '%.2f' % best if count == 1 else '%d, best %.2f' % (count, best)
