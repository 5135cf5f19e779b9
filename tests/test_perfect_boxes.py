"""A perfect network: the parser's targets as its outputs score an AP of 1.

Everything but the network takes part: records, reader, parser, anchors, the
detection generator, the evaluation.
"""

import copy
import io
import json

from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from architecture import factory as architecture_factory
from configs import factory as config_factory
from dataloader import inputs as dataloader_inputs
from executor import evaluation
from modeling import factory
from tests import model_kinds
from tests import runtimes
from tests.dataloader import examples
from tests.executor import toy
from tests.tools import coco_sets
from tools import create_lvis_tfrecord
from tools.datasets import coco_record_writer
from utils import fields
from utils import modes

pytestmark = pytest.mark.usefixtures('unoptimized')

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


def _evaluate(tmp_path, monkeypatch, path, changes, **sections):
  """Metrics of the network; `changes`: {key: value} of the configuration."""
  extra = {'model_dir': str(tmp_path / 'run'), 'eval.eval_file_pattern': path}
  config, _ = config_factory.load_config(
      'retinanet', None, model_kinds.content('retinanet', **sections),
      extra=dict(extra, **changes))
  network = _PerfectNetwork(config.architecture.num_classes)
  for part in ('backbone', 'decoder'):
    monkeypatch.setattr(architecture_factory, 'build_' + part,
                        lambda *_, part=part: getattr(network, part))
  job = evaluation.Evaluation(
      config, _Estimator(config, network),
      dataloader_inputs.build_input_fn(config, modes.PREDICT_WITH_GT),
      io.StringIO())
  (tmp_path / 'run').mkdir(exist_ok=True)
  return job.run(toy.save_checkpoint(tmp_path / 'run', 1, global_step=1))


@pytest.mark.parametrize('images, clip_to_border', [
    runtimes.only('tf1', _INSIDE, False), runtimes.only('tf2', _INSIDE, True),
    (_AT_THE_BORDER, True)])
def test_average_precision_is_one(tmp_path, monkeypatch, images,
                                  clip_to_border):
  path = examples.write(tmp_path / 'val', [
      model_kinds.record('image %d' % i, model_kinds.image(*size), objects)
      for i, (size, objects) in enumerate(images)])
  metrics = _evaluate(tmp_path, monkeypatch, path, {}, architecture={
      'clip_boxes_to_border': clip_to_border})
  assert metrics['AP'] == pytest.approx(1.)
  assert metrics['ARmax10'] == pytest.approx(1.)
  assert metrics['box_loss'] == pytest.approx(0., abs=1e-6)
  assert metrics['cls_loss'] < .01


# What annotations say of category 2 in the first image, where it has no
# annotation and is found; AP of the category, which the second image has once.
_LVIS = [
    # Nothing: what is found is not judged.
    runtimes.only('tf1', {}, 1.),
    runtimes.only('tf2', {'not_exhaustive_category_ids': [2]}, 1.),
    # One of two is right, and not the first.
    ({'neg_category_ids': [2]}, .5)]


@pytest.fixture(name='lvis', scope='module')
def _lvis(tmp_path_factory):
  """(annotations, pattern of records) in which all objects are annotated."""
  folder = tmp_path_factory.mktemp('lvis')
  (folder / 'val2017').mkdir()
  content = {'images': [], 'annotations': [], 'categories': [
      {'id': i, 'name': name, 'frequency': frequency}
      for i, name, frequency in ((1, 'disc', 'r'), (2, 'box', 'f'),
                                 (3, 'cone', 'c'))]}
  for i, objects in enumerate(([(1, 4, 5, 20, 30), (2, 30, 8, 60, 28)],
                               [(3, 10, 10, 40, 30), (2, 20, 40, 50, 60)])):
    Image.fromarray(model_kinds.image(64, 64)).save(
        str(folder / 'val2017' / ('%d.png' % i)))
    content['images'].append({
        'id': i + 7, 'height': 64, 'width': 64, 'neg_category_ids': [],
        'not_exhaustive_category_ids': [],
        'coco_url': 'http://images.cocodataset.org/val2017/%d.png' % i})
    for category, y0, x0, y1, x1 in objects:
      content['annotations'].append(coco_sets.rectangle(
          len(content['annotations']) + 1, i + 7, category, (y0, x0, y1, x1)))
  path = folder / 'lvis.json'
  path.write_text(json.dumps(content))
  create_lvis_tfrecord.convert(
      str(path), str(folder), str(folder / 'val'),
      coco_record_writer.Options(num_shards=1, num_processes=1))
  return content, str(folder / 'val-*.tfrecord')


def test_lvis_from_records(lvis, tmp_path, monkeypatch):
  metrics = _evaluate(tmp_path, monkeypatch, lvis[1], {'eval.type': 'lvis_box'})
  assert metrics['AP'] == pytest.approx(1.)
  assert metrics['AR@300'] == pytest.approx(1.)
  # Records do not know how frequent a category is.
  assert metrics['APr'] == -1


@pytest.mark.parametrize('changes, expected', _LVIS)
def test_lvis_judges_what_is_annotated(lvis, tmp_path, monkeypatch, changes,
                                       expected):
  content = copy.deepcopy(lvis[0])
  content['annotations'] = [a for a in content['annotations']
                            if (a['image_id'], a['category_id']) != (7, 2)]
  content['images'][0].update(changes)
  path = tmp_path / 'lvis.json'
  path.write_text(json.dumps(content))
  metrics = _evaluate(tmp_path, monkeypatch, lvis[1], {
      'eval.type': 'lvis_box', 'eval.val_json_file': str(path)})
  assert [metrics['AP' + which] for which in 'rcf'] == pytest.approx(
      [1., 1., expected])
  assert metrics['AP'] == pytest.approx((2. + expected) / 3.)
