"""Images of the training input, with their labels, in TensorBoard."""

import io

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from dataloader import inputs
from executor import estimator as estimator_lib
from executor import input_images
from executor import loops
from executor import progress
from ops import compat
from ops import preprocess
from tests.dataloader import examples
from tests.executor import toy
from tests.executor.test_hooks import _event_steps
from utils import drawing
from utils import fields
from utils import modes

_BOX = [.25, .125, .75, .625]


def _model_fn(features, labels, mode, params):
  """Trains something else; the input is what matters."""
  del features, labels, params
  weight = tf.get_variable('weight', initializer=tf.constant(0.))
  loss = tf.square(weight - 1.)
  return tf.estimator.EstimatorSpec(
      mode, loss=loss, train_op=tf.train.GradientDescentOptimizer(
          .1).minimize(loss, tf.train.get_or_create_global_step()))


@pytest.fixture(name='config_of')
def _config_of(tmp_path):
  """A detector on gray images of one object, in batches of two."""
  examples.write(tmp_path / 'train', [examples.serialize(
      np.full([32, 32, 3], 128, np.uint8), [_BOX], [3], source_id=str(i))
                                      for i in range(4)])
  (tmp_path / 'names.csv').write_text('3:cat\n')

  def config_of(**changes):
    return toy.config(tmp_path / 'model', **dict({
        'train__train_batch_size': 2, 'train__total_steps': 5,
        'train__train_file_pattern': str(tmp_path / 'train'),
        'eval__label_map': str(tmp_path / 'names.csv'),
        'retinanet_parser__output_size': (32, 32),
        'retinanet_parser__aug_rand_hflip': False,
        'architecture__max_level': 5, 'train__seed': 7}, **changes))
  return config_of


def _train(config):
  loops.train(config, estimator_lib.build_estimator(config, _model_fn),
              estimator_lib.with_batch_size(
                  inputs.build_input_fn(config, modes.TRAIN), config,
                  modes.TRAIN))


def _shown(folder):
  """{(tag, step): pixels} of the events."""
  found = {}
  for path in folder.glob('*tfevents*'):
    for event in tf.train.summary_iterator(str(path)):
      for value in event.summary.value:
        if value.tag.startswith('inputs/'):
          found[value.tag, event.step] = np.array(Image.open(
              io.BytesIO(value.image.encoded_image_string)))
  return found


def test_images_on_request(config_of, tmp_path):
  _train(config_of(train__image_summaries_every_n_steps=2))
  shown = _shown(tmp_path / 'model')
  assert sorted(shown) == [('inputs/%d' % i, step) for i in (0, 1)
                           for step in (1, 2, 4)]
  expected = drawing.draw_detections(
      np.full([32, 32, 3], 128, np.uint8), [np.array(_BOX) * 32], [3],
      label_map={3: 'cat'})
  for pixels in shown.values():  # The gray went through a normalization.
    np.testing.assert_allclose(pixels.astype(int), expected, atol=2)


@pytest.mark.one_runtime('tf1')
def test_images_of_the_first_of_several_devices(config_of, tmp_path,
                                                monkeypatch):
  """And the time that a step waits for the batches of all is measured."""
  monkeypatch.setattr(progress.processors, 'available', lambda: 2)
  config = config_of(train__image_summaries_every_n_steps=2,
                     train__total_steps=2, train__log_every_steps=1,
                     train__train_batch_size=4)
  found = []

  class Look(tf.train.SessionRunHook):
    def begin(self):
      found.extend(op for op in tf.get_default_graph().get_operations()
                   if op.type == compat.NEXT_BATCH)
      assert progress.input_wait() is not None

  devices = ['/cpu:0', '/cpu:1']
  loops.train(config, estimator_lib.build_estimator(
      config, _model_fn, devices=devices), estimator_lib.with_batch_size(
          inputs.build_input_fn(config, modes.TRAIN), config, modes.TRAIN, 2),
              make_hooks=[lambda config: Look()])
  assert len(found) == 2
  shown = _shown(tmp_path / 'model')
  assert sorted(shown) == [('inputs/%d' % i, step) for i in (0, 1)
                           for step in (1, 2)]


def test_nothing_without_the_key(config_of, tmp_path):
  _train(config_of())
  assert not any(tag.startswith('inputs') for tag in _event_steps(
      tmp_path / 'model'))


def test_another_batch_is_told(tmp_path, caplog):
  config = toy.config(tmp_path, train__image_summaries_every_n_steps=2)
  tf.logging.set_verbosity(tf.logging.WARN)
  with caplog.at_level('WARNING'):
    loops.train(config, estimator_lib.build_estimator(config, toy.model_fn),
                estimator_lib.with_batch_size(toy.input_fn, config,
                                              modes.TRAIN))
  assert any('so no images are drawn' in m for m in caplog.messages)
  assert not _shown(tmp_path)


@pytest.mark.parametrize('transpose, block', [(True, 1), (True, 2), (False, 2)])
def test_layouts_of_accelerators_are_undone(transpose, block):
  config = toy.config('', model='classification',
                      train__transpose_input=transpose,
                      architecture__space_to_depth_block_size=block)
  pixels = np.random.RandomState(0).rand(3, 8, 8, 3).astype(np.float32)
  with tf.Graph().as_default() as graph, tf.Session() as session:
    images = preprocess.transpose_images(
        tf.constant((pixels - preprocess.MEAN_RGB)
                    / np.float32(preprocess.STDDEV_RGB)),
        block, transpose)
    tf.data.make_one_shot_iterator(tf.data.Dataset.from_tensors(
        (session.run(images), np.arange(3, dtype=np.int32)))).get_next()
    shown, labels = session.run(input_images.shown_tensors(config, graph))
  np.testing.assert_allclose(
      shown * preprocess.STDDEV_RGB + preprocess.MEAN_RGB, pixels, atol=1e-5)
  assert labels.tolist() == [0, 1, 2]


def test_classes_of_pixels_and_of_images():
  gray = (np.full([200, 200, 3], 128 / 255.) - preprocess.MEAN_RGB
          ) / preprocess.STDDEV_RGB
  classes = np.zeros([200, 200, 1])
  classes[:100], classes[100:] = 1, 255
  drawn = input_images.draw(None, gray, {
      fields.MASKS: classes, fields.VALID_MASKS: classes != 255}, {})
  assert drawn.shape == (200, 400, 3)
  assert (drawn[90, 390] != drawn[90, 90]).any()
  assert (drawn[190, 390] == drawn[190, 190]).all()  # ignored, gray as before
  known = input_images.draw(None, gray, np.int32(1), {1: 'dog'})
  assert (known == drawing.draw_classes(
      np.full([200, 200, 3], 128, np.uint8), ['dog'])).all()
