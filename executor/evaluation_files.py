"""Evaluation results as files: TensorBoard events and JSON."""

import math
import os
import re
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import tensorflow.compat.v1 as tf

from evaluation import report
from executor import log_files
from modeling import storage

# A metric of one class: its name, and the class id.
_OF_CLASS = re.compile(r'(.*(?:ByCategory.*/|_class_))(\d+)$')
_LOG = 'metrics.jsonl'
_FINGERPRINT = 'checkpoint_fingerprint'


def _number_or_none(value):
  """JSON has no NaN."""
  value = float(value)
  return value if math.isfinite(value) else None


def _record(step, metrics):
  """The content of metrics.json."""
  return dict({name: _number_or_none(value) for name, value in metrics.items()},
              step=step, time=time.time())


def named_tags(metrics: Mapping[str, float],
               names: Mapping[Any, str]) -> Dict[str, float]:
  """Metrics, and in addition those of classes by class name.

  Args:
    metrics: {name: float}; metrics of a class end in its id, after `/` or `_`.
    names: {class id: name}.

  Returns:
    {tag: float}.
  """
  tags = dict(metrics)
  for tag, value in metrics.items():
    found = _OF_CLASS.match(tag)
    name = names.get(int(found.group(2))) if found else None
    if found and name:
      tags[found.group(1) + name] = value
  return tags


class Evaluated(NamedTuple):
  """A line of metrics.jsonl.

  Attributes:
    step: step of the checkpoint.
    time: when the line was written, seconds since 1970.
    fingerprint: that of the checkpoint; None in lines of earlier versions.
    record: the line, with the metrics by name.
  """
  step: int
  time: float
  fingerprint: Optional[str]
  record: Dict[str, Any]


def read_evaluated(folder: str) -> List[Evaluated]:
  """The entries of metrics.jsonl in a folder, without damaged lines."""
  lines = storage.read_json_lines(os.path.join(folder, _LOG))
  return [Evaluated(int(line['step']), float(line['time']),
                    line.get(_FINGERPRINT), line)
          for line in lines
          if isinstance(line, dict)
          and all(isinstance(line.get(key), (int, float))
                  for key in ('step', 'time'))]


class ResultWriter:
  """Writes the results of evaluations into one folder.

  The folder gets `metrics.json` and the results of the latest evaluation
  (`detections.json` of detectors, `predictions.json` of other models),
  `metrics.jsonl` with a line for each evaluation, and one event file for each
  writer.
  """

  def __init__(self, folder: str) -> None:
    """Keeps the folder; it is made with the first result."""
    self._folder = folder
    self._events: Optional[tf.summary.FileWriter] = None
    self._length: Optional[int] = None  # of the log when it was read
    self._evaluated: Dict[int, List[Evaluated]] = {}

  @property
  def _log_path(self):
    return os.path.join(self._folder, _LOG)

  def evaluated(self, step: int) -> List[Evaluated]:
    """The lines of a step, including those of earlier processes.

    Args:
      step: int, step of a checkpoint.
    """
    length = (tf.gfile.Stat(self._log_path).length
              if tf.gfile.Exists(self._log_path) else None)
    if length != self._length:  # It may be long, and is asked for often.
      self._length, self._evaluated = length, {}
      for entry in read_evaluated(self._folder):
        # Without the metrics, of which there may be thousands.
        self._evaluated.setdefault(entry.step, []).append(
            entry._replace(record={}))
    return self._evaluated.get(step, [])

  def write(self, step: int, metrics: Mapping[str, float],
            results: Optional[Sequence[Dict[str, Any]]] = None,
            results_name: str = 'detections.json',
            names: Optional[Mapping[Any, str]] = None,
            settings: Optional[Mapping[str, Any]] = None) -> None:
    """Writes one evaluation, which counts once `mark_done` was called.

    Args:
      step: int, step of the checkpoint.
      metrics: {name: float}; the names are the TensorBoard tags.
      results: COCO results list, or None to write none.
      results_name: name of its file.
      names: {class id: name}, written to metrics.json as `class_names`, and
        to TensorBoard as further tags of the metrics of classes.
      settings: JSON values of metrics.json besides the metrics, which say how
        they came about.
    """
    names = {i: n for i, n in (names or {}).items() if n != str(i)}
    self._writer().add_summary(tf.Summary(value=[
        tf.Summary.Value(tag=name, simple_value=value)
        for name, value in sorted(named_tags(metrics, names).items())]), step)
    self._writer().flush()
    if results is not None:
      with storage.output_path(os.path.join(
          self._folder, results_name)) as path:
        report.write_results(path, results)
    record = dict(_record(step, metrics), **settings or {})
    if names:
      record['class_names'] = {str(i): name for i, name in names.items()}
    storage.write_json(os.path.join(self._folder, 'metrics.json'), record)

  def write_summaries(self, step: int,
                      values: Sequence[tf.Summary.Value]) -> None:
    """Adds what TensorBoard shows in addition to the metrics.

    Args:
      step: int, step of the checkpoint.
      values: tf.Summary.Value.
    """
    self._writer().add_summary(tf.Summary(value=values), step)
    self._writer().flush()

  def _writer(self):
    if self._events is None:
      self._events = log_files.tolerant(tf.summary.FileWriter(self._folder))
    return self._events

  def mark_done(self, step: int, metrics: Mapping[str, float],
                fingerprint: Optional[str] = None) -> None:
    """Adds the line that marks a checkpoint as evaluated.

    Args:
      step: int, step of the checkpoint.
      metrics: {name: float}.
      fingerprint: that of the checkpoint.
    """
    storage.append_json_line(self._log_path, dict(
        _record(step, metrics), **{_FINGERPRINT: fingerprint}))
