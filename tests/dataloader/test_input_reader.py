"""Files to batches: shares, order, padding, layout, and files that are bad."""

import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader
from tests.dataloader import examples
from utils import modes


class NumberParser:
  """Takes the source id for the label and its place in the run for the image.

  A parser as small as one can be, so that the tests see records one by one.
  """

  def __call__(self, serialized, seed=None):
    parsed = tf.io.parse_single_example(
        serialized, {'image/source_id': tf.FixedLenFeature([], tf.string)})
    image = tf.zeros([4, 6, 3])
    if seed is not None:
      image += tf.random.stateless_uniform([], seed)
    return image, {'id': tf.string_to_number(parsed['image/source_id'],
                                             tf.int64)}

  def padding_example(self):
    return tf.zeros([4, 6, 3]), {'id': tf.constant(-1, tf.int64)}


@pytest.fixture(name='pattern')
def _pattern(tmp_path):
  """Ids 0-19 in five files."""
  for i in range(5):
    examples.write(tmp_path / ('part-%d.tfrecord' % i), [
        examples.serialize(encoded=b'x', source_id=str(4 * i + k))
        for k in range(4)])
  return str(tmp_path / 'part-*.tfrecord')


def _reader(pattern, mode=modes.TRAIN, **options):
  return input_reader.InputReader(pattern, NumberParser(), mode,
                                  'train.train_file_pattern', **options)


def _batches(dataset, limit=None):
  """[(images, ids)]."""
  batch = tf.data.make_one_shot_iterator(dataset).get_next()
  result = []
  with tf.Session() as session:
    while limit is None or len(result) < limit:
      try:
        images, labels = session.run(batch)
      except tf.errors.OutOfRangeError:
        break
      result.append((images, labels['id']))
  return result


def _ids(batches):
  return np.concatenate([ids for _, ids in batches]).tolist()


def test_training_sees_every_record_once_an_epoch(pattern):
  dataset = _reader(pattern, seed=5)({'batch_size': 4})
  ids = _ids(_batches(dataset, 15))
  epochs = [ids[:20], ids[20:40], ids[40:]]
  assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
  assert epochs[0] != epochs[1] != epochs[2]
  assert epochs[0] != list(range(20))


def test_cached_records_need_no_files_after_the_first_epoch(pattern, tmp_path):
  dataset = _reader(pattern, seed=5, cache_records=True)({'batch_size': 4})
  batch = tf.data.make_one_shot_iterator(dataset).get_next()
  with tf.Session() as session:
    ids = [session.run(batch)[1]['id'] for _ in range(5)]
    for path in tmp_path.glob('part-*'):
      path.unlink()
    ids += [session.run(batch)[1]['id'] for _ in range(25)]
  epochs = np.reshape(ids, [6, 20])
  assert (np.sort(epochs) == np.arange(20)).all()
  assert (epochs[0] != epochs[1]).any() and (epochs[1] != epochs[2]).any()


@pytest.mark.parametrize('seed, wanted, expected', [
    (5, None, True), (None, None, False), (5, False, False),
    (None, True, True)])
def test_batches_wait_for_slow_records_where_the_order_counts(
    pattern, seed, wanted, expected):
  dataset = _reader(pattern, seed=seed, is_deterministic=wanted)(
      {'batch_size': 4})
  assert dataset.options().experimental_deterministic == expected


def test_training_batches_are_full_and_static(pattern):
  dataset = _reader(pattern)({'batch_size': 3})
  assert tf.data.get_output_shapes(dataset)[0].as_list() == [3, 4, 6, 3]
  assert all(len(ids) == 3 for _, ids in _batches(dataset, 14))


def test_a_seed_repeats_order_and_augmentation(pattern):
  def run(seed):
    return _batches(_reader(pattern, seed=seed, num_parallel_calls=4)(
        {'batch_size': 4}), 12)
  first, again, other = run(1), run(1), run(2)
  assert _ids(first) == _ids(again) != _ids(other)
  for (images, _), (images_again, _) in zip(first, again):
    np.testing.assert_array_equal(images, images_again)


def test_every_record_has_random_numbers_of_its_own(pattern):
  for seed in (None, 3):
    images = np.concatenate([images for images, _ in _batches(
        _reader(pattern, seed=seed)({'batch_size': 4}), 10)])
    assert len(set(images[:, 0, 0, 0])) == 40


def test_without_a_seed_runs_differ(pattern):
  def run():
    return _ids(_batches(_reader(pattern)({'batch_size': 20}), 1))
  assert run() != run()


def _context(index, number):
  return tf.distribute.InputContext(num_input_pipelines=number,
                                    input_pipeline_id=index)


@pytest.mark.parametrize('num_hosts', [2, 3, 8])
def test_hosts_share_files_or_records(pattern, num_hosts):
  # 8 hosts and 5 files: the records are shared.
  shares = [_ids(_batches(_reader(pattern, seed=1)(
      {'batch_size': 1}, _context(host, num_hosts)), 2))
            for host in range(num_hosts)]
  flat = sum(shares, [])
  assert len(set(flat)) == len(flat)


def test_shares_cover_everything(pattern):
  ids = []
  for host, size in ((0, 12), (1, 8)):  # three files, two files
    ids += _ids(_batches(_reader(pattern)({'batch_size': size},
                                          _context(host, 2)), 1))
  assert sorted(ids) == list(range(20))


