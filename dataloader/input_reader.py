"""TFRecord files to batches; the input function of every model."""

import random
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from dataloader import file_patterns
from dataloader import record_counts
from dataloader import record_order
from ops import compat
from ops import preprocess
from utils import modes
from utils import processors

DEFAULT_BUFFER_BYTES = 1 << 29  # of train.shuffle_buffer_bytes
_READ_BUFFER = 1 << 20   # bytes
AUTOTUNE = tf.data.experimental.AUTOTUNE
_PREFETCH_STEPS = 2      # one that is waited for, one that is being made
_HOST_SEED_STEP = 1000003  # keeps the seeds of hosts apart
# Functions of tensors here have no Python control flow that depends on one.
# Rewriting them for it (AutoGraph) was a fifth of the time to the first step.
_as_written = tf.autograph.experimental.do_not_convert


class _Begun(NamedTuple):
  """How reading began: enough to find a batch again.

  Attributes:
    base: seed of this host.
    first_call: call of the training step at which it began, without a seed.
    host: index of this host.
    num_hosts: how many there are.
    batch_size: images.
    batches_of_a_call: how many this host gives to a call.
  """
  base: int
  first_call: int
  host: int
  num_hosts: int
  batch_size: int
  batches_of_a_call: int

  def first_record(self, call: int) -> int:
    """The number, in the run, of the first record of a call."""
    return ((call - self.first_call) * self.batches_of_a_call
            * self.batch_size)


