"""What the report says about a detector."""

from typing import Any, Mapping, Optional, Tuple

import numpy as np

from configs import base
from evaluation import analysis as analysis_lib
from evaluation import coco_metrics
from evaluation import detections as detections_lib
from tools.report import analysis_inputs
from tools.report import analysis_page
from tools.report import evaluated_records
from tools.report import html_page
from utils import object_drawing

_METRICS = (('AP', 'AP'), ('AP50', 'AP50'), ('AP75', 'AP75'),
            ('APs', 'AP small'), ('APm', 'AP medium'), ('APl', 'AP large'),
            ('ARmax100', 'AR'))
_LVIS_METRICS = _METRICS[:-1] + (
    ('APr', 'AP rare'), ('APc', 'AP common'), ('APf', 'AP frequent'),
    ('AR@300', 'AR'))
_KINDS = (('', 'box'), ('mask_', 'mask'),
          ('novel_mask_', 'mask of novel classes'),
          ('seen_mask_', 'mask of the other classes'))
_CLASS_METRIC = 'Precision mAP ByCategory%s/%s'
_MOST_WORST = 6   # images of the most mistakes
_MOST_CURVES = 12  # classes that have a drawing
_FEW = 5  # detections that are drawn where no score is high enough
_MIN_SIZE = 512  # pixels; smaller images are enlarged


def content(config: base.Config, metrics: Mapping[str, Any], results: Any,
            num_images: int, min_score: Optional[float]) -> html_page.Content:
  """The parts that differ between kinds of models.

  Args:
    config: an experiment.
    metrics: {name: float} of its evaluation.
    results: the detections of the same evaluation, COCO results.
    num_images: number of images to show.
    min_score: detections below it are not drawn; None: below the score of the
      best F1 of their class.

  Returns:
    html_page.Content.
  """
  has_masks = any('segmentation' in d for d in results)
  source = analysis_inputs.of_experiment(config, results, has_masks)
  run = analysis_page.make_run('now', source.annotations, source.detections,
                               'bbox')
  scores = run.analysis.min_scores if min_score is None else np.full(
      run.analysis.min_scores.shape, min_score)
  drawings = _Drawings(source, scores, min_score)
  figures = ' and '.join('%s AP %s' % (
      kind, html_page.figure_text(metrics[prefix + 'AP']))
                         for prefix, kind in _KINDS if prefix + 'AP' in metrics)
  return html_page.Content(
      figures.capitalize().replace(' ap ', ' AP '),
      len(source.annotations.image_ids),
      _metric_table(metrics, config.eval.type.startswith('lvis'))
      + _class_table(metrics, run) + _curves(run)
      + _confusions(run),
      _worst_images(run, drawings, min(num_images, _MOST_WORST))
      + [html_page.heading('Images it was not trained on'),
         html_page.paragraph('Taken at equal distances from all of them.'),
         drawings.show(evaluated_records.spread(
             range(len(source.annotations.image_ids)), num_images))],
      source.messages)


def _metric_table(metrics, is_lvis):
  """A row for boxes, one for masks, and two where classes are told apart."""
  columns = (_LVIS_METRICS if is_lvis else _METRICS) + tuple(
      (name, name) for name in coco_metrics.limit_names(metrics))
  limits = (
      'Rare categories are in up to 10 images of the training set, common ones '
      'in up to 100. AR is the share of objects that 300 detections per image '
      'find, the best of all classes together; AP counts as many.'
  ) if is_lvis else (
      'AR is the share of objects that 100 detections per image find. All '
      'count the 100 best detections per image and class; those with max in '
      'their name count as many as the name says.')
  rows = [[kind] + [metrics.get(prefix + key) for key, _ in columns]
          for prefix, kind in _KINDS if prefix + 'AP' in metrics]
  return [
      html_page.heading('Average precision'),
      html_page.table([''] + [title for _, title in columns], rows),
      html_page.paragraph(
          'AP is the precision averaged over recall, classes and the overlaps '
          '0.50 to 0.95 that count as found; AP50 and AP75 take one overlap. '
          'Small is below 32 x 32 pixels, large from 96 x 96 on; "–": there is '
          'no such object. ' + limits)]


