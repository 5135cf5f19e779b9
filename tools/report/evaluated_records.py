"""The images of an evaluation, for its report."""

from typing import Any, Iterator, List, Sequence, Tuple

import numpy as np

from configs import base
from dataloader import decoding
from dataloader import examples
from dataloader import file_patterns
from dataloader import record_files
from utils import label_map as label_maps
from utils import types


def class_names(config: base.Config) -> types.LabelMap:
  """{class id: name} of `eval.label_map`; empty without one."""
  if not config.eval.label_map:
    return {}
  return label_maps.read_label_map(config.eval.label_map)


def spread(rows: Sequence[int], count: int) -> List[int]:
  """At most `count` of the rows, at equal distances, in order."""
  rows = list(rows)
  picked = np.linspace(0, len(rows) - 1, min(count, len(rows)))
  return [rows[i] for i in sorted(set(picked.round().astype(int).tolist()))]


def images(config: base.Config,
           rows: Sequence[int]) -> Iterator[Tuple[int, np.ndarray, Any]]:
  """Reads some of the evaluated records.

  Args:
    config: an experiment.
    rows: [int], numbers of the records in the order of the evaluation.

  Yields:
    row, uint8 [h, w, 3] RGB, {key: Feature}.
  """
  wanted = set(rows)
  for row, features in features_of(config, max(wanted, default=-1) + 1):
    if row in wanted:
      yield row, decode(features), features


def features_of(config: base.Config,
                num_records: int) -> Iterator[Tuple[int, Any]]:
  """Reads the first of the evaluated records; no image is decoded.

  Args:
    config: an experiment.
    num_records: how many.

  Yields:
    row, {key: Feature}.
  """
  paths = file_patterns.expand(config.eval.eval_file_pattern,
                               'eval.eval_file_pattern')
  for row, (_, _, serialized) in enumerate(
      record_files.iterate(paths, num_records)):
    yield row, examples.features_of(serialized)


def decode(features: Any) -> np.ndarray:
  """RGB image of the features of a record, as the model saw it."""
  return decoding.pixels(features['image/encoded'].bytes_list.value[0])


def file_name(features: Any) -> str:
  """Name of the image of a record, or its id."""
  for key in ('image/filename', 'image/source_id'):
    values = features[key].bytes_list.value
    if values:
      return values[0].decode('utf-8')
  return 'without a name'