def test_host_of_a_tpu(pattern):
  context = types.SimpleNamespace(
      current_input_fn_deployment=lambda: ('/cpu:0', 1, 2, 4))
  ids = _ids(_batches(_reader(pattern)(
      {'batch_size': 8, 'context': context}), 1))
  assert sorted(ids) == [4, 5, 6, 7, 12, 13, 14, 15]


@pytest.mark.parametrize('batch_size', [1, 3, 8, 20, 32])
def test_evaluation_reads_each_record_once_and_pads(pattern, batch_size):
  batches = _batches(_reader(pattern, modes.EVAL)({'batch_size': batch_size}))
  ids = _ids(batches)
  assert all(len(b) == batch_size for _, b in batches)
  assert len(batches) == -(-20 // batch_size)
  assert ids[:20] == list(range(20))
  assert set(ids[20:]) <= {-1}


def test_evaluation_of_the_first_records(pattern):
  ids = _ids(_batches(_reader(pattern, modes.EVAL, num_examples=5)(
      {'batch_size': 4})))
  assert ids == [0, 1, 2, 3, 4, -1, -1, -1]


def test_evaluation_of_a_part_for_each_process(pattern):
  """In the batches that one process would read."""
  ids = [_ids(_batches(_reader(pattern, modes.EVAL, num_examples=9,
                               part=(2, k))({'batch_size': 2})))
         for k in range(2)]
  assert ids == [[0, 1, 4, 5, 8, -1], [2, 3, 6, 7]]
  # There may be nothing left for the last.
  assert not _batches(_reader(pattern, modes.EVAL, num_examples=7, part=(3, 2))(
      {'batch_size': 4}))


def test_evaluation_does_not_share(pattern):
  ids = _ids(_batches(_reader(pattern, modes.EVAL)(
      {'batch_size': 20}, _context(1, 2))))
  assert ids == list(range(20))


@pytest.mark.parametrize('transpose,block,shape', [
    (False, 1, (4, 4, 6, 3)), (True, 1, (4, 6, 3, 4)),
    (True, 2, (2, 3, 4, 12)), (False, 2, (4, 2, 3, 12))])
def test_layout_of_training_images(pattern, transpose, block, shape):
  layout = input_reader.accelerator_layout(transpose, block)
  for mode, expected in ((modes.TRAIN, shape), (modes.EVAL, (4, 4, 6, 3))):
    images, _ = _batches(_reader(pattern, mode, image_layout=layout)(
        {'batch_size': 4}), 1)[0]
    assert images.shape == expected


def test_lists_and_commas_are_globbed(pattern):
  first = pattern.replace('part-*', 'part-0')
  rest = pattern.replace('part-*', 'part-[1-4]')
  for patterns in (first + ', ' + rest, [first, rest], (rest, first)):
    assert len(_reader(patterns).files) == 5


def test_files_beside_the_shards_are_no_records(tmp_path, pattern):
  for name in ('part-index.json', 'part-label_map.csv'):
    (tmp_path / name).write_text('{}')
  assert len(_reader(pattern.replace('.tfrecord', '')).files) == 5


@pytest.mark.parametrize('patterns', ['', None, [], ' , '])
def test_missing_pattern(patterns):
  with pytest.raises(ValueError, match='train.train_file_pattern is not set'):
    _reader(patterns)


@pytest.mark.parametrize('missing', ['nothing-*', 'no/folder/*'])
def test_pattern_that_matches_nothing(pattern, missing, tmp_path):
  missing = str(tmp_path / missing)
  with pytest.raises(ValueError) as e:
    _reader([pattern, missing])
  assert 'train.train_file_pattern: no file matches' in str(e.value)
  assert missing in str(e.value)


def test_empty_files(tmp_path):
  path = examples.write(tmp_path / 'empty.tfrecord', [])
  with pytest.raises(ValueError, match='train.train_file_pattern.* are empty'):
    _reader(path)


def test_one_file_and_a_large_batch(tmp_path):
  path = examples.write(tmp_path / 'one.tfrecord', [
      examples.serialize(encoded=b'x', source_id=str(i)) for i in range(3)])
  ids = _ids(_batches(_reader(path, seed=0)({'batch_size': 7}), 1))
  assert sorted(ids[:3]) == sorted(ids[3:6]) == [0, 1, 2]


def test_inside_an_estimator(pattern, tmp_path):
  def model_fn(features, labels, mode, params):
    del labels, params
    loss = tf.reduce_mean(features) * tf.get_variable('w', [])
    train_op = tf.train.get_global_step().assign_add(1)
    return tf.estimator.tpu.TPUEstimatorSpec(mode, loss=loss,
                                             train_op=train_op)
  estimator = tf.estimator.tpu.TPUEstimator(
      model_fn, str(tmp_path / 'model'),
      tf.estimator.tpu.RunConfig(tpu_config=tf.estimator.tpu.TPUConfig(
          per_host_input_for_training=(
              tf.estimator.tpu.InputPipelineConfig.PER_HOST_V2))),
      use_tpu=False, train_batch_size=4, eval_batch_size=2)
  estimator.train(_reader(pattern), steps=2)
  assert estimator.get_variable_value('global_step') == 2
