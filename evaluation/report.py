"""Metrics for people (a table) and for programs (JSON)."""

import json
from typing import (
  Any,
  Collection,
  Dict,
  Mapping,
  Optional,
  Sequence,
  Tuple,
)

from evaluation import coco_metrics
from evaluation import lvis_metrics
from utils import files
from utils import types

# Column of the class table -> key of the category's value.
_COLUMNS = (('AP', 'Precision mAP ByCategory/%s'),
            ('AP50', 'Precision mAP ByCategory@50IoU/%s'),
            ('AP75', 'Precision mAP ByCategory@75IoU/%s'),
            ('APs', 'Precision mAP ByCategory (small)/%s'),
            ('APm', 'Precision mAP ByCategory (medium)/%s'),
            ('APl', 'Precision mAP ByCategory (large)/%s'),
            ('AR', 'Recall AR@100 ByCategory/%s'),
            ('AR', 'Recall AR@300 ByCategory/%s'))
_HEADINGS = {'': 'Boxes', 'mask_': 'Masks',
             'novel_mask_': 'Masks of novel classes',
             'seen_mask_': 'Masks of the other classes'}


def format_table(metrics: Mapping[str, float],
                 category_names: Mapping[types.Id, str],
                 num_objects: Optional[Mapping[types.Id, int]] = None,
                 messages: Sequence[str] = (),
                 extra_metrics: Collection[str] = ()) -> str:
  """Lays out metrics as text.

  Args:
    metrics: {metric: float} of `COCOEvaluator.evaluate`.
    category_names: {category id: name}.
    num_objects: {category id: number of objects}, a further column.
    messages: [str], written below the tables.
    extra_metrics: names of factory.EXTRA_METRICS that are among the metrics.

  Returns:
    str of several lines; a metric that is undefined (-1) is shown as '-'.
  """
  lines = []
  for prefix in sorted(_HEADINGS):
    if prefix + 'AP' not in metrics:
      continue
    lines += _overall(metrics, prefix)
    lines += _extra(metrics, prefix, extra_metrics) + ['']
    table = _by_category(metrics, prefix, category_names, num_objects)
    lines += table + [''] if table else []
  if any(v == coco_metrics.UNDEFINED for v in metrics.values()):
    lines.append('-: undefined, there is no such object in the set.')
  lines += ['Note: ' + message for message in messages]
  return '\n'.join(lines).rstrip() + '\n'


def _overall(metrics, prefix):
  """Precision above recall: rows of six figures, and of those asked for."""
  lines = [_HEADINGS[prefix]]
  names = coco_metrics.METRIC_NAMES
  if any(prefix + name not in metrics for name in names):
    names = lvis_metrics.METRIC_NAMES
  for row in filter(None, (names[:6], names[6:],
                           coco_metrics.limit_names(metrics, prefix))):
    lines.append('  '.join('%-8s %s' % (name, figure(metrics[prefix + name]))
                           for name in row))
  return lines


def _extra(metrics, prefix, extra_metrics):
  """Lines of six figures of each further metric, but for those of classes."""
  lines = []
  for extra in extra_metrics:
    begin = '%s%s_' % (prefix, extra)
    names = [n for n in metrics if n.startswith(begin) and
             coco_metrics.BY_CATEGORY not in n]
    lines += [extra] * bool(names)
    for start in range(0, len(names), 6):
      lines.append('  '.join(
          '%-8s %s' % (n[len(begin):], figure(metrics[n]))
          for n in names[start:start + 6]))
  return lines


def _by_category(metrics, prefix, category_names, num_objects):
  """A row for every category."""
  columns = [(title, prefix + key) for title, key in _COLUMNS
             if any(prefix + key % i in metrics for i in category_names)]
  if not columns:
    return []
  width = max([len('class')] + [len(n) for n in category_names.values()])
  count_title = ['%8s' % 'objects'] if num_objects else []
  lines = ['  '.join(['%5s' % 'id', 'class'.ljust(width)] + count_title
                     + ['%6s' % title for title, _ in columns])]
  for category, name in category_names.items():
    count = ['%8d' % num_objects.get(category, 0)] if num_objects else []
    lines.append('  '.join(
        ['%5s' % category, name.ljust(width)] + count
        + [figure(metrics.get(key % category)) for _, key in columns]))
  return lines


def format_class_table(lines: Sequence[str], title: str, count_title: str,
                       rows: Sequence[Tuple[types.Id, str, int, float]],
                       limit: Optional[int] = 30) -> str:
  """Lays out one figure for each class.

  Args:
    lines: [str], the lines above the table.
    title: the title of the figure.
    count_title: the title of the number next to it.
    rows: [(class id, name, number, figure)].
    limit: int, rows that are shown; None: all.

  Returns:
    str of several lines; a figure that is undefined (-1) is shown as '-'.
  """
  width = max([len('class')] + [len(name) for _, name, _, _ in rows])
  lines = list(lines) + ['', '%5s  %s  %10s  %8s' % (
      'id', 'class'.ljust(width), count_title, title)]
  for class_id, name, number, value in rows[:limit]:
    lines.append('%5d  %s  %10d  %8s' % (class_id, name.ljust(width), number,
                                         figure(value)))
  if limit is not None and len(rows) > limit:
    lines.append('... and %d more classes, all of them in metrics.json'
                 % (len(rows) - limit))
  if any(value == coco_metrics.UNDEFINED for *_, value in rows):
    lines.append('-: undefined, the class does not occur.')
  return '\n'.join(lines) + '\n'


def figure(value: float) -> str:
  """A metric as text; '-' if it is undefined."""
  if value is None or value == coco_metrics.UNDEFINED:
    return '     -'
  return '%6.4f' % value


def write_results(path: str, results: Sequence[Dict[str, Any]]) -> None:
  """Writes a COCO results list; one detection a line."""
  lines = [json.dumps(r, allow_nan=False) for r in results]
  files.write_atomically(path, '[%s]\n' % ',\n'.join(lines))
