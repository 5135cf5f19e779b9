"""What the report says about a classifier."""

import collections
from typing import Any, Mapping

from configs import base
from tools.report import evaluated_records
from tools.report import html_page

_MAX_CONFUSION = 20  # classes; a larger table is of no use
_CLASS_METRIC = 'eval/accuracy_class_%d'


def content(config: base.Config, metrics: Mapping[str, Any], results: Any,
            num_images: int) -> html_page.Content:
  """The parts that differ between kinds of models.

  Args:
    config: an experiment.
    metrics: {name: float} of its evaluation.
    results: those of the same evaluation; see
      evaluation.classification_evaluator.
    num_images: number of images to show of each kind.

  Returns:
    html_page.Content.
  """
  names = evaluated_records.class_names(config)
  def name(class_id):
    return names.get(class_id, str(class_id))
  counts = collections.Counter(r['label'] for r in results)
  tables = [
      html_page.heading('Accuracy'),
      html_page.table(['', 'share of the images'], [
          ['the best class is right', metrics['top_1_accuracy']],
          ['one of the best five is', metrics['top_5_accuracy']]]),
      html_page.heading('By class'),
      html_page.table(['class', 'images', 'accuracy'], [
          [name(i), counts[i], metrics.get(_CLASS_METRIC % i)]
          for i in sorted(counts)])]
  if len(counts) <= _MAX_CONFUSION:
    tables += _confusion(results, sorted(counts), name)
  # What it is surest of and wrong about comes first.
  wrong = sorted((i for i, r in enumerate(results)
                  if r['category_id'] != r['label']),
                 key=lambda i: -results[i]['score'])
  images = [html_page.heading('Images it was not trained on'), _grid(
      config, results, evaluated_records.spread(range(len(results)),
                                                num_images), name)]
  if wrong:
    images += [
        html_page.heading('Misclassified images'),
        html_page.paragraph(
            '%d of %d images%s, those with the highest scores first.' % (
                len(wrong), len(results), '; %d of them' % num_images
                if len(wrong) > num_images else '')),
        _grid(config, results, wrong[:num_images], name)]
  return html_page.Content(
      'Top-1 accuracy %s' % html_page.figure_text(metrics['top_1_accuracy']),
      len(results), tables, images)


def _confusion(results, classes, name):
  """How often each class was taken for which."""
  pairs = collections.Counter((r['label'], r['category_id']) for r in results)
  columns = sorted(set(classes) | {r['category_id'] for r in results})
  return [
      html_page.heading('Confusions'),
      html_page.paragraph('A row for each true class, a column for each '
                          'predicted class; numbers of images.'),
      html_page.table([''] + [name(c) for c in columns], [
          [name(i)] + [pairs[i, c] for c in columns] for i in classes])]


def _grid(config, results, rows, name):
  """Images with what they show and what the model said."""
  figures = []
  pixels = {row: image for row, image, _ in evaluated_records.images(
      config, rows)}
  for row in rows:
    image, result = pixels[row], results[row]
    said = '%s %.2f' % (name(result['category_id']), result['score'])
    caption = said if result['category_id'] == result['label'] else (
        '%s, classified as %s' % (name(result['label']), said))
    figures.append(html_page.figure(caption, [(image, '')]))
  return html_page.images(figures, small=True)
