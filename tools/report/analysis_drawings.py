"""Images of tools.analyze_detections: ground truth next to detections."""

import cv2
import numpy as np

from evaluation import analysis as analysis_lib
from evaluation import tide
from tools.report import analysis_page
from tools.report import html_page
from utils import object_drawing

_LONGEST = 480  # pixels of the longer side
_GREY = 210  # of an image that is not there
_UNKNOWN_SIZE = (400, 400)


class Drawings:
  """Draws images of runs; each is read once."""

  def __init__(self, source, runs, columns, include_mask, count):
    """Chooses the images and reads them.

    Args:
      source: analysis_inputs.Source.
      runs: [analysis_page.Run], one or two.
      columns: [detections.Detections] of the runs.
      include_mask: whether masks are drawn.
      count: int, images of a kind.
    """
    self._runs, self._columns, self._count = runs, columns, count
    self._include_mask = include_mask
    self._annotations = source.annotations
    self._mistakes = analysis_page.mistakes_by_image(runs[-1], columns[-1])
    rows = {int(row) for kind in tide.KINDS for row in self._worst_rows(kind)}
    if len(runs) > 1:
      changes = analysis_lib.compare(*(run.analysis.images for run in runs))
      for one in (changes.better, changes.worse):
        rows |= {int(row) for row in one[:count]}
    self._images = source.load_images(sorted(rows))

  def _worst_rows(self, kind):
    return analysis_lib.worst_images(self._mistakes[kind], self._count)

  def worst(self, kind):
    """[html_page.Figure] of the images with the most errors of a kind."""
    return [html_page.Figure(
        'image %s: %d of this kind' % (self._annotations.image_ids[row],
                                       self._mistakes[kind][row]),
        [self._known(row), self._found(row, -1)])
            for row in self._worst_rows(kind)]

  def changed(self, rows, f1_change):
    """[html_page.Figure] of images in two runs.

    Args:
      rows: int [n], those that changed most first.
      f1_change: float [I].
    """
    return [html_page.Figure(
        'image %s: F1 %+.2f' % (self._annotations.image_ids[row],
                                f1_change[row]),
        [self._known(row), self._found(row, 0, 'before'),
         self._found(row, 1, 'after')]) for row in rows[:self._count]]

  def _known(self, row):
    """(JPEG bytes, text) of the ground truth."""
    a = self._annotations
    objects = np.flatnonzero(a.images == row)
    return self._draw(row, a, objects, None), '%d known objects' % len(objects)

  def _found(self, row, run, text='found'):
    """(JPEG bytes, text) of the detections at the chosen scores."""
    columns = self._columns[run]
    chosen = np.flatnonzero((columns.images == row) & analysis_lib.is_chosen(
        columns, self._runs[run].analysis.min_scores))
    return (self._draw(row, columns, chosen, columns.scores[chosen]),
            '%s: %d detections' % (text, len(chosen)))

  def _draw(self, row, columns, rows, scores):
    """JPEG bytes of an image with some of the annotations or detections."""
    image = self._images.get(row)
    size = self._annotations.image_sizes[row] or _UNKNOWN_SIZE
    if image is None:
      image = np.full(tuple(size) + (3,), _GREY, np.uint8)
    scale = min(1., _LONGEST / float(max(image.shape[:2])))
    if scale < 1:
      image = cv2.resize(image, None, fx=scale, fy=scale,
                         interpolation=cv2.INTER_AREA)
    drawn = object_drawing.draw(
        image, columns.boxes[rows] * scale, columns.categories[rows], scores,
        dict(enumerate(self._annotations.category_names)),
        [columns.rles[i] for i in rows] if self._include_mask else None,
        min_size=_LONGEST)
    return html_page.jpeg(drawn)
