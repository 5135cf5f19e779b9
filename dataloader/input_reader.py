"""TFRecord files to batches; the input function of every model."""

import os
import random

import tensorflow.compat.v1 as tf

from dataloader import file_patterns
from ops import compat
from ops import preprocess
from utils import modes

_MAX_OPEN_FILES = 32     # files that training mixes at a time, as upstream
_READ_BUFFER = 1 << 20   # bytes; 32 files of it stay far below a batch
_PREFETCH_BATCHES = 2    # one that is waited for, one that is being made
_HOST_SEED_STEP = 1000003  # keeps the seeds of hosts apart


class InputReader:
  """Reads, parses and batches; call it with `params` to get the dataset.

  In training the records come shuffled and without end. Otherwise each comes
  once, in the order of the files, and the last batch is filled up with marked
  examples (`parser.padding_example()`), so that every batch has the same shape
  and no record is lost.
  """

  def __init__(self, file_pattern, parser, mode, key, seed=None,
               shuffle_buffer_size=64, num_parallel_calls=None,
               num_examples=None, image_layout=None, source=None,
               is_deterministic=None, cache_records=False):
    """Finds the files.

    Args:
      file_pattern: see file_patterns.expand.
      parser: (serialized, seed=int64 [2]) -> parsed example; with
        `padding_example()`.
      mode: of utils.modes.
      key: configuration key of the pattern, for the errors.
      seed: int, for the same order and augmentation in every run; None differs.
      shuffle_buffer_size: int, records among which training draws.
      num_parallel_calls: int, records parsed at a time; None: number of cores.
      num_examples: int, records to read outside of training; None: all.
      image_layout: batch of images -> batch of images, applied in training;
        None leaves NHWC.
      source: (pattern, its key) of records to paste objects from: in training
        the parser gets a pair of records then, one of each; None: there are
        none.

    Raises:
      ValueError: naming the key, if a pattern is missing or matches nothing or
        only empty files.
    """
    self.files = _find_files(file_pattern, key)
    self.source_files = _find_files(*source) if source else []
    self._parser = parser
    self._mode = mode
    self._seed = seed
    self._is_deterministic = (seed is not None if is_deterministic is None
                              else is_deterministic)
    self._cache_records = cache_records
    self._shuffle_buffer_size = shuffle_buffer_size
    self._num_parallel_calls = num_parallel_calls or os.cpu_count()
    self._num_examples = num_examples
    self._image_layout = image_layout

  def __call__(self, params, input_context=None):
    """Builds the dataset.

    Args:
      params: dict with `batch_size`, the size of the batches to return; a
        TPUEstimator also gives its `context`.
      input_context: tf.distribute.InputContext of a distribution strategy.

    Returns:
      tf.data.Dataset of batches.
    """
    compat.keep_freed_memory()
    batch_size = params['batch_size']
    if self._mode == modes.TRAIN:
      return self._training_batches(batch_size, *_host(params, input_context))
    return self._evaluation_batches(batch_size)

  def _training_batches(self, batch_size, host, num_hosts):
    """Endless shuffled batches of the share of one host."""
    base = self._seed
    if base is None:
      base = random.SystemRandom().randrange(2**31)
    base += _HOST_SEED_STEP * host
    records = self._shuffled_records(
        self.files, base, host, num_hosts).repeat()
    if self.source_files:
      records = tf.data.Dataset.zip((records, self._shuffled_records(
          self.source_files, base + 1, host, num_hosts).repeat()))
    # The number of the record in the run gives it random numbers of its own,
    # whichever thread parses it.
    dataset = tf.data.Dataset.zip((records, tf.data.Dataset.range(2**62)))
    dataset = dataset.map(
        lambda serialized, number: self._parser(
            serialized, seed=tf.stack([tf.constant(base, tf.int64), number])),
        num_parallel_calls=self._num_parallel_calls)
    dataset = dataset.batch(batch_size, drop_remainder=True)
    if self._image_layout is not None:
      dataset = dataset.map(
          lambda images, labels: (self._image_layout(images), labels),
          num_parallel_calls=self._num_parallel_calls)
    options = tf.data.Options()
    options.experimental_deterministic = self._is_deterministic
    return dataset.with_options(options).prefetch(_PREFETCH_BATCHES)

  def _shuffled_records(self, files, seed, host, num_hosts):
    """One epoch of the records of a host, in another order every time."""
    if len(files) >= num_hosts:
      files = files[host::num_hosts]
      dataset = tf.data.Dataset.from_tensor_slices(files)
      dataset = dataset.shuffle(len(files), seed)
      # The parallel form of Dataset.interleave crashes now and then in TF 1.15
      # when a session is closed.
      dataset = dataset.apply(tf.data.experimental.parallel_interleave(
          _read_file, cycle_length=min(_MAX_OPEN_FILES, len(files)),
          sloppy=not self._is_deterministic))
    else:
      # All hosts go through the same order and take every num_hosts-th record.
      dataset = _read_file(files).shard(num_hosts, host)
    if self._cache_records:
      # Here, because what is parsed is larger and other in every epoch.
      dataset = dataset.cache()
    return dataset.shuffle(self._shuffle_buffer_size, seed)

  def _evaluation_batches(self, batch_size):
    """Every record once, then padding up to a full batch."""
    dataset = _read_file(self.files)
    if self._num_examples is not None:
      dataset = dataset.take(self._num_examples)
    dataset = dataset.map(self._parser,
                          num_parallel_calls=self._num_parallel_calls)
    padding = tf.data.Dataset.from_tensors(0).map(
        lambda _: self._parser.padding_example()).repeat(batch_size - 1)
    # What is left of the padding after the last full batch is dropped.
    dataset = dataset.concatenate(padding)
    dataset = dataset.batch(batch_size, drop_remainder=True)
    return dataset.prefetch(_PREFETCH_BATCHES)


def _find_files(pattern, key):
  """[path] of a pattern; an error if there is nothing to read."""
  files = file_patterns.expand(pattern, key)
  if not any(tf.gfile.Stat(path).length for path in files):
    raise ValueError('%s: the %d files of %r are empty.' % (
        key, len(files), pattern))
  return files


def _read_file(path):
  return tf.data.TFRecordDataset(path, buffer_size=_READ_BUFFER)


def _host(params, input_context):
  """(index, number) of the hosts that read, each a share of the data."""
  if input_context is not None:
    return input_context.input_pipeline_id, input_context.num_input_pipelines
  if params.get('context') is not None:
    # tf.tpu.TPUContext; only with a TPU.
    _, index, number, _ = params['context'].current_input_fn_deployment()
    return index, number
  return 0, 1


def accelerator_layout(transpose_input, space_to_depth_block_size):
  """The `image_layout` of these keys, or None when nothing is to do."""
  if not transpose_input and space_to_depth_block_size == 1:
    return None
  return lambda images: preprocess.transpose_images(
      images, space_to_depth_block_size, transpose_input)
