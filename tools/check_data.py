"""Checks the records of a data set against a configuration.

  python -m tools.check_data --model=retinanet \\
      --params_override="train.train_file_pattern=/data/train*,\\
architecture.num_classes=4" --html=report.html

Looks for class ids out of range, of the background or without an object;
inverted, outlying, empty or exchanged boxes; ids that occur twice; missing,
empty or line-like masks; images that TensorFlow cannot decode, that a camera
turned, that have no objects, or more than labels hold; objects that no anchor
fits; and sets from which nothing can be learnt: all crowds, all ignored, one
class, copies. Images of eval.eval_file_pattern that are trained on, too, are
counted (not with --records or --max_records). For classifiers and segmentation
it checks labels and label maps. Prints one line for each kind of finding with
its first example, and how random the order is in which training will read the
records.

Exit status: 0 no errors; 1 errors; 2 nothing could be checked.
"""

import collections
import json
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence

from absl import app
from absl import flags

from configs import base
from configs import factory

FLAGS = flags.FLAGS
flags.DEFINE_string('model', factory.DEFAULT_MODEL,
                    'Name of the model. Not needed where the configuration '
                    'sets `type`.')
flags.DEFINE_string('config_file', None, 'YAML file over the defaults.')
flags.DEFINE_string('params_override', None,
                    'YAML text, a.b=c pairs, or a file, over --config_file.')
flags.DEFINE_string('records', None, 'Pattern of the records; by default '
                    'train.train_file_pattern of the configuration.')
flags.DEFINE_integer('max_records', None, 'How many to read; by default all.',
                     lower_bound=1)
flags.DEFINE_bool('decode', True, 'Whether to decode images and masks, which '
                  'takes most of the time.')
flags.DEFINE_string('json', None, 'File for all findings and figures.')
flags.DEFINE_string('html', None, 'File for a page with the same.')

_MAX_ROWS = 200  # findings on the page; the JSON file has all


def check_records(config: base.Config, pattern: str, key: str,
                  max_records: Optional[int] = None,
                  decode: bool = True,
                  eval_pattern: Optional[str] = None) -> Any:
  """Reads and checks records.

  Args:
    config: an experiment.
    pattern: the pattern of the files.
    key: configuration key or flag of the pattern, for the error.
    max_records: int; None: all.
    decode: whether images and masks are decoded.
    eval_pattern: records of the evaluation, of which the images are compared
      with these; None: they are not.

  Returns:
    Any, finished.

  Raises:
    ValueError: when files are missing or cut off.
  """
  import tqdm

  from dataloader import data_checks
  from dataloader import file_patterns
  from dataloader import record_counts
  from dataloader import record_files
  checker = data_checks.for_config(config, decode)
  files = file_patterns.expand(pattern, key)
  record_counts.check_whole(files)
  for path, number, serialized in tqdm.tqdm(
      record_files.iterate(files, max_records), 'Checking', max_records,
      unit=' records', delay=5):
    checker.check(path, number, serialized)
  if eval_pattern:
    try:
      others = file_patterns.expand(eval_pattern, 'eval.eval_file_pattern')
      for path, number, serialized in tqdm.tqdm(
          record_files.iterate(others), 'Comparing', unit=' records', delay=5):
        checker.compare(path, number, serialized)
    except (ValueError, OSError) as e:
      checker.not_compared(str(e))
  checker.finish()
  return checker


def summary(checker: Any) -> Dict[str, Any]:
  """What was found: a dict of plain values for JSON."""
  return {
      'num_records': checker.num_records,
      'num_objects': sum(checker.class_counts.values()),
      'num_crowds': checker.num_crowds,
      'num_images_without_objects': checker.num_without_objects,
      'most_objects': max(checker.object_counts or [0]),
      'objects_by_class': {str(k): v for k, v in sorted(
          checker.class_counts.items())},
      'objects_by_size': dict(checker.size_counts),
      'share_without_anchor': checker.share_without_anchor(),
      'findings': [f._asdict() for f in checker.findings]}


def lines(checker: Any) -> List[str]:
  """The findings as text, one line for each kind."""
  kinds = collections.OrderedDict()
  for finding in checker.findings:
    kinds.setdefault((finding.level, finding.check), []).append(finding)
  result = ['%d records, %d %s of %d classes.' % (
      checker.num_records, sum(checker.class_counts.values()), checker.UNIT,
      len(checker.class_counts))]
  for (level, check), findings in kinds.items():
    first = findings[0]
    result.append('%-7s %-22s %6d x  %s: %s' % (
        level, check, len(findings), first.where, first.detail))
  return result


