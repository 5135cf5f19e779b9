"""Writes answers as they come: drawn images, JSON, CSV, and a page at the end.

Files of a run become visible when they are complete.
"""

import argparse
import contextlib
import csv
import json
import os
import re
from typing import Any, Dict, Optional, Sequence, Tuple

import cv2
import numpy as np

from serving import networks
from tools.inference import answers
from tools.inference import page
from utils import files
from utils import types

DRAWN = 'drawn'  # folder of the drawn images
DETECTIONS, TABLE, PAGE = 'detections.json', 'detections.csv', 'index.html'

_MIN_SIZE = 512  # pixels of the longer side, below which text is unreadable
_JPEG_QUALITY = 92
_JPEG_LONGEST = 65500  # pixels of a side; of longer ones a PNG is made
_NAME_BYTES = 120  # of a written file; file systems take some 250


class Names:
  """Names for files, safe and different ones."""

  def __init__(self) -> None:
    self._taken = set()

  def make(self, name: str, ending: str) -> str:
    """A file name that reads like `name`, whatever is in it."""
    stem = re.sub(r'[^\w.-]+', '_', os.path.splitext(str(name))[0])
    stem = stem.encode('utf-8')[:_NAME_BYTES].decode('utf-8', 'ignore')
    stem = stem.strip('._-') or 'image'
    made, number = stem + ending, 1
    while made.lower() in self._taken:
      number += 1
      made = '%s-%d%s' % (stem, number, ending)
    self._taken.add(made.lower())
    return made


def draw(result: Any, min_size: int = _MIN_SIZE,
         max_boxes: Optional[int] = None) -> np.ndarray:
  """The image of a result with what was found, uint8 RGB.

  Args:
    result: a result of serving.results.
    min_size: int, pixels; smaller images are enlarged.
    max_boxes: int, at most so many objects are drawn; None: those there are.
  """
  options = {'min_size': min_size}
  if hasattr(result, 'boxes'):
    options['max_boxes'] = max_boxes or max(1, len(result))
    # With masks of one class, its colour would melt neighbours together.
    options['color_objects'] = (result.masks is not None
                                and len(result.class_names) == 1)
  return result.draw(**options)


def thumbnail(result: Any, longest: int) -> Tuple[bytes, int, int]:
  """(JPEG bytes, width, height): drawn at that size, so that text is read."""
  small = page.thumbnail(result.image, longest)
  drawn = draw(result.resized(small), longest)
  height, width = drawn.shape[:2]
  return page.jpeg(drawn), width, height


def write_image(path: str, image: np.ndarray) -> None:
  """Writes uint8 RGB as JPEG, or as PNG where the name ends so."""
  encoded = cv2.imencode(
      os.path.splitext(path)[1], np.ascontiguousarray(image[:, :, ::-1]),
      [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
  files.write_atomically(path, encoded.tobytes())


class Outputs:
  """Where answers go.

  Used as a context: the files are complete when it is left without an error.
  """

  def __init__(self, folder: Optional[str], page_path: Optional[str], task: str,
               options: argparse.Namespace) -> None:
    """Takes where and how to write.

    Args:
      folder: folder of all files; None: only the page is written.
      page_path: path of the page; None: `PAGE` in the folder.
      task: one of the tasks of serving.networks.
      options: with drawn and video (endings of drawn images, '' for none, and
        of videos), thumbnail_size and page_images.
    """
    self._folder, self._task, self._options = folder, task, options
    self.page_path = page_path or os.path.join(folder, PAGE)
    self._stack, self._names = contextlib.ExitStack(), Names()
    self.cards, self.failures = [], []
    self.num_answered = self.num_found = self._num_cards = 0
    self._json = self._csv = None

  def __enter__(self):
    if self._folder:
      os.makedirs(os.path.join(self._folder, DRAWN), exist_ok=True)
      self._json = self._open(DETECTIONS)
      self._json.write('[')
      self._separator = '\n'
      self._csv = csv.writer(self._open(TABLE))
      self._csv.writerow(answers.COLUMNS[self._task])
    return self

  def _open(self, name):
    path = self._stack.enter_context(files.atomic_path(
        os.path.join(self._folder, name)))
    return self._stack.enter_context(open(path, 'w', encoding='utf-8',
                                             newline=''))

  def __exit__(self, *error):
    if not error[0] and self._json:
      self._json.write('\n]\n')
    self._stack.__exit__(*error)

  @property
  def draws(self) -> bool:
    """Whether drawn images are written."""
    return bool(self._folder and self._options.drawn)

  def drawn_path(self, image_id: types.Id, size: Tuple[int, int] = (0, 0),
                 ending: Optional[str] = None) -> Tuple[str, str]:
    """(path, path relative to the page) of a file to draw into."""
    ending = ending or '.' + self._options.drawn
    if max(size) > _JPEG_LONGEST:
      ending = '.png'
    path = os.path.join(self._folder, DRAWN, self._names.make(image_id, ending))
    return path, os.path.relpath(path, os.path.dirname(
        os.path.abspath(self.page_path))).replace(os.sep, '/')

  def make_card(self, image_id: types.Id, result: Any,
                link: Optional[str] = None, note: str = '') -> page.Card:
    """page.Card of a result; runs in any thread."""
    return page.Card(
        str(image_id), *thumbnail(result, self._options.thumbnail_size),
        size=result.image_size, items=answers.items(result, self._task),
        link=link, note=note)

  def add(self, image_id: int, result: Any,
          entries: Sequence[Dict[str, Any]]) -> None:
    """Appends an answer to the JSON and the CSV.

    Args:
      image_id: int or str.
      result: a result of serving.results, the part that was asked for.
      entries: [dict] of it, see serving.results.
    """
    self.num_answered += 1
    self.num_found += len(result.classes)
    if self._json:
      for entry in entries:
        self._json.write(self._separator + json.dumps(entry))
        self._separator = ',\n'
      self._csv.writerows(answers.rows(result, self._task, image_id))

  @property
  def video(self) -> str:
    """Ending of drawn videos."""
    return self._options.video

  def has_room(self) -> bool:
    """Whether the page takes another card; counts it as one."""
    self._num_cards += 1
    return self._num_cards <= self._options.page_images

  def found_text(self) -> str:
    """How much was found, in the words of the task."""
    return '%d %s' % (self.num_found, {
        networks.DETECTION: 'objects', networks.CLASSIFICATION: 'classes',
        networks.SEGMENTATION: 'segments'}[self._task])

  def write_page(self, title: str, summary: Sequence[str]) -> None:
    """Writes the page; see page.render."""
    text = page.render(
        title, summary, self.cards, self.failures,
        max(0, self._num_cards - len(self.cards)),
        'share' if self._task == networks.SEGMENTATION else 'score')
    files.write_atomically(self.page_path, text.encode('utf-8'))
