"""Checks the records of an evaluation before a training run reaches it.

An evaluation stops at such a record, which may be hours after the start.
"""

import contextlib

import tqdm

from dataloader import data_checks
from dataloader import record_files

KEY = 'eval.eval_file_pattern'

# COCO's validation set has half as many. The rest is found when it is parsed.
_MAX_RECORDS = 10000
# For sets without objects and label maps, which may be as large as ImageNet.
_FEW_RECORDS = 200
_PROGRESS_AFTER = 5  # seconds

# Findings at which the parsers of an evaluation stop.
_FATAL = ('no_example', 'wrong_kind', 'list_lengths', 'class_0', 'class_range',
          'missing_label_map', 'undecodable_label_map', 'label_map_size')
# The same, and there is a key to set.
_TOO_MANY = (data_checks.TOO_MANY, data_checks.TOO_MANY_TO_LEARN)
_TOO_LARGE = data_checks.TOO_LARGE


class FindingError(ValueError):
  """A record that an evaluation would stop at."""


class Watch:
  """Checks the records of an evaluation while another function reads them."""

  def __init__(self, config, num_records=None):
    """Begins with the first record.

    Args:
      config: an experiment.
      num_records: int, records that are evaluated; None: all.
    """
    self._config = config
    self._checker = data_checks.for_config(config, decode=False)
    limit = (_FEW_RECORDS if self._checker.UNIT == 'images' else _MAX_RECORDS)
    self.num_records = min(num_records or limit, limit)
    self._left = self.num_records

  def __call__(self, path, number, serialized):
    """Checks a record, unless it has checked enough of them.

    Args:
      path: path of its file.
      number: int, from 0.
      serialized: bytes.
    """
    if self._left:
      self._left -= 1
      self._checker.check(path, number, serialized)

  @contextlib.contextmanager
  def findings_first(self):
    """Around the reading: raises the finding, not the reader's error about it.

    Raises:
      FindingError: naming the record, what is wrong with it, and what to do.
    """
    try:
      yield
    except ValueError:
      self._raise_finding()
      raise
    self._raise_finding()

  def _raise_finding(self):
    for finding in self._checker.findings:
      if finding.check in _FATAL + _TOO_MANY + (_TOO_LARGE,):
        raise FindingError('%s: %s: %s %s' % (
            KEY, finding.where, finding.detail,
            _advice(finding, self._checker, self._config)))


def check(files, config, num_records=None):
  """Stops a job whose evaluation cannot succeed.

  Args:
    files: [path].
    config: an experiment.
    num_records: int, records that are evaluated; None: all.

  Raises:
    FindingError: naming the record, what is wrong with it, and what to do.
  """
  watch = Watch(config, num_records)
  with watch.findings_first():
    for record in tqdm.tqdm(
        record_files.iterate(files, watch.num_records),
        'Checking the records of the evaluation', unit=' records',
        delay=_PROGRESS_AFTER):
      watch(*record)


def _advice(finding, checker, config):
  """What to do about a finding."""
  parser = config.architecture.parser
  if finding.check in _TOO_MANY:
    return ('Some would be missing from the evaluation: set '
            '%s.max_num_instances to at least %d, the largest number in an '
            'image.' % (parser, max(checker.object_counts)))
  if finding.check == _TOO_LARGE:
    return ('Images that are only padded must fit into it: make '
            '%s.output_size at least [%d, %d], or set %s.resize_eval.' % (
                (parser,) + checker.largest_size + (parser,)))
  return 'python -m tools.check_data looks through all records.'