def _anchor_sentence(share: float) -> str:
  """How many objects no anchor fits."""
  if not share:
    return 'An anchor fits every object.'
  if share < .001:
    return 'Some anchor fits all but less than 0.1 % of the objects.'
  return 'No anchor fits %.1f %% of the objects.' % (100 * share)


def page(checker: Any, title: str,
         names: Optional[Mapping[int, str]] = None) -> str:
  """The same as a page.

  Args:
    checker: record_checker.RecordChecker, finished.
    title: str.
    names: {class id: name}, or None.
  """
  from tools.report import html_page
  from utils import object_sizes
  figures, names = summary(checker), names or {}
  total = max(figures['num_objects'], 1)
  parts = [
      html_page.paragraph('\n'.join(lines(checker)[:1])),
      html_page.heading('Findings'),
      html_page.table(
          ['level', 'check', 'where', 'what'],
          [list(f) for f in checker.findings[:_MAX_ROWS]])
      if checker.findings else html_page.paragraph('Nothing was found.'),
      html_page.heading('%s of each class' % checker.UNIT.capitalize()),
      html_page.table(['class', checker.UNIT, 'share'], [
          [names.get(int(k), k), v, v / total]
          for k, v in figures['objects_by_class'].items()])
      if figures['objects_by_class'] else html_page.paragraph('None.'),
      html_page.heading('Sizes'),
      html_page.paragraph(
          'By area as in the evaluation: the area of the mask if there is one, '
          'or else of the box; crowds are left out. %s.%s' % (
              '; '.join('%s: %s' % (size.name, size.text)
                        for size in object_sizes.SIZES),
              ' ' + _anchor_sentence(figures['share_without_anchor'])
              if checker.UNIT == 'objects' else '')),
      html_page.table(['size', 'objects'], [
          [k, figures['objects_by_size'].get(k, 0)]
          for k in ('small', 'medium', 'large')])]
  if len(checker.findings) > _MAX_ROWS:
    parts.insert(2, html_page.paragraph(
        'The first %d of %d.' % (_MAX_ROWS, len(checker.findings))))
  return html_page.page(title, parts)


def _order(config):
  """Measures and prints the order of training; None where there is none."""
  from dataloader import order_check
  from ops import compat
  compat.enable_graph_mode()
  order = order_check.measure(
      FLAGS.records or config.train.train_file_pattern, config.train)
  if order:
    print(order_check.describe(order))
  return order


def main(argv: Sequence[str]) -> int:
  if len(argv) > 1:
    raise app.UsageError('Unexpected argument %r.' % argv[1])
  from executor import log
  log.set_up()
  from utils import label_map as label_maps
  # A flag that was not given does not decide.
  model = FLAGS.model if FLAGS['model'].present else None
  try:
    config, _ = factory.load_config(model, FLAGS.config_file,
                                    FLAGS.params_override)
    key = '--records' if FLAGS.records else 'train.train_file_pattern'
    checker = check_records(
        config, FLAGS.records or config.train.train_file_pattern, key,
        FLAGS.max_records, FLAGS.decode,
        None if FLAGS.records or FLAGS.max_records
        else config.eval.eval_file_pattern)
    names = (label_maps.read_label_map(config.eval.label_map)
             if config.eval.label_map else {})
  except (base.ConfigError, ValueError, OSError) as error:
    print('Error: %s' % error, file=sys.stderr)
    return 2
  from dataloader import data_checks
  from utils import files
  print('\n'.join(lines(checker)))
  figures = summary(checker)
  # A part of the records says nothing about the order of all.
  order = (_order(config) if checker.num_records and not FLAGS.max_records
           else None)
  if order:
    figures['order'] = order._asdict()
  if FLAGS.json:
    files.write_atomically(FLAGS.json, json.dumps(figures, indent=1))
  if FLAGS.html:
    files.write_atomically(FLAGS.html, page(checker, 'Check of the data',
                                            names))
  return int(any(f.level == data_checks.ERROR for f in checker.findings))


if __name__ == '__main__':
  app.run(main)
