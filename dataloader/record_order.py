"""The order in which training reads records: a function of seed and place.

Training reads an endless sequence of epochs. In each epoch the files come in a
new order, which a hash of (seed, epoch) gives; several are read at a time, and
their records, still encoded, pass a shuffle buffer with a seed of its own. So
the record at any place of the sequence follows from the seed, and a run can
start at any place: complete epochs and complete groups of files before it are
left out by arithmetic on the counts of records; the records before the place
within its group are read, but not parsed.

A set that fits the buffer comes in a random order whatever its files hold. An
epoch of a larger one is made of groups of files, each shuffled separately. The
buffer of the next group or epoch fills while the present one is emptied, so
that nothing waits for it; therefore each gets half of the bytes.

Graph operations only: a TPU runs its input on its host, without this program.
"""

import typing
from typing import Callable, List, Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import record_counts

_as_written = tf.autograph.experimental.do_not_convert  # see input_reader
_READ_BUFFER = 1 << 20   # bytes of each open file
_MIN_OPEN, _MAX_OPEN = 8, 32  # files that are read at a time; upstream: 32
# Files open / files of a host. More of them mix more of the set at once; fewer
# of them put a file into more different places from epoch to epoch.
_OPEN_SHARE = 8
# Size of a group in buffers. While a buffer is emptied nothing is read, which
# should be the exception.
_GROUP_BUFFERS = 8
# Records beyond the estimate for a set that fits the buffer; a place costs 24
# bytes.
_SPARE_PLACES = 1024
_SPARE_SHARE = 1.25
# The seed of the graph would go into the seed of every shuffle; it may differ
# from start to start.
_GRAPH_SEED = 1
_EPOCH_SEED_STEP = 1000003  # keeps hashes of files apart from those of records
_MAX_SEED = 2**31 - 1
_ENDLESS = 2**62


class ShareError(ValueError):
  """The records cannot be divided among the hosts."""


class Share(typing.NamedTuple):
  """The share of one host: every `stride`-th record of some files.

  Attributes:
    files: [path].
    sizes: [int], bytes of each.
    stride: int; 1 where hosts share files, else the number of hosts.
    firsts: [int], the first record of each file that this host reads.
    counts: [int], records of each file that this host reads; None: not known.
  """
  files: list
  sizes: list
  stride: int
  firsts: list
  counts: typing.Optional[list]


