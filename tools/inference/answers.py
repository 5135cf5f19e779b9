"""What is taken from an answer: which of it, and as which rows and entries."""

import collections
import difflib
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from serving import networks
from utils import types

# What detections.csv holds, by task. Boxes are pixels of the upright image.
COLUMNS = {
    networks.DETECTION: ('image', 'class_id', 'class', 'score', 'x', 'y',
                         'width', 'height', 'image_width', 'image_height'),
    networks.CLASSIFICATION: ('image', 'class_id', 'class', 'score',
                              'image_width', 'image_height'),
    networks.SEGMENTATION: ('image', 'class_id', 'class', 'share', 'pixels',
                            'image_width', 'image_height')}


class Selection(NamedTuple):
  """Which results are shown.

  Attributes:
    min_score: those below are not.
    max_boxes: largest number of boxes of an image.
    classes: None: all.
  """
  min_score: float
  max_boxes: int
  classes: Optional[List[int]]


class Item(NamedTuple):
  """One object, class or segment.

  Attributes:
    class_id: its class id.
    name: name of the class.
    score: score of a segment, its share of the image.
  """
  class_id: int
  name: str
  score: float


class ClassError(ValueError):
  """A class that the model does not have."""


def class_ids(texts: Sequence[str], names: types.LabelMap,
              num_classes: Optional[int] = None) -> List[int]:
  """Class ids of what a person writes.

  Args:
    texts: [str], names or ids; several may stand in one, between commas.
    names: {class id: name}.
    num_classes: int, of the model, with the background; None: not known.

  Returns:
    [int], sorted.

  Raises:
    ClassError: naming what is not a class.
  """
  by_name = collections.defaultdict(list)
  for class_id, name in names.items():
    by_name[name].append(class_id)
  found = set()
  for text in texts:
    # A name may have a comma.
    for part in [text] if text in by_name else text.split(','):
      found.update(_ids_of(part.strip(), by_name, names, num_classes))
  return sorted(found)


def _ids_of(text, by_name, names, num_classes):
  if text in by_name:
    return by_name[text]
  if text.isdigit() and (int(text) in names or (
      not names and int(text) < (num_classes or float('inf')))):
    return [int(text)]
  if not names:
    raise ClassError(
        '%r is not a class: the model has no names (--label_map gives some), '
        'only ids%s.' % (text, ' up to %d' % (num_classes - 1)
                         if num_classes else ''))
  near = difflib.get_close_matches(text, by_name, 3)
  raise ClassError('%r is not a class. %s' % (
      text, 'Did you mean %s?' % ' or '.join(near) if near else
      'There are: %s.' % ', '.join(
          list(by_name)[:20] + ['...'] * (len(by_name) > 20))))


def select(result: Any, selection: Selection) -> Any:
  """The part of a result of serving.results that was asked for."""
  return result.filtered(selection.min_score, selection.max_boxes,
                         selection.classes)


def items(result: Any, task: str) -> List[Item]:
  """[Item] of a result, the best first."""
  scores = result.scores
  if task == networks.SEGMENTATION:
    scores = _pixels(result) / float(result.label_map.size)
  found = [Item(int(class_id), name, float(score)) for class_id, name, score
           in zip(result.classes, result.names, scores)]
  return sorted(found, key=lambda item: -item.score)


def rows(result: Any, task: str, image: str) -> List[Tuple[Any, ...]]:
  """Rows of `COLUMNS` of a result about an image of a name."""
  size = result.image_size[::-1]
  if task == networks.SEGMENTATION:
    return [(image, int(i), name, '%.4f' % (n / result.label_map.size), int(n))
            + size for i, name, n in zip(result.classes, result.names,
                                         _pixels(result))]
  found = [(image, int(class_id), name, '%.4f' % score) for
           class_id, name, score in zip(result.classes, result.names,
                                        result.scores)]
  if task == networks.DETECTION:
    found = [row + tuple('%.2f' % v for v in (x0, y0, x1 - x0, y1 - y0))
             for row, (y0, x0, y1, x1) in zip(found, result.boxes)]
  return [row + size for row in found]


def _pixels(result):
  """float64 [k], pixels of each class of a SegmentationResult."""
  return np.array([np.count_nonzero(result.label_map == i)
                   for i in result.classes], np.float64)
