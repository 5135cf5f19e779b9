"""A perfect network: the parser's targets as its outputs score an AP of 1.

Everything but the network takes part: records, reader, parser, anchors, the
detection generator, the evaluation.
"""

import io

import pytest
import tensorflow.compat.v1 as tf

from architecture import factory as architecture_factory
from configs import factory as config_factory
from dataloader import inputs as dataloader_inputs
from executor import evaluation
from modeling import factory
from tests import model_kinds
from tests.dataloader import examples
from tests.executor import toy
from utils import fields
from utils import modes

# Height and width of the image; objects (class, y0, x0, y1, x1, is_crowd).
_INSIDE = [
    ((64, 64), [(1, 4, 5, 20, 30, 0), (2, 30, 8, 60, 28, 0)]),
    ((200, 90), [(3, 20, 10, 120, 60, 0), (3, 130, 20, 190, 80, 0),
                 (1, 10, 65, 50, 85, 1)]),
    ((30, 45), []),
    ((20, 50), [(2, 3, 3, 17, 20, 0), (1, 2, 26, 16, 47, 0)])]
_AT_THE_BORDER = [((64, 64), [(1, 0, 0, 30, 64, 0), (2, 40, 20, 64, 44, 0)]),
                  ((100, 100), [(3, 0, 0, 100, 100, 0)])]


class _PerfectNetwork:
  """Parts of a model that find what the labels hold."""

  def __init__(self, num_classes):
    self._num_classes = num_classes
    self.labels = None

  def backbone(self, images, is_training):
    del images, is_training
    return {}

  def decoder(self, features, is_training):
    del is_training
    return features

  def head(self, features, is_training):
    """Logits and deltas of the anchors that are labelled."""
    del features, is_training
    logits = {}
    for level, targets in self.labels[fields.CLS_TARGETS].items():
      hot = tf.one_hot(targets, self._num_classes, on_value=8., off_value=-8.)
      # No class 0 among the logits' winners; -1 and 0 have no hot class.
      hot = tf.concat([-8. * tf.ones_like(hot[..., :1]), hot[..., 1:]], axis=-1)
      shape = tf.shape(targets)
      logits[level] = tf.reshape(hot, tf.concat([shape[:3], [
          targets.shape[3].value * self._num_classes]], axis=0))
      logits[level].set_shape(targets.shape[:3].as_list() + [
          targets.shape[3].value * self._num_classes])
    return logits, self.labels[fields.BOX_TARGETS]


class _Estimator:
  """Runs the model on the batches of the reader."""

  def __init__(self, config, network):
    self._config, self._network = config, network

  def predict(self, input_fn, checkpoint_path, yield_single_examples, hooks):
    del checkpoint_path, yield_single_examples, hooks
    with tf.Graph().as_default(), tf.Session() as session:
      batch = tf.data.make_one_shot_iterator(
          input_fn({'batch_size': 2})).get_next()
      self._network.labels = batch['labels']
      model = factory.build_retinanet(
          self._config, build_head=lambda *_: self._network.head)
      outputs = model.outputs(batch['images'], batch['labels'],
                              modes.PREDICT_WITH_GT)
      predictions = model.predictions(outputs, batch['labels'])
      while True:
        try:
          yield session.run(predictions)
        except tf.errors.OutOfRangeError:
          return


@pytest.mark.parametrize('images, clip_to_border', [
    (_INSIDE, False), (_INSIDE, True), (_AT_THE_BORDER, True)])
def test_average_precision_is_one(tmp_path, monkeypatch, images,
                                  clip_to_border):
  path = examples.write(tmp_path / 'val', [
      model_kinds.record('image %d' % i, model_kinds.image(*size), objects)
      for i, (size, objects) in enumerate(images)])
  config, _ = config_factory.load_config(
      'retinanet', None, model_kinds.content('retinanet', architecture={
          'clip_boxes_to_border': clip_to_border}), extra={
              'model_dir': str(tmp_path / 'run'),
              'eval.eval_file_pattern': path})
  network = _PerfectNetwork(config.architecture.num_classes)
  for part in ('backbone', 'decoder'):
    monkeypatch.setattr(architecture_factory, 'build_' + part,
                        lambda *_, part=part: getattr(network, part))
  job = evaluation.Evaluation(
      config, _Estimator(config, network),
      dataloader_inputs.build_input_fn(config, modes.PREDICT_WITH_GT),
      io.StringIO())
  (tmp_path / 'run').mkdir()
  metrics = job.run(toy.save_checkpoint(tmp_path / 'run', 1, global_step=1))
  assert metrics['AP'] == pytest.approx(1.)
  assert metrics['ARmax10'] == pytest.approx(1.)
  assert metrics['box_loss'] == pytest.approx(0., abs=1e-6)
  assert metrics['cls_loss'] < .01