def share(sizes: Mapping[str, int], host: int, num_hosts: int,
          count_each: Callable[[Sequence[str]], Sequence[int]],
          key: str) -> Share:
  """Divides files, or their records where there are too few files.

  Args:
    sizes: {path: bytes} of the files.
    host: int, index of the host.
    num_hosts: int.
    count_each: ([path]) -> [int], numbers of records; called where needed.
    key: configuration key of the files, for the error.

  Returns:
    Share, with at least one record.

  Raises:
    ShareError: on every host, if one of them would get no record: that one
      would end at once, and the others would wait for it.
  """
  files = [path for path in sorted(sizes) if sizes[path]]
  if len(files) >= num_hosts:
    files = files[host::num_hosts]
    return Share(files, [sizes[p] for p in files], 1, [0] * len(files), None)
  totals = count_each(files)
  if sum(totals) < num_hosts:
    raise ShareError(
        '%s: there are %d records in %d files for %d hosts, and each host '
        'needs one at least. Use fewer hosts or more records.' % (
            key, sum(totals), len(files), num_hosts))
  # The records of all files are numbered; each host gets every n-th.
  befores = np.cumsum([0] + list(totals[:-1]))
  firsts = [int(f) for f in (host - befores) % num_hosts]
  counts = [max(0, -(-(t - f) // num_hosts)) for t, f in zip(totals, firsts)]
  kept = [i for i, count in enumerate(counts) if count]
  return Share([files[i] for i in kept], [sizes[files[i]] for i in kept],
               num_hosts, [firsts[i] for i in kept], [counts[i] for i in kept])


class Plan(typing.NamedTuple):
  """How a share is read.

  Attributes:
    share: Share.
    group_size: int, files of a group.
    num_groups: int, of an epoch.
    num_open: int, files that are read at a time.
    buffer_records: int, of each of the two shuffle buffers.
    fits: whether a buffer holds an epoch.
  """
  share: Share
  group_size: int
  num_groups: int
  num_open: int
  buffer_records: int
  fits: bool


def plan(host_share: Share, record_bytes: float, buffer_bytes: int) -> Plan:
  """Chooses groups and buffer.

  Args:
    host_share: Share.
    record_bytes: float, mean length of a record.
    buffer_bytes: int, of both buffers together.

  Returns:
    Plan.
  """
  num_files = len(host_share.files)
  total = sum(host_share.sizes) / host_share.stride
  buffer_bytes = buffer_bytes / 2
  num_open = min(num_files, max(_MIN_OPEN, min(
      _MAX_OPEN, num_files // _OPEN_SHARE)))
  if total <= buffer_bytes:
    places = int(total / record_bytes * _SPARE_SHARE) + _SPARE_PLACES
    return Plan(host_share, num_files, 1, num_open, places, True)
  group_size = int(max(num_open, -(-_GROUP_BUFFERS * buffer_bytes * num_files
                                   // total)))
  num_groups = max(1, round(num_files / group_size))
  return Plan(host_share, -(-num_files // num_groups), num_groups, num_open,
              max(1, int(buffer_bytes / record_bytes)), False)


def records(chosen: Plan, seed: int, start: int,
            count_each: Callable[[Sequence[str]], Sequence[int]],
            is_deterministic: bool = True,
            cache: bool = False) -> tf.data.Dataset:
  """The endless sequence of records.

  Args:
    chosen: Plan.
    seed: int.
    start: int, the place in the sequence to start at.
    count_each: ([path]) -> [int], numbers of records; called where needed.
    is_deterministic: whether to wait for a slow file.
    cache: whether to keep the records in memory after they were read once.

  Returns:
    tf.data.Dataset of strings.
  """
  counts = chosen.share.counts
  if counts is None and (start or cache):
    counts = count_each(chosen.share.files)
  size = sum(counts) if counts else 0
  epoch, place = divmod(start, size) if start else (0, 0)
  if cache:
    return _cached(chosen, seed, epoch, place, size, is_deterministic)
  return _from_files(chosen, seed, epoch, place, counts, is_deterministic)


def _from_files(chosen, seed, start_epoch, start_place, counts,
                is_deterministic):
  """Reads again in every epoch."""
  paths, firsts = chosen.share.files, chosen.share.firsts
  num_groups, group_size = chosen.num_groups, chosen.group_size

  @_as_written
  def group(number):
    tf.set_random_seed(_GRAPH_SEED)
    epoch = number // num_groups
    first = tf.cast(number % num_groups, tf.int32) * group_size
    order = _permutation(len(paths), seed, epoch)
    mine = order[first:first + group_size]
    skipped = tf.constant(0, tf.int64)
    if start_place:
      of_files = tf.constant(counts, tf.int64)
      before = tf.reduce_sum(tf.gather(of_files, order[:first]))
      inside = tf.reduce_sum(tf.gather(of_files, mine))
      skipped = tf.where(tf.equal(epoch, start_epoch),
                         tf.clip_by_value(start_place - before, 0, inside),
                         skipped)
      # A group that lies before the start is not read at all.
      mine = mine[:tf.where(tf.equal(skipped, inside), 0, group_size)]
    dataset = _interleaved(
        tf.gather(tf.constant(paths), mine),
        tf.gather(tf.constant(firsts, tf.int64), mine), chosen,
        is_deterministic)
    dataset = dataset.shuffle(chosen.buffer_records, _hash(seed, number),
                              reshuffle_each_iteration=False)
    return dataset.skip(skipped) if start_place else dataset

  # With a cycle of one element, the order is that of the groups; what is ahead
  # is the next group, whose buffer fills meanwhile.
  return tf.data.Dataset.range(start_epoch * num_groups, _ENDLESS).apply(
      tf.data.experimental.parallel_interleave(
          group, cycle_length=1, sloppy=False, buffer_output_elements=1,
          prefetch_input_elements=1))


def _cached(chosen, seed, start_epoch, start_place, size, is_deterministic):
  """Reads once; every epoch is a permutation of what is in memory."""
  everything = _interleaved(tf.constant(chosen.share.files),
                            tf.constant(chosen.share.firsts, tf.int64), chosen,
                            is_deterministic)
  # One tensor [size], for an epoch can refer to it without a copy.
  everything = everything.batch(size).cache().repeat()

  @_as_written
  def epoch_of(number, strings):
    order = _permutation(size, seed, number)
    if start_place:
      order = order[tf.where(tf.equal(number, start_epoch), start_place, 0):]
    return tf.data.Dataset.from_tensor_slices(order).map(
        _as_written(lambda place: strings[place]))

  return tf.data.Dataset.zip((
      tf.data.Dataset.range(start_epoch, _ENDLESS), everything)).flat_map(
          epoch_of)


def _interleaved(paths, firsts, chosen, is_deterministic):
  """The records of files, of several at a time."""
  stride = chosen.share.stride

  @_as_written
  def read(path, first):
    dataset = tf.data.TFRecordDataset(path, buffer_size=_READ_BUFFER)
    return dataset.shard(stride, first) if stride > 1 else dataset

  # The parallel form of Dataset.interleave crashes now and then in TF 1.15 when
  # a session is closed.
  return tf.data.Dataset.from_tensor_slices((paths, firsts)).apply(
      tf.data.experimental.parallel_interleave(
          read, cycle_length=chosen.num_open, sloppy=not is_deterministic))


def _permutation(size, seed, epoch):
  """int32 [size], another one for every (seed, epoch)."""
  keys = tf.random.stateless_uniform(
      [size], tf.stack([tf.constant(seed, tf.int64), epoch]), 0, _MAX_SEED,
      tf.int32)
  return tf.argsort(keys, stable=True)


def _hash(seed, number):
  """int64 [], a random number of (seed, number)."""
  return tf.random.stateless_uniform(
      [], tf.stack([tf.constant(seed + _EPOCH_SEED_STEP, tf.int64), number]), 0,
      _MAX_SEED, tf.int64)


def complaints(chosen: Plan, sampled: Mapping[str, List[bytes]],
               buffer_key: str) -> List[str]:
  """Reasons why the order cannot be random enough.

  Args:
    chosen: Plan.
    sampled: from record_counts.sample.
    buffer_key: configuration key of the bytes of the buffer.

  Returns:
    [str], empty when the order is as good as it should be.
  """
  num_files = len(chosen.share.files)
  if chosen.fits or num_files >= _OPEN_SHARE * _MIN_OPEN:
    return []
  total = sum(chosen.share.sizes) / chosen.share.stride
  text = (
      'The records of a host are in %d files of %.3g GB together, and the '
      'shuffle buffer is smaller (%s): in every epoch they come nearly in the '
      'order of the files. ' % (num_files, total / 1e9, buffer_key))
  if _one_class_each(sampled):
    text += ('The records are sorted by class, so that batches will hold few '
             'of the classes at a time, from which training suffers. ')
  return [text + 'Convert with --num_shards=%d or more, or set the key to %d.'
          % (_OPEN_SHARE * _MIN_OPEN, 2 * total)]


_CLASS_KEYS = ('image/class/label', 'image/object/class/label')
_ONE_CLASS = .9  # share of the records of a file


def _one_class_each(sampled):
  """Whether files begin with one class, and not all with the same one."""
  tops = set()
  for serialized in sampled.values():
    classes = [c for c in map(_class_of, serialized) if c is not None]
    if not classes:
      return False
    top = max(set(classes), key=classes.count)
    if classes.count(top) < _ONE_CLASS * len(classes):
      return False
    tops.add(top)
  return len(tops) > 1 or len(sampled) == 1


def _class_of(serialized):
  """The first class id in a record, or None."""
  try:
    features = tf.train.Example.FromString(serialized).features.feature
  except Exception:  # pylint: disable=broad-except
    # The type depends on the implementation of protobuf; parsing reports it.
    return None
  for key in _CLASS_KEYS:
    values = features[key].int64_list.value
    if values:
      return values[0]
  return None


def make(sizes: Mapping[str, int], host: int, num_hosts: int, key: str,
         buffer_bytes: int, sampled: Mapping[str, List[bytes]],
         count_each: Callable[[Sequence[str]], Sequence[int]]) -> Plan:
  """The Plan of a host: its share, read with a buffer of these bytes.

  Args:
    sizes: see `share`, as host, num_hosts, key, count_each.
    host: see there.
    num_hosts: see there.
    key: see there.
    buffer_bytes: see `plan`.
    sampled: from record_counts.sample, the same on every start and host.
    count_each: see `share`.

  Returns:
    Plan.
  """
  return plan(share(sizes, host, num_hosts, count_each, key),
              record_counts.mean_bytes(sampled), buffer_bytes)
