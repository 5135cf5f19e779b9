"""The order of training: how random it is, and that it goes on where it was."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader
from dataloader import record_counts
from dataloader import record_order
from tests import runtimes
from tests.dataloader import examples
from utils import modes

KEY = 'train.train_file_pattern'


class PlaceParser:
  """Takes the text of a record for the label, its seed for the image."""

  def __call__(self, serialized, seed=None):
    if isinstance(serialized, tuple):
      serialized = tf.strings.join(serialized, '000000')
    return tf.stack([tf.cast(seed[0], tf.float64), tf.cast(
        seed[1], tf.float64)]), {'id': tf.string_to_number(
            serialized, tf.int64)}

  def padding_example(self):
    return tf.zeros([2], tf.float64), {'id': tf.constant(-1, tf.int64)}


@pytest.fixture(name='write')
def _write(tmp_path):
  """Writes numbers in their order, spread as converters did; the pattern."""
  def write(count, num_shards, is_contiguous=True, name='part'):
    numbers = np.arange(count)
    shards = (np.array_split(numbers, num_shards) if is_contiguous
              else [numbers[i::num_shards] for i in range(num_shards)])
    for i, shard in enumerate(shards):
      with tf.io.TFRecordWriter(
          str(tmp_path / ('%s-%05d.tfrecord' % (name, i)))) as writer:
        for number in shard:
          writer.write(b'%06d' % number)
    return str(tmp_path / (name + '-*.tfrecord'))
  return write


def _context(host=0, num_hosts=1, num_replicas=1):
  return tf.distribute.InputContext(
      num_input_pipelines=num_hosts, input_pipeline_id=host,
      num_replicas_in_sync=num_replicas)


def _read(reader, num_batches, batch_size=20, num_calls=0, context=None):
  """(ids, seeds [n, 2]) of so many batches."""
  with tf.Graph().as_default():
    dataset = reader({'batch_size': batch_size}, context, num_calls=num_calls)
    batches = tf.data.make_one_shot_iterator(
        dataset.take(num_batches).batch(num_batches)).get_next()
    with tf.Session() as session:
      images, labels = session.run(batches)
  assert labels['id'].shape == (num_batches, batch_size)
  return labels['id'].ravel(), images.reshape([-1, 2])


def _reader(pattern, seed=3, **options):
  return input_reader.InputReader(pattern, PlaceParser(), modes.TRAIN, KEY,
                                  seed=seed, **options)


def _correlation(first, second=None):
  """Of the places of the same numbers in two orders without repetition."""
  places = np.argsort(first)
  other = np.arange(len(first)) if second is None else np.argsort(second)
  return abs(np.corrcoef(places, other)[0, 1])


@pytest.mark.parametrize('num_shards, is_contiguous, seed', [
    (1, True, 5), (8, True, 5), (8, False, None), (32, False, 5),
    (32, True, None)])
def test_order_has_nothing_to_do_with_the_files(write, num_shards,
                                                is_contiguous, seed):
  reader = _reader(write(1500, num_shards, is_contiguous), seed)
  ids, _ = _read(reader, 225)
  epochs = ids.reshape(3, 1500)
  assert (np.sort(epochs) == np.arange(1500)).all()
  assert max(_correlation(epoch) for epoch in epochs) < .1
  assert max(_correlation(epochs[i], epochs[j])
             for i, j in ((0, 1), (1, 2), (0, 2))) < .1


def test_order_after_a_resume(write):
  reader = _reader(write(1500, 8))
  ids, _ = _read(reader, 75 + 38, num_calls=37)
  rest, epoch = ids[:760], ids[760:]
  assert len(set(rest)) == 760
  assert np.corrcoef(rest, np.arange(760))[0, 1] < .1
  assert _correlation(epoch) < .1


def test_sorted_classes_do_not_fill_batches(write):
  ids, _ = _read(_reader(write(2000, 10)), 31, batch_size=64)
  classes = ids.reshape(31, 64) // 200
  assert max(np.bincount(batch).max() for batch in classes) < 20


SMALL = 2 * 22 * 150  # bytes for 150 records in either buffer


@pytest.mark.parametrize('options', [
    {}, {'cache_records': True}, {'shuffle_buffer_bytes': SMALL}])
@pytest.mark.parametrize('num_hosts, num_shards', [
    (1, 1), runtimes.only('tf1', 2, 70), runtimes.only('tf2', 3, 2)])
def test_a_resumed_run_reads_on_where_the_unbroken_one_would(
    write, options, num_hosts, num_shards):
  reader = _reader(write(1000, num_shards), **options)
  for host in range(num_hosts):
    context = _context(host, num_hosts, num_replicas=num_hosts)
    ids, seeds = _read(reader, 110, context=context)
    size = next(n for n in range(1, 1001) if n == 1000 or ids[n] in ids[:n])
    assert len(set(ids[size:2 * size])) == size
    for num_calls in (size // 20 - 1, size // 20 + 1):
      resumed, resumed_seeds = _read(reader, 110 - num_calls, context=context,
                                     num_calls=num_calls)
      np.testing.assert_array_equal(resumed, ids[20 * num_calls:])
      np.testing.assert_array_equal(resumed_seeds, seeds[20 * num_calls:])


def test_epochs_of_a_small_buffer_have_every_record_once(write):
  pattern = write(1000, 70)
  reader = _reader(pattern, shuffle_buffer_bytes=SMALL)
  ids, _ = _read(reader, 150)
  epochs = ids.reshape(3, 1000)
  assert (np.sort(epochs) == np.arange(1000)).all()
  assert max(_correlation(epochs[i], epochs[i + 1]) for i in (0, 1)) < .4


def test_each_replica_takes_a_batch(write):
  reader = _reader(write(300, 4))
  context = _context(num_replicas=4)
  ids, _ = _read(reader, 40, context=context)
  resumed, _ = _read(reader, 8, num_calls=5, context=context)
  np.testing.assert_array_equal(resumed, ids[400:560])


@pytest.mark.parametrize('cache', [False, True])
def test_second_source_goes_on_too(write, cache):
  source = write(130, 2, name='source')
  reader = _reader(write(300, 4), source=(source, 'some.key'),
                   cache_records=cache)
  ids, _ = _read(reader, 40)
  resumed, _ = _read(reader, 17, num_calls=23)
  np.testing.assert_array_equal(resumed, ids[460:])
  pasted = ids % 10**6
  assert (np.sort(pasted[:130]) == np.arange(130)).all()
  assert np.corrcoef(pasted, ids // 10**12)[0, 1] < .2


def test_without_a_seed_a_restart_repeats_nothing(write):
  reader = _reader(write(300, 4), seed=None)
  first, _ = _read(reader, 5, num_calls=7)
  again, _ = _read(reader, 5, num_calls=7)
  assert len(set(first)) == 100 and first.tolist() != again.tolist()


def test_the_seed_of_the_graph_does_not_matter(write):
  reader = _reader(write(300, 4))
  orders = []
  for seed in (1, 2, None):
    with tf.Graph().as_default():
      tf.set_random_seed(seed)
      batch = tf.data.make_one_shot_iterator(
          reader({'batch_size': 100})).get_next()
      with tf.Session() as session:
        orders.append(session.run(batch)[1]['id'].tolist())
  assert orders[0] == orders[1] == orders[2]


def test_records_before_the_start_are_not_parsed(write):
  class Failing(PlaceParser):
    def __call__(self, serialized, seed=None):
      with tf.control_dependencies([tf.debugging.assert_greater_equal(
          seed[1], tf.constant(200, tf.int64))]):
        return super().__call__(serialized, seed)
  reader = input_reader.InputReader(write(300, 4), Failing(), modes.TRAIN, KEY,
                                    seed=1)
  _read(reader, 3, num_calls=10)


def test_hosts_without_a_record_stop_all_of_them(write):
  reader = _reader(write(3, 2))
  for host in range(4):
    with pytest.raises(ValueError, match='train_file_pattern: there are 3 '
                       'records in 2 files for 4 hosts'):
      reader({'batch_size': 1}, _context(host, 4))


def test_empty_files_do_not_starve_a_host(write, tmp_path):
  pattern = write(6, 3)
  for name in ('part-0', 'part-00000a', 'part-9'):
    (tmp_path / (name + '.tfrecord')).write_bytes(b'')
  reader = _reader(pattern)
  ids = [_read(reader, 1, 2, context=_context(host, 3))[0].tolist()
         for host in range(3)]
  assert sorted(sum(ids, [])) == list(range(6))


def test_hosts_share_the_records_of_small_files(write):
  """One record in each file: the first host does not get all of them."""
  reader = _reader(write(3, 3))
  ids = [_read(reader, 1, 1, context=_context(host, 3))[0][0]
         for host in range(3)]
  assert sorted(ids) == [0, 1, 2]
  pattern = write(5, 2, name='few')
  few = [_read(_reader(pattern), 1, 1, context=_context(host, 5))[0][0]
         for host in range(5)]
  assert sorted(few) == [0, 1, 2, 3, 4]


def _plan(sizes, buffer_bytes, record_bytes=100., num_hosts=1):
  files = {'%05d' % i: size for i, size in enumerate(sizes)}
  return record_order.plan(
      record_order.share(files, 0, num_hosts, None, KEY), record_bytes,
      buffer_bytes)


def test_buffers_stay_within_their_bytes():
  plan = _plan([10**6] * 400, 4 * 10**6)
  assert not plan.fits
  assert 2 * plan.buffer_records * 100. <= 4 * 10**6
  assert plan.group_size * plan.num_groups >= 400
  assert plan.group_size < 400 and plan.num_open == 32
  plan = _plan([10**6] * 4, 8 * 10**6)
  assert plan.fits and plan.num_groups == 1
  assert plan.buffer_records >= 4 * 10**4
  assert _plan([10**9], 1).buffer_records == 1


def _classes(folder, classes_of_files):
  for i, classes in enumerate(classes_of_files):
    examples.write(folder / ('part-%d.tfrecord' % i), [
        examples.serialize(encoded=b'x', boxes=[[0, 0, 1, 1]], classes=[c])
        for c in classes])
  return str(folder / 'part-*.tfrecord')


def test_an_order_that_cannot_be_good_is_said(tmp_path):
  pattern = _classes(tmp_path, [[1] * 30, [2] * 30])
  assert not _reader(pattern).complaints('the.key')
  complaint, = _reader(pattern, shuffle_buffer_bytes=500).complaints('the.key')
  assert 'in 2 files' in complaint and 'the.key' in complaint
  assert 'by class' in complaint and '--num_shards=64' in complaint
  mixed = _classes(tmp_path, [[1, 2] * 15, [2, 1] * 15])
  complaint, = _reader(mixed, shuffle_buffer_bytes=500).complaints('the.key')
  assert 'by class' not in complaint


def test_samples_are_spread_over_the_files(write):
  reader = _reader(write(1000, 70))
  sampled = record_counts.sample(reader.files)
  assert len(sampled) == 8
  assert record_counts.mean_bytes(sampled) == 22.
