"""Finding, checking and completing checkpoints."""

import os
import shutil

import pytest
import tensorflow.compat.v1 as tf

from executor import checkpoints
from executor import errors
from tests.executor import toy


def test_step_of_the_name():
  assert checkpoints.step_of('/a-1/model.ckpt-120') == 120
  assert checkpoints.step_of('/a/model.ckpt') == 0


def test_latest(tmp_path):
  assert checkpoints.latest(str(tmp_path / 'missing')) is None
  assert checkpoints.latest(str(tmp_path)) is None
  assert checkpoints.latest_step(str(tmp_path)) == 0
  for step in (9, 10):
    toy.save_checkpoint(tmp_path, step, w=[0.])
  assert checkpoints.latest_step(str(tmp_path)) == 10
  # A downloaded folder often lacks the file that names the newest.
  os.remove(str(tmp_path / 'checkpoint'))
  assert checkpoints.latest_step(str(tmp_path)) == 10
  assert [checkpoints.step_of(p)
          for p in checkpoints.find_all(str(tmp_path))] == [9, 10]


def test_is_complete(tmp_path):
  path = toy.save_checkpoint(tmp_path, 1, w=[0.])
  assert toy.is_complete(path)
  os.truncate(path + '.data-00000-of-00001', 1)
  assert not toy.is_complete(path)
  os.remove(path + '.index')
  assert not toy.is_complete(path)


def test_check_fits(tmp_path):
  path = toy.save_checkpoint(tmp_path, 1, a=[0.], b=[0., 1.], unused=[5.])
  a = tf.get_variable('a', initializer=[0.])
  b = tf.get_variable('b', initializer=[0.])
  copy = tf.get_variable('a/replica_1', initializer=[0.])
  others = [tf.get_variable('c%d' % i, initializer=[0.]) for i in range(7)]
  checkpoints.check_fits(path, [a, copy])
  with pytest.raises(errors.SetupError) as e:
    checkpoints.check_fits(path, [a, b] + others)
  message = str(e.value)
  assert path in message and 'b is [2] in the checkpoint, [1]' in message
  assert '7 not in the checkpoint' in message and 'and 2 more' in message


def test_restorable_adds_the_step(tmp_path):
  path = toy.save_checkpoint(tmp_path, 12, w=[3.])
  with checkpoints.restorable(path) as copy:
    reader = tf.train.load_checkpoint(copy)
    assert reader.get_tensor('global_step') == 12
    assert reader.get_tensor('w') == [3.]
    assert checkpoints.step_of(copy) == 12
  assert not os.path.exists(copy + '.index')
  complete = toy.save_checkpoint(tmp_path, 13, global_step=13)
  with checkpoints.restorable(complete) as same:
    assert same == complete


def _fit(path, **variables):
  with tf.Graph().as_default():
    for name, value in variables.items():
      tf.get_variable(name, initializer=tf.constant(value))
    checkpoints.check_fits(path, tf.global_variables())


@pytest.mark.parametrize('names, key', [
    (['weight/ExponentialMovingAverage', 'training/num_averaged'],
     'train.moving_average_decay'),
    (['weight/AccumulatedGradient', 'training/num_accumulated'],
     'train.accumulation_steps'),
    (['weight/Momentum'], 'train.optimizer.type or train.frozen_variable'),
    (['current_loss_scale', 'good_steps'], 'train.mixed_precision'),
    (['head/moving_normalizer', 'head/moving_normalizer/biased'],
     'retinanet_loss.normalizer_momentum')])
def test_key_that_was_switched_on_is_named(tmp_path, names, key):
  path = toy.save_checkpoint(tmp_path, 5, weight=[1.])
  (tmp_path / 'params.3.yaml').write_text('')
  with pytest.raises(errors.SetupError) as e:
    _fit(path, weight=[1.], **{name: [0.] for name in names})
  message = str(e.value)
  assert key in message and 'another model' not in message
  assert 'train.checkpoint.path=%s' % path in message
  assert str(tmp_path / 'params.3.yaml') in message
  # With another variable of the model missing, it is another model.
  with pytest.raises(errors.SetupError, match='another model'):
    _fit(path, weight=[1.], other=[1.], **{name: [0.] for name in names})


@pytest.fixture(name='place', params=['absolute', 'relative', 'url'])
def _place(request, tmp_path, monkeypatch):
  """A folder of checkpoints of steps 1 to 3, as it may be written."""
  monkeypatch.chdir(tmp_path)
  for step in (1, 2, 3):
    (tmp_path / 'a').mkdir(exist_ok=True)
    toy.save_checkpoint(tmp_path / 'a', step, w=[float(step)])
  return {'absolute': str(tmp_path / 'a'), 'relative': 'a',
          'url': 'file://%s/a' % tmp_path}[request.param]


def _weight(folder):
  """Of what TensorFlow finds in a folder."""
  path = tf.train.latest_checkpoint(folder)
  return tf.train.load_checkpoint(path).get_tensor('w').tolist()


def test_a_missing_state_is_written(place):
  os.remove('a/checkpoint')
  path = checkpoints.latest(place)
  assert path == os.path.join(place, 'model.ckpt-3')
  checkpoints.make_known(path)
  assert tf.train.latest_checkpoint(place) == path
  assert _weight(place) == [3.]
  checkpoints.write_state(place, ['model.ckpt-3', 'model.ckpt-1'])
  assert _weight(place) == [1.]
  state = tf.train.get_checkpoint_state(place)
  assert [checkpoints.step_of(p)
          for p in state.all_model_checkpoint_paths] == [3, 1]


def test_a_copied_folder_is_one_of_its_own(place, tmp_path):
  """TensorFlow's file names the place that it was written in."""
  shutil.copytree('a', 'b')
  toy.save_checkpoint(tmp_path / 'b', 2, w=[20.])
  shutil.copy('a/checkpoint', 'b/checkpoint')
  os.remove('b/model.ckpt-1.index')
  toy.save_checkpoint(tmp_path / 'a', 4, w=[4.])
  copy = place[:-1] + 'b'
  path = checkpoints.latest(copy)
  assert path == os.path.join(copy, 'model.ckpt-3')
  checkpoints.make_known(path)
  assert tf.train.latest_checkpoint(copy) == path
  # What it keeps is what is there.
  state = tf.train.get_checkpoint_state(copy)
  assert [os.path.basename(p) for p in state.all_model_checkpoint_paths][
      -1] == 'model.ckpt-3'
  assert all(os.path.dirname(p) == copy
             for p in state.all_model_checkpoint_paths)


def test_is_in(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for folder in ('a', './a/', str(tmp_path / 'a'), 'b/../a'):
    assert checkpoints.is_in(str(tmp_path / 'a' / 'model.ckpt-1'), folder)
    assert checkpoints.is_in('a/model.ckpt-1', folder)
    assert not checkpoints.is_in('a/best/model.ckpt-1', folder)
  assert checkpoints.is_in('gs://b/a/model.ckpt-1', 'gs://b/a/')
  assert not checkpoints.is_in('gs://b/a/model.ckpt-1', 'gs://c/a')
