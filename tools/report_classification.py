"""What the report says about a classifier."""

import collections

from tools import report_page
from tools import report_records

_MAX_CONFUSION = 20  # classes; a larger table is no use
_CLASS_METRIC = 'eval/accuracy_class_%d'


def content(config, metrics, results, num_pictures):
  """The parts that differ between kinds of models.

  Args:
    config: an experiment.
    metrics: {name: float} of its evaluation.
    results: of the same evaluation; see evaluation.classification_evaluator.
    num_pictures: how many pictures are shown of each kind.

  Returns:
    report_page.Content.
  """
  names = report_records.class_names(config)
  def name(class_id):
    return names.get(class_id, str(class_id))
  counts = collections.Counter(r['label'] for r in results)
  tables = [
      report_page.heading('Accuracy'),
      report_page.table(['', 'share of the pictures'], [
          ['the best class is right', metrics['top_1_accuracy']],
          ['one of the best five is', metrics['top_5_accuracy']]]),
      report_page.heading('By class'),
      report_page.table(['class', 'pictures', 'accuracy'], [
          [name(i), counts[i], metrics.get(_CLASS_METRIC % i)]
          for i in sorted(counts)])]
  if len(counts) <= _MAX_CONFUSION:
    tables += _confusion(results, sorted(counts), name)
  wrong = [i for i, r in enumerate(results) if r['category_id'] != r['label']]
  pictures = [_grid(config, results, report_records.spread(
      range(len(results)), num_pictures), name)]
  if wrong:
    pictures += [
        report_page.heading('Pictures it got wrong'),
        report_page.paragraph('%d of %d pictures; some of them.' % (
            len(wrong), len(results))),
        _grid(config, results, report_records.spread(wrong, num_pictures),
              name)]
  return report_page.Content(
      'Top-1 accuracy %s' % report_page.figure_text(metrics['top_1_accuracy']),
      len(results), tables, pictures)


def _confusion(results, classes, name):
  """How often each class was taken for which."""
  pairs = collections.Counter((r['label'], r['category_id']) for r in results)
  columns = sorted(set(classes) | {r['category_id'] for r in results})
  return [
      report_page.heading('What was taken for what'),
      report_page.paragraph('A row for each true class, a column for what the '
                            'model said; numbers of pictures.'),
      report_page.table([''] + [name(c) for c in columns], [
          [name(i)] + [pairs[i, c] for c in columns] for i in classes])]


def _grid(config, results, rows, name):
  """Pictures with what they show and what the model said."""
  figures = []
  for row, picture, _ in report_records.pictures(config, rows):
    result = results[row]
    said = '%s %.2f' % (name(result['category_id']), result['score'])
    caption = said if result['category_id'] == result['label'] else (
        '%s, taken for %s' % (name(result['label']), said))
    figures.append((picture, caption))
  return report_page.picture_grid(figures)
