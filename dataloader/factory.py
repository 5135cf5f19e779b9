"""Parsers and input functions of an experiment."""

import os

import tensorflow.compat.v1 as tf

from dataloader import classification_parser
from dataloader import input_reader
from dataloader import maskrcnn_parser
from dataloader import record_checks
from dataloader import retinanet_parser
from dataloader import segmentation_parser
from dataloader import shapemask_parser
from dataloader.augment import autoaugment
from ops import anchors as anchor_ops
from utils import modes
from utils import registry
from utils import tpu_names

# classification_parser.autoaugment_name: policy.
_POLICIES_OF_CLASSIFIERS = {'v0': 'imagenet',
                            'randaug': autoaugment.RANDAUGMENT}


def _build_retinanet_parser(config, mode):
  return retinanet_parser.RetinanetParser(
      config.retinanet_parser, _anchors(config),
      config.architecture.num_classes, mode, _dtype(config),
      clip_to_border=config.architecture.clip_boxes_to_border)


def _build_maskrcnn_parser(config, mode):
  return maskrcnn_parser.MaskrcnnParser(
      config.maskrcnn_parser, _anchors(config),
      config.architecture.num_classes, mode, _dtype(config),
      include_mask=config.architecture.include_mask,
      clip_to_border=config.architecture.clip_boxes_to_border)


def _build_classification_parser(config, mode):
  return classification_parser.ClassificationParser(
      config.classification_parser, config.architecture.num_classes, mode,
      _dtype(config), _build_augment(config.classification_parser, mode))


def _build_segmentation_parser(config, mode):
  return segmentation_parser.SegmentationParser(
      config.segmentation_parser, config.architecture.num_classes, mode,
      _dtype(config))


def _build_augment(section, mode):
  """(image uint8, seed) -> image of `classification_parser`, or None."""
  if mode != modes.TRAIN or not section.autoaugment_name:
    return None
  policy = _POLICIES_OF_CLASSIFIERS[section.autoaugment_name]
  def augment(image, seed):
    return autoaugment.distort(image, policy, seed, section.randaug_num_layers,
                               section.randaug_magnitude)
  return augment


def _build_shapemask_parser(config, mode):
  return shapemask_parser.ShapemaskParser(
      config.shapemask_parser, _anchors(config),
      config.architecture.num_classes, mode, _dtype(config),
      clip_to_border=config.architecture.clip_boxes_to_border)


def _anchors(config):
  return anchor_ops.AnchorGenerator.of_sections(config.anchor,
                                                config.architecture)


def _dtype(config):
  return 'bfloat16' if config.architecture.use_bfloat16 else 'float32'


# architecture.parser: build function (config, mode) -> parser.
PARSERS = {
    'classification_parser': _build_classification_parser,
    'maskrcnn_parser': _build_maskrcnn_parser,
    'retinanet_parser': _build_retinanet_parser,
    'segmentation_parser': _build_segmentation_parser,
    'shapemask_parser': _build_shapemask_parser,
}


# In model_dir; see record_counts.
_COUNTS_FILE = 'record_counts.json'
_BUFFER_KEY = 'train.shuffle_buffer_bytes'
_SOURCE_KEY = 'train.pre_parser_dataset.file_pattern'


def build_parser(config, mode):
  """The parser of an experiment.

  Args:
    config: an experiment of configs.factory.
    mode: one of utils.modes.

  Returns:
    (serialized, seed=None) -> parsed example.

  Raises:
    ValueError: listing the parsers, for a name that is not one of them.
  """
  name = config.architecture.parser
  return registry.pick(PARSERS, name, 'architecture.parser')(config, mode)


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
    attribute `files`. `params['batch_size']` is the size of its batches.

  Raises:
    ValueError: naming the key, when files are missing or cannot be read.
  """
  pattern, key = _source(config, mode)
  if num_examples is None and mode != modes.PREDICT and not file_pattern:
    num_examples = config.eval.eval_samples
  train, parser = config.train, build_parser(config, mode)
  # Parsers of other models than those of boxes never paste.
  needs_source = getattr(parser, 'needs_source', False)
  reader = input_reader.InputReader(
      file_pattern or pattern, parser, mode, key,
      seed=train.seed, shuffle_buffer_bytes=train.shuffle_buffer_bytes,
      num_parallel_calls=_parallel_calls(config), num_examples=num_examples,
      image_layout=input_reader.accelerator_layout(
          train.transpose_input,
          config.architecture.space_to_depth_block_size),
      source=(train.pre_parser_dataset.file_pattern, _SOURCE_KEY)
      if needs_source else None,
      is_deterministic=train.deterministic_input,
      cache_records=train.cache_records,
      counts_path=(os.path.join(config.model_dir, _COUNTS_FILE)
                   if config.model_dir else None))
  if mode == modes.TRAIN:
    for complaint in reader.complaints(_BUFFER_KEY):
      tf.logging.warning('%s: %s', key, complaint)
    record_checks.check_first(reader.files, key, config)
  if parser.needs_masks:
    record_checks.check_masks(reader.files, key, parser.MASK_ADVICE,
                              parser.MASK_CLASSES)
  if needs_source:
    record_checks.check_masks(reader.source_files, _SOURCE_KEY,
                              parser.MASK_ADVICE)
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