class InputReader:
  """Reads, parses and batches; call it with `params` to get the dataset.

  In training the records come shuffled and without end, in an order that
  record_order describes. Otherwise each comes once, in the order of the files,
  and the last batch is filled up with marked examples
  (`parser.padding_example()`), so that every batch has the same shape and no
  record is lost.
  """

  def __init__(self, file_pattern: str, parser: Callable[..., Any], mode: str,
               key: str, seed: Optional[int] = None,
               shuffle_buffer_bytes: int = DEFAULT_BUFFER_BYTES,
               num_parallel_calls: Optional[int] = None,
               num_examples: Optional[int] = None,
               part: Tuple[int, int] = (1, 0),
               image_layout: Optional[Callable[[tf.Tensor], tf.Tensor]] = None,
               source: Optional[Tuple[str, str]] = None,
               is_deterministic: Optional[bool] = None,
               cache_records: bool = False,
               counts_path: Optional[str] = None) -> None:
    """Finds the files.

    Args:
      file_pattern: see file_patterns.expand.
      parser: (serialized, seed=int64 [2]) -> parsed example; with
        `padding_example()`.
      mode: one of utils.modes.
      key: configuration key of the pattern, for the errors.
      seed: int, for the same order and augmentation in every run; None differs.
      shuffle_buffer_bytes: int, bytes of encoded records among which training
        draws.
      num_parallel_calls: int, records parsed at a time; None: number of cores;
        AUTOTUNE: as many as suit the machine that parses them.
      num_examples: int, records to read outside of training; None: all.
      part: (n, k): of these, the batches k, k + n, k + 2n ... are read. Whole
        ones, since what a network computes of an image depends, in the last
        digits, on its place in the batch.
      image_layout: batch of images -> batch of images, applied in training;
        None leaves NHWC.
      source: (pattern, its key) of records to paste objects from: in training
        the parser then gets a pair of records, one from each pattern; None: it
        gets single records.
      is_deterministic: whether batches wait for slow records; None: if there
        is a seed.
      cache_records: whether to keep the records in memory.
      counts_path: file that keeps how many records files in a bucket have,
        where they had to be read to count them; None: this is not kept.

    Raises:
      ValueError: naming the key, if a pattern is missing or matches nothing or
        only empty files.
    """
    self.files = _find_files(file_pattern, key)
    self.source_files = _find_files(*source) if source else []
    self._key = key
    self._source_key = source[1] if source else None
    self._parser = parser
    self._mode = mode
    self._seed = seed
    self._is_deterministic = (seed is not None if is_deterministic is None
                              else is_deterministic)
    self._cache_records = cache_records
    self._buffer_bytes = shuffle_buffer_bytes
    self._num_parallel_calls = (num_parallel_calls or
                                processors.available())
    self._num_examples = num_examples
    self._part = part
    self._image_layout = image_layout
    self._counts_path = counts_path
    self._counts = {}   # path: number of records, as far as it was asked for
    self._sizes = {}    # path: bytes, likewise
    self._samples = {}  # key: of record_counts.sample
    self._begun: Any = None  # _Begun, once reading has begun

  def __call__(self, params: Mapping[str, Any], input_context: Any = None,
               num_calls: int = 0) -> tf.data.Dataset:
    """Builds the dataset.

    Args:
      params: dict with `batch_size`, the size of the batches to return; a
        TPUEstimator also gives its `context`.
      input_context: tf.distribute.InputContext of a distribution strategy.
      num_calls: int, how often the training step was called before, in earlier
        starts of this run: with a seed, reading resumes after the records that
        those calls consumed.

    Returns:
      tf.data.Dataset of batches.
    """
    compat.keep_freed_memory()
    batch_size = params['batch_size']
    if self._mode != modes.TRAIN:
      return self._evaluation_batches(batch_size).prefetch(
          _PREFETCH_STEPS * _batches_of_a_call(params, input_context))
    host, num_hosts = _host(params, input_context)
    # Every replica of the host takes a batch at each call.
    batches_of_a_call = _batches_of_a_call(params, input_context)
    base, first_call = self._seed, 0
    if base is None:
      # Another order in every start, so any place of it will do.
      base, first_call = random.SystemRandom().randrange(2**31), num_calls
    self._begun = _Begun(base + _HOST_SEED_STEP * host, first_call, host,
                         num_hosts, batch_size, batches_of_a_call)
    dataset = self._training_batches(self._begun, num_calls)
    return dataset.prefetch(_PREFETCH_STEPS * batches_of_a_call)

  @property
  def parser(self) -> Callable[..., Any]:
    """(serialized, seed) -> parsed example."""
    return self._parser

  @property
  def batch_size(self) -> int:
    """Images of a batch, since reading has begun."""
    return self._begun.batch_size

  @property
  def host(self) -> int:
    """Index of this host among those that read, since reading has begun."""
    return self._begun.host

  def batches_again(self, call: int) -> Tuple[tf.data.Dataset, tf.data.Dataset,
                                              int]:
    """What this host gave to a call of the training step, once more.

    Args:
      call: int, counted as `num_calls` is; reading has begun in this process.

    Returns:
      Dataset of the serialized records from the first of that call on, dataset
      of its batches, and how many batches a call takes.
    """
    begun = self._begun
    records = self._records(self.files, self._key, begun.base, begun.host,
                            begun.num_hosts, begun.first_record(call))
    # With objects to paste, the record of the image itself.
    return records, self._training_batches(begun, call), begun.batches_of_a_call

  def _training_batches(self, begun, call):
    """Endless shuffled batches of the share of one host.

    Args:
      begun: _Begun.
      call: int, the call of the training step that takes the first one.
    """
    batch_size, base = begun.batch_size, begun.base
    host, num_hosts = begun.host, begun.num_hosts
    start = begun.first_record(call)
    records = self._records(self.files, self._key, base, host, num_hosts, start)
    if self.source_files:
      records = tf.data.Dataset.zip((records, self._records(
          self.source_files, self._source_key, base + 1, host, num_hosts,
          start)))
    # The number of the record in the run gives it random numbers of its own,
    # whichever thread parses it.
    dataset = tf.data.Dataset.zip((
        records, tf.data.Dataset.range(start, 2**62)))
    dataset = dataset.map(
        _as_written(lambda serialized, number: self._parser(
            serialized, seed=tf.stack([tf.constant(base, tf.int64), number]))),
        num_parallel_calls=self._num_parallel_calls)
    dataset = dataset.batch(batch_size, drop_remainder=True)
    if self._image_layout is not None:
      dataset = dataset.map(
          _as_written(
              lambda images, labels: (self._image_layout(images), labels)),
          num_parallel_calls=self._num_parallel_calls)
    options = tf.data.Options()
    options.experimental_deterministic = self._is_deterministic
    return dataset.with_options(options)

  def _records(self, files, key, seed, host, num_hosts, start):
    """Endless shuffled records of a host, from a given place on."""
    return record_order.records(
        self._plan(files, key, host, num_hosts), seed, start, self._count_each,
        self._is_deterministic, self._cache_records)

  def _plan(self, files, key, host, num_hosts):
    """record_order.Plan of a host."""
    num_streams = 2 if self.source_files else 1
    return record_order.make(
        self._sizes_of(files), host, num_hosts, key,
        self._buffer_bytes // num_streams, self._sample(files, key),
        self._count_each)

  def _sizes_of(self, files):
    """{path: bytes}, asked for once."""
    missing = [f for f in files if f not in self._sizes]
    self._sizes.update(record_counts.sizes_of(missing))
    return {f: self._sizes[f] for f in files}

  def _sample(self, files, key):
    """record_counts.sample of the files with records, taken once."""
    if key not in self._samples:
      self._samples[key] = record_counts.sample(
          [f for f, size in self._sizes_of(files).items() if size])
    return self._samples[key]

  def _count_each(self, files):
    """[int], counted once however many hosts there are."""
    missing = [f for f in files if f not in self._counts]
    self._counts.update(zip(missing, record_counts.count_each(
        missing, self._counts_path)))
    return [self._counts[f] for f in files]

  def complaints(self, buffer_key: str, num_hosts: int = 1) -> List[str]:
    """Sentences about an order that cannot be random; see record_order."""
    if self._cache_records:
      return []
    return record_order.complaints(
        self._plan(self.files, self._key, 0, num_hosts),
        self._sample(self.files, self._key), buffer_key)

  def _evaluation_batches(self, batch_size):
    """Every record once, then padding up to a full batch."""
    dataset = _read_file(self.files)
    if self._num_examples is not None:
      dataset = dataset.take(self._num_examples)
    if self._part[0] > 1:
      dataset = dataset.batch(batch_size).shard(*self._part).apply(
          tf.data.experimental.unbatch())
    dataset = dataset.map(_as_written(self._parser),
                          num_parallel_calls=self._num_parallel_calls)
    padding = tf.data.Dataset.from_tensors(0).map(
        _as_written(lambda _: self._parser.padding_example())).repeat(
            batch_size - 1)
    # What is left of the padding after the last full batch is dropped.
    dataset = dataset.concatenate(padding)
    return dataset.batch(batch_size, drop_remainder=True)


def _find_files(pattern, key):
  """[path] of a pattern; an error if there is nothing to read."""
  files = file_patterns.expand(pattern, key)
  record_counts.check_whole(files)
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


def _batches_of_a_call(params, input_context):
  """How many batches of a host one call of the training step takes."""
  if input_context is not None:
    return max(1, input_context.num_replicas_in_sync
               // input_context.num_input_pipelines)
  if params.get('context') is not None:
    # One for each replica of the host: batches are those of a replica. A
    # replica that spans several hosts has none of its own.
    return max(1, params['context'].current_input_fn_deployment()[3])
  return 1


def accelerator_layout(
    transpose_input: bool, space_to_depth_block_size: int
) -> Optional[Callable[[tf.Tensor], tf.Tensor]]:
  """The `image_layout` of these keys, or None when there is nothing to do.

  Args:
    transpose_input: `train.transpose_input`.
    space_to_depth_block_size: `architecture.space_to_depth_block_size`.

  Returns:
    [N, H, W, C] -> what preprocess.transpose_images makes of it.
  """
  if not transpose_input and space_to_depth_block_size == 1:
    return None
  return lambda images: preprocess.transpose_images(
      images, space_to_depth_block_size, transpose_input)
