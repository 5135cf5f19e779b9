"""Times the input pipeline of a configuration on this machine."""

import dataclasses
import os
import tempfile

from configs import base

_NUM_IMAGES = 96
_NUM_RECORDS = 32
_OBJECTS = 6.9  # of an image of COCO


def input_ms(config: base.Config) -> float:
  """CPU milliseconds of an image.

  Reads the records of train.train_file_pattern, or made-up ones of 640 x 480
  pixels where the configuration names none.

  Args:
    config: an experiment of configs.factory.

  Returns:
    float.

  Raises:
    ValueError: if the model needs records that cannot be made up.
  """
  if config.train.train_file_pattern:
    return _measure(config)
  if config.type == 'segmentation':
    raise ValueError('--measure: set train.train_file_pattern; records of '
                     'segmentation are not made up.')
  from tools.benchmarks import input_records
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'records')
    input_records.write(path, _NUM_RECORDS, _OBJECTS)
    return _measure(dataclasses.replace(config, train=dataclasses.replace(
        config.train, train_file_pattern=path)))


def _measure(config):
  from tools.benchmarks import input_pipeline
  # Small batches: the first images are ready sooner.
  batch = min(8, config.train.train_batch_size)
  cpu, _, _ = input_pipeline.measure('pipeline', config, batch, _NUM_IMAGES)
  return 1e3 * cpu