def _class_table(metrics, run):
  """A row for every class."""
  annotations = run.analysis.annotations
  counts = annotations.num_objects()
  columns = [(prefix + _CLASS_METRIC, title, kind) for prefix, kind in _KINDS
             for title in ('', '@50IoU')
             if any(prefix + _CLASS_METRIC % (title, i) in metrics
                    for i in counts)]
  titles = ['class', 'objects'] + [
      '%s AP%s' % (kind, '50' if title else '') for _, title, kind in columns
  ] + ['best F1', 'from score', 'precision', 'recall', 'most often taken for']
  found = {row['id']: row for row in analysis_page.class_rows(run)}
  rows = []
  for i, name in sorted(zip(annotations.category_ids,
                            annotations.category_names)):
    own = found.get(i, {})
    rows.append([name, counts[i]] + [
        metrics.get(key % (title, i)) for key, title, _ in columns] + [
            own.get(key) for key in ('f1', 'score', 'precision', 'recall')
        ] + [own.get('confused', '')])
  return [
      html_page.heading('By class'), html_page.table(titles, rows),
      html_page.paragraph(
          'F1 is the harmonic mean of precision and recall at an overlap of '
          '0.5. From the score next to it on, detections of the class give the '
          'best F1: a threshold to use in practice, with this precision and '
          'recall.')]


def _curves(run):
  return [html_page.heading('Precision and recall'),
          html_page.Block('curves', {
              'charts': analysis_page.curves(run, _MOST_CURVES),
              'num_classes': len(run.analysis.annotations.category_ids)})]


def _confusions(run):
  return [html_page.heading('Which class is taken for which'),
          html_page.paragraph(
              'Boxes at an overlap of 0.5, from the scores above on. Rows: '
              'what is there; columns: what the model says.'),
          html_page.Block('confusion', analysis_page.confusions(run))]


def _worst_images(run, drawings, count):
  """Images of the most mistakes, the worst first."""
  images = run.analysis.images
  rows = analysis_lib.worst_images(images.false + images.missed, count)
  if not len(rows):
    return []
  return [html_page.heading('The worst images'),
          html_page.paragraph(
              'Those with the most mistakes, from the scores of the best F1 '
              'on: objects that are not found and detections of nothing. The '
              'command python -m tools.analyze_detections --model_dir=... '
              'sorts them by the kind of mistake.'),
          drawings.show(rows.tolist(), lambda row: '%d not found, %d wrong' % (
              images.missed[row], images.false[row]))]


class _Drawings:
  """Draws images: ground truth next to detections."""

  def __init__(self, source, min_scores, min_score):
    self._source, self._min_scores = source, min_scores
    self._threshold = ('the score of the best F1' if min_score is None
                       else 'the score %g' % min_score)
    self._names = dict(enumerate(source.annotations.category_names))

  def show(self, rows, verdict=None):
    """Block of the images `rows`; verdict: (row) -> str, or None."""
    pixels = self._source.load_images(rows)
    figures = []
    for row in rows:
      annotations = self._source.annotations
      known = np.flatnonzero(annotations.images == row)
      found, text = shown_detections(self._source.detections, row,
                                     self._min_scores, self._threshold)
      caption = 'image %s' % annotations.image_ids[row]
      if verdict:
        caption += ': ' + verdict(row)
      figures.append(html_page.figure(caption, [
          (self._draw(pixels[row], annotations, known, None),
           '%d known objects' % len(known)),
          (self._draw(pixels[row], self._source.detections, found,
                      self._source.detections.scores[found]), text)]))
    return html_page.images(figures)

  def _draw(self, image, columns, rows, scores):
    """Draws some of the annotations or detections."""
    rles = None
    if columns.rles is not None:
      rles = [columns.rles[i] for i in rows]
    return object_drawing.draw(
        image, columns.boxes[rows], columns.categories[rows], scores,
        self._names, rles, min_size=_MIN_SIZE, max_boxes=max(1, len(rows)),
        # Of one class, its colour would melt neighbours together.
        color_objects=len(self._names) == 1)


def shown_detections(detections: detections_lib.Detections, row: int,
                     min_scores: np.ndarray, threshold: str
                     ) -> Tuple[np.ndarray, str]:
  """What of the detections of an image is drawn, and what is said about it.

  A model that has learnt little would leave the image empty, which looks as if
  nothing worked: its best detections are drawn then.

  Args:
    detections: `detections.Detections`.
    row: int, of the image.
    min_scores: float64 [C].
    threshold: name of these scores in the sentence.

  Returns:
    int64 [n], rows of the detections; str.
  """
  own = np.flatnonzero(detections.images == row)
  chosen = own[analysis_lib.is_chosen(detections, min_scores)[own]]
  if len(chosen):
    return chosen, '%d detections with at least %s' % (
        len(chosen), threshold)
  if not len(own):
    return own, 'no detection at all'
  scores = detections.scores
  best = own[np.argsort(-scores[own], kind='mergesort')[:_FEW]]
  return best, 'none reaches %s; the best %d, of %.2g and less' % (
      threshold, len(best), scores[best[0]])
