"""The frame of parsers, with toy parts, and the recipes of docs/extending.md.
"""

import os
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from dataloader import factory
from dataloader import inputs
from dataloader import parser as parsing
from dataloader import sample as samples
from tests import docs_blocks
from tests.dataloader import examples
from utils import modes

SIZE = (2, 3)


def _decode(serialized):
  """A sample of the number that a record is."""
  number = tf.strings.to_number(serialized)
  return samples.Sample(tf.fill(SIZE + (3,), number),
                        record={'number': number})


def _double(sample):
  return sample._replace(image=2. * sample.image)


def _shift(sample):
  """A step that draws, if it can."""
  shift = 100.
  if sample.draws is not None:
    shift = sample.draws.uniform('shift', low=1., high=2.)
  return sample._replace(image=sample.image + shift)


class _Number:
  """`number`: float32 [], what was decoded; -1 where nothing was."""

  def __call__(self, sample):
    return {'number': sample.record['number']}

  def spec(self):
    return {'number': tf.TensorSpec([], tf.float32)}

  def padding(self):
    return {'number': tf.constant(-1.)}


def _parser(mode, steps=(_double, _shift), **options):
  return parsing.Parser(mode, _decode, steps, _Number(), SIZE, **options)


def _batch(parser, mode):
  """A batch of two records, as the input pipeline makes it."""
  dataset = tf.data.Dataset.from_tensor_slices(['3', '4'])
  if mode == modes.TRAIN:
    dataset = dataset.map(lambda record: parser(record, seed=[1, 2]))
  else:
    dataset = dataset.map(parser)
  batch = tf.data.make_one_shot_iterator(dataset.batch(2)).get_next()
  with tf.Session() as session:
    return session.run(batch)


@pytest.mark.parametrize('mode', modes.ALL)
def test_steps_in_their_order_then_labels(mode):
  batch = _batch(_parser(mode), mode)
  images, labels = (batch['images'], batch['labels']) if isinstance(
      batch, dict) else batch
  assert isinstance(batch, dict) == mode.startswith('predict')
  np.testing.assert_array_equal(labels['number'], [3., 4.])
  assert images.shape == (2,) + SIZE + (3,)
  shifts = images - np.reshape([6., 8.], [2, 1, 1, 1])
  if mode == modes.TRAIN:
    assert shifts.min() == pytest.approx(shifts.max()) and 1. <= shifts[
        0, 0, 0, 0] < 2.
  else:
    assert np.all(shifts == 100.)


def test_no_random_numbers_outside_of_training():
  sample = _parser(modes.EVAL).prepare(tf.constant('3'), seed=[1, 2])
  assert sample.draws is None
  sample = _parser(modes.EVAL).prepare(tf.constant('3'), draws=object())
  assert sample.draws is None
  assert _parser(modes.TRAIN).prepare(tf.constant('3'), [1, 2]).draws


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_padding_is_like_an_example(dtype):
  parser = _parser(modes.PREDICT_WITH_GT, dtype=dtype)
  parsed, padding = parser(tf.constant('3')), parser.padding_example()
  tf.nest.assert_same_structure(parsed, padding)
  assert parsed['images'].dtype == padding['images'].dtype == dtype
  assert parsed['images'].shape == padding['images'].shape
  with tf.Session() as session:
    assert session.run(padding['labels']) == {'number': -1.}


def test_unknown_mode():
  with pytest.raises(ValueError, match="'training'; it can be train, eval"):
    _parser('training')


def _block(argument):
  """A block of the document of this name."""
  block, = [b for b in docs_blocks.read('docs/extending.md')
            if b.argument == argument]
  return block.text


def _overrides(path):
  return ['retinanet_parser.output_size=[32,32]', 'architecture.num_classes=4',
          'architecture.use_bfloat16=false', 'train.transpose_input=false',
          'train.train_file_pattern=%s' % path,
          'eval.eval_file_pattern=%s' % path, 'train.seed=3']


def _records(path):
  """Images of one colour; the first has two objects and a crowd, the next one.
  """
  boxes = [[.1, .1, .9, .9], [.2, .2, .8, .8], [0., 0., .5, .5]]
  return examples.write(path, [
      examples.serialize(np.full([20, 30, 3], 200, np.uint8), boxes[:count],
                         [1] * count, is_crowd=[0, 0, 1][:count],
                         source_id=str(count)) for count in (3, 1)])


def test_the_recipe_of_a_labelling_step(tmp_path, monkeypatch):
  """Performed as a plugin, from files to batches."""
  monkeypatch.setattr(factory, 'PARSERS', dict(factory.PARSERS))
  plugin = types.ModuleType('my_labels')
  exec(compile(_block('my_labels.py'), 'my_labels.py', 'exec'),
       plugin.__dict__)
  overrides = _overrides(_records(tmp_path / 'a.tfrecord'))
  config, _ = config_factory.load_config('retinanet', None, ','.join(overrides))

  def batch(mode, batch_size):
    data = inputs.build_input_fn(config, mode)({'batch_size': batch_size})
    following = tf.data.make_one_shot_iterator(data).get_next()
    with tf.Session() as session:
      return session.run(following)

  images, labels = batch(modes.TRAIN, 2)
  assert images.shape == (2, 32, 32, 3)
  # Without the crowd.
  assert sorted(zip(labels['source_id'], labels['count'])) == [(1, 1), (3, 2)]
  labels = batch(modes.PREDICT_WITH_GT, 3)['labels']
  assert labels['source_id'].tolist() == [3, 1, -1]
  assert labels['count'].tolist() == [2, 1, -1]


_PRINT_IMAGES = '''
import sys
from ops import compat
compat.enable_graph_mode()
import tensorflow.compat.v1 as tf
from configs import factory
from dataloader import inputs
config = factory.load_config('retinanet', None, sys.argv[1])[0]
for mode in ('train', 'eval'):
  data = inputs.build_input_fn(config, mode)({'batch_size': 2})
  images, _ = tf.data.make_one_shot_iterator(data).get_next()
  with tf.Session() as session:
    print(*session.run(images)[:, 0, 0, 0])
'''


@pytest.mark.one_runtime('tf1')  # as of the recipes of a family, on tf2
def test_the_recipe_of_an_augmentation_step(tmp_path):
  """Two files are edited in a copy; nothing else."""
  copy = tmp_path / 'copy'
  for room in ('configs', 'utils', 'ops', 'dataloader'):
    shutil.copytree(os.path.join(docs_blocks.ROOT, room), str(copy / room),
                    ignore=shutil.ignore_patterns('__pycache__'))
  path = copy / 'dataloader' / 'steps.py'
  path.write_text(path.read_text() + '\n\n' + _block('step'))
  path = copy / 'dataloader' / 'factory.py'
  text, place = path.read_text(), '      (_ALWAYS, steps.to_pixels),\n'
  assert text.count(place) == 1
  path.write_text(text.replace(place, _block('row') + place))
  result = subprocess.run(
      [sys.executable, '-c', _PRINT_IMAGES,
       ','.join(_overrides(_records(tmp_path / 'a.tfrecord')))],
      cwd=str(copy), env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL='2'),
      capture_output=True, text=True)
  assert result.returncode == 0, result.stderr
  training, evaluation = [[float(value) for value in line.split()]
                          for line in result.stdout.splitlines()]
  def red(color):
    return (color / 255. - .485) / .229
  np.testing.assert_allclose(evaluation, red(200.), rtol=1e-5)
  assert all(red(49.) <= value <= red(200.) for value in training)
  assert training[0] != training[1]
