"""Losses of evaluations of models with regions or masks, from records on.

They are the same whatever the size of the batches and the order of the records:
what is drawn at random depends on the image alone.
"""

import math

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from configs import metric_names
from dataloader import inputs as dataloader_inputs
from modeling import factory
from modeling.training import initial_values
from tests import model_kinds
from tests import runtimes
from tests.dataloader import examples
from utils import fields
from utils import modes

pytestmark = pytest.mark.usefixtures('unoptimized')

_NUMBER = 5


def _records(is_crowd=0):
  """Five images of 1, 2 ... objects; the first may be a crowd."""
  result = []
  for i in range(_NUMBER):
    objects = model_kinds.objects(60, 50, i + 1, seed=i)
    if not i:
      objects = [objects[0][:5] + (is_crowd,)]
    result.append(model_kinds.record(
        'image %d' % i, model_kinds.image(60, 50, seed=i), objects))
  return result


class _Model:
  """Predictions of a model on the batches of its reader."""

  def __init__(self, kind, folder):
    self._folder = folder
    self.config, _ = config_factory.load_config(
        kind, None, model_kinds.content(kind), extra={
            'model_dir': str(folder), 'eval.eval_file_pattern': 'val'})
    model = factory.build_model(self.config)
    reader = self._reader(_records())
    with initial_values.seeded(1):
      batch = tf.data.make_one_shot_iterator(
          reader({'batch_size': 1})).get_next()
      self._inputs = tf.nest.map_structure(
          lambda t: tf.placeholder(t.dtype, [None] + t.shape.as_list()[1:]),
          batch)
      images, labels = self._inputs['images'], self._inputs['labels']
      self._predictions = model.predictions(
          model.outputs(images, labels, modes.PREDICT), labels)
    self._session = tf.Session()
    self._session.run(tf.global_variables_initializer())

  def _reader(self, records):
    path = examples.write(self._folder / 'val', records)
    return dataloader_inputs.build_input_fn(self.config, modes.PREDICT_WITH_GT,
                                            path)

  def losses(self, records, batch_size):
    """{image id: {loss: number}} of the predictions."""
    reader, result = self._reader(records), {}
    with tf.Graph().as_default(), tf.Session() as session:
      batch = tf.data.make_one_shot_iterator(
          reader({'batch_size': batch_size})).get_next()
      batches = [session.run(batch)
                 for _ in range(math.ceil(len(records) / batch_size))]
    for batch in batches:
      fed = zip(tf.nest.flatten(self._inputs), tf.nest.flatten(batch))
      predictions = self._session.run(self._predictions, dict(fed))
      for row, source_id in enumerate(predictions['pred_source_id']):
        if source_id != fields.PADDING_ID:
          result[source_id] = {
              name[len(fields.LOSS):]: value[row]
              for name, value in predictions.items()
              if name.startswith(fields.LOSS)}
    return result


@pytest.mark.parametrize('kind', [
    runtimes.only('tf1', 'shapemask'), runtimes.only('tf2', 'mask_rcnn'),
    runtimes.only('tf1', 'cascade_mask_rcnn')])
def test_losses_are_those_of_the_images(kind, tmp_path):
  model = _Model(kind, tmp_path)
  expected = model.losses(_records(), 1)
  assert len(expected) == _NUMBER
  for losses in expected.values():
    assert set(losses) == set(metric_names.losses(model.config))
    assert all(np.isfinite(value) and value > 0 for value in losses.values())
  for records, batch_size in ((_records(), 2), (_records(), 3),
                              (_records()[::-1], 3)):
    found = model.losses(records, batch_size)
    assert set(found) == set(expected)
    for source_id, losses in expected.items():
      assert found[source_id] == pytest.approx(losses, rel=1e-3, abs=1e-6)
  # A crowd is nothing to find.
  crowd = model.losses(_records(is_crowd=1), 2)
  changed = [source_id for source_id in expected
             if crowd[source_id] != pytest.approx(expected[source_id],
                                                  rel=1e-3, abs=1e-6)]
  assert len(changed) == 1
