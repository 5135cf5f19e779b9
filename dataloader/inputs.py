"""The input function of an experiment: its files to batches."""

import os

import tensorflow.compat.v1 as tf

from configs import base
from configs import metric_names
from dataloader import factory
from dataloader import input_reader
from dataloader import record_checks
from utils import modes
from utils import tpu_names

# In model_dir; see record_counts.
_COUNTS_FILE = 'record_counts.json'
_BUFFER_KEY = 'train.shuffle_buffer_bytes'
_SOURCE_KEY = 'train.pre_parser_dataset.file_pattern'


def build_input_fn(config, mode, file_pattern=None, num_examples=None):
  """The input function of an experiment.

  Args:
    config: an experiment of configs.factory.
    mode: one of utils.modes.
    file_pattern: instead of the configured one (`train.train_file_pattern`;
      `eval.eval_file_pattern`; `predict.predict_file_pattern` if it is set).
    num_examples: int, records to read outside of training; None: all, or
      `eval.eval_samples` in evaluation from the configured files.

  Returns:
    input_reader.InputReader: (params, input_context=None) -> Dataset, with the
    attribute `files`. `params['batch_size']` is the size of its batches. Where
    the first records of an evaluation lack the masks that its losses need, a
    warning says so, and labels have no targets.

  Raises:
    ValueError: naming the key, when files are missing or cannot be read.
  """
  pattern, key = _source(config, mode)
  if num_examples is None and mode != modes.PREDICT and not file_pattern:
    num_examples = config.eval.eval_samples
  train, parser = config.train, factory.build_parser(config, mode)
  reader = input_reader.InputReader(
      file_pattern or pattern, parser, mode, key,
      seed=train.seed, shuffle_buffer_bytes=train.shuffle_buffer_bytes,
      num_parallel_calls=_parallel_calls(config), num_examples=num_examples,
      part=((config.eval.num_parts, config.eval.part)
            if mode == modes.PREDICT_WITH_GT else (1, 0)),
      image_layout=input_reader.accelerator_layout(
          train.transpose_input,
          config.architecture.space_to_depth_block_size),
      source=(train.pre_parser_dataset.file_pattern, _SOURCE_KEY)
      if parser.needs_source else None,
      is_deterministic=train.deterministic_input,
      cache_records=train.cache_records,
      counts_path=(os.path.join(config.model_dir, _COUNTS_FILE)
                   if config.model_dir else None))
  if mode == modes.TRAIN:
    for complaint in reader.complaints(_BUFFER_KEY):
      tf.logging.warning('%s: %s', key, complaint)
    record_checks.check_first(reader.files, key, config)
  if parser.needs_masks:
    try:
      record_checks.check_masks(reader.files, key, *parser.mask_rule)
    except ValueError as e:
      if (mode == modes.TRAIN
          or config.eval.best_metric in metric_names.losses(config)):
        raise
      tf.logging.warning('%s Until then the evaluation has no losses.', e)
      return build_input_fn(
          base.override(config, {'eval': {'skip_eval_loss': True}}), mode,
          file_pattern, num_examples)
  if parser.needs_source:
    record_checks.check_masks(reader.source_files, _SOURCE_KEY,
                              *parser.mask_rule)
  return reader


def _parallel_calls(config):
  """Records parsed at a time; the machine of a TPU node has its own cores."""
  if (not config.train.num_parallel_calls and config.use_tpu
      and tpu_names.is_node(config.platform.tpu)):
    return input_reader.AUTOTUNE
  return config.train.num_parallel_calls


def _source(config, mode):
  """(pattern, its key).

  The dataset type makes no difference: 'sstable', a default of older files, is
  read as TFRecord too.
  """
  if mode == modes.TRAIN:
    return config.train.train_file_pattern, 'train.train_file_pattern'
  if mode == modes.PREDICT and config.predict.predict_file_pattern:
    return (config.predict.predict_file_pattern,
            'predict.predict_file_pattern')
  return config.eval.eval_file_pattern, 'eval.eval_file_pattern'
