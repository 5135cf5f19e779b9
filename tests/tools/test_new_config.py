"""tools/new_config.py, and the settings that it chooses."""

import io
import json

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from configs import factory
from tools import fit_steps
from tools import new_config
from tools.own_data import record_summary
from tools.own_data import settings
from tools.own_data import starts


def _summary(shares, size=(480, 640), num_images=50, **changes):
  shares = np.array(shares, np.float64).reshape([-1, 2])
  fields = dict(
      kind='detection', image_sizes=np.array([size] * num_images, np.float64),
      shares=shares, images=np.arange(len(shares)) % num_images,
      highest_class=2, most_objects=7, has_masks=False)
  return record_summary.Summary(**dict(fields, **changes))


def _options(**changes):
  fields = dict(model=None, machine=settings.CPU, minutes=None,
                image_size=None, batch_size=None, steps=1000, num_classes=None,
                label_map=None, names={}, train_pattern='/d/train-*',
                eval_pattern='/d/val-*')
  return settings.Options(**dict(fields, **changes))


def _made(summary, **changes):
  text, notes = settings.make(summary, _options(**changes))
  return factory.load_config(None, text)[0], notes, text


def test_small_objects_keep_their_pixels():
  """Objects of 40 px of 640 get 20: half the size, in steps of 64."""
  config, _, _ = _made(_summary([(40 / 480., 40 / 640.)] * 30))
  assert config.retinanet_parser.output_size == (256, 320)
  assert config.architecture.num_classes == 3


def test_class_ids_that_no_model_can_have():
  with pytest.raises(ValueError, match='id is 25002.*--class_ids=renumber'):
    _made(_summary([(.5, .5)], highest_class=25002))


def test_large_objects_need_less():
  large, _, _ = _made(_summary([(.5, .5)] * 30))
  small, _, _ = _made(_summary([(.02, .02)] * 30))
  def area(config):
    return np.prod(config.retinanet_parser.output_size)
  assert area(large) < area(small) <= 256 * 320


def test_minutes_allow_larger_images():
  summary = _summary([(.02, .02)] * 30)
  short, notes, _ = _made(summary, minutes=5)
  long, _, _ = _made(summary, minutes=60)
  assert max(short.retinanet_parser.output_size) < max(
      long.retinanet_parser.output_size)
  assert any('hardly be found' in note for note in notes)


def test_images_of_all_shapes_get_a_square():
  sizes = np.array([(480, 640), (640, 480)] * 25, np.float64)
  config, _, _ = _made(_summary([(.1, .1)] * 30, image_sizes=sizes))
  height, width = config.retinanet_parser.output_size
  assert height == width


def test_full_images_raise_the_limits():
  config, _, _ = _made(_summary([(.1, .1)] * 30, most_objects=369))
  assert config.retinanet_parser.max_num_instances == 370
  assert config.postprocess.max_total_size == 370
  assert config.eval.max_detections == 370


def test_share_of_objects_is_told():
  _, notes, text = _made(_summary([(.05, .4)] * 30))
  assert any(note.startswith('Anchors: 100 % of the') for note in notes)
  assert '# width / height, by k-means' in text


@pytest.mark.parametrize('machine', [settings.CPU, settings.GPU])
@pytest.mark.parametrize('kind, model', [
    (kind, model) for kind, models in settings.MODELS.items()
    for model in models])
def test_every_model_and_machine(kind, model, machine):
  summary = _summary([(.1, .1)] * 30 if kind == 'detection' else [],
                     kind=kind, has_masks=model == 'mask_rcnn')
  config, _, text = _made(summary, model=model, machine=machine, names={
      1: 'cat', 2: 'dog'}, label_map='/d/map.csv')
  assert config.type == model and config.eval.label_map == '/d/map.csv'
  assert 'cat, dog' in text
  assert config.train.train_batch_size <= 50


def test_what_does_not_go_together():
  with pytest.raises(ValueError, match='does not go with'):
    _made(_summary([(.1, .1)]), model='classification')
  with pytest.raises(ValueError, match='not every object'):
    _made(_summary([(.1, .1)]), model='mask_rcnn')
  with pytest.raises(ValueError, match='no object'):
    _made(_summary([]))
  with pytest.raises(ValueError, match='class 2, and there are 2 classes'):
    _made(_summary([(.1, .1)]), num_classes=2)
  with pytest.raises(ValueError, match='one class only'):
    _made(_summary([], kind='classification', highest_class=1))


def _record(classes, boxes, crowds=()):
  stream = io.BytesIO()
  Image.fromarray(np.zeros([60, 80, 3], np.uint8)).save(stream, 'PNG')
  def floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
  def ints(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
  feature = {'image/encoded': tf.train.Feature(
      bytes_list=tf.train.BytesList(value=[stream.getvalue()])),
             'image/object/class/label': ints(classes),
             'image/object/is_crowd': ints(crowds)}
  for i, side in enumerate(('ymin', 'xmin', 'ymax', 'xmax')):
    feature['image/object/bbox/' + side] = floats([b[i] for b in boxes])
  return tf.train.Example(features=tf.train.Features(
      feature=feature)).SerializeToString()


@pytest.fixture
def records(tmp_path):
  with tf.io.TFRecordWriter(str(tmp_path / 'train-0.tfrecord')) as writer:
    writer.write(_record([1, 3], [(0, 0, .5, .25), (0, 0, 1, 1)], [0, 1]))
    writer.write(_record([], []))
  return str(tmp_path / 'train-*.tfrecord')


def test_summary(records):
  """Crowds are not learnt, but their class counts; sizes without a feature."""
  summary = record_summary.read(records, '--records')
  assert summary.kind == 'detection' and summary.highest_class == 3
  assert summary.most_objects == 2 and not summary.has_masks
  np.testing.assert_array_equal(summary.image_sizes, [[60, 80], [60, 80]])
  np.testing.assert_allclose(summary.shares, [[.5, .25]])
  assert summary.images.tolist() == [0]


def _arguments(records, output, *more):
  return new_config.parser().parse_args(
      ['--records=' + records, '--eval_records=' + records,
       '--output=%s' % output, '--device=cpu', *more])


def test_file(records, tmp_path, monkeypatch, capsys):
  output = str(tmp_path / 'mine.yaml')
  monkeypatch.setattr('sys.argv', ['new_config', '--records=' + records,
                                   '--eval_records=' + records,
                                   '--output=' + output])
  new_config.main()
  assert 'objects have one that fits' in capsys.readouterr().out
  config, notes = factory.load_config(None, output)
  assert config.train.train_file_pattern == records and not notes
  assert config.train.train_batch_size == 2
  with pytest.raises(SystemExit, match='already there'):
    new_config.main()


def test_image_size(records, tmp_path):
  text, _ = new_config.make(_arguments(records, 'x', '--image_size=64,128'))
  path = tmp_path / 'mine.yaml'
  path.write_text(text)
  config, _ = factory.load_config(None, str(path))
  assert config.retinanet_parser.output_size == (64, 128)
  with pytest.raises(SystemExit):
    _arguments(records, 'x', '--image_size=0')


def test_fit_steps_keeps_the_rest(records, tmp_path, monkeypatch):
  path = tmp_path / 'mine.yaml'
  path.write_text(new_config.make(_arguments(records, 'x'))[0])
  before = path.read_text()
  monkeypatch.setattr('sys.argv', ['fit_steps', '--config_file=%s' % path,
                                   '--steps=4000'])
  fit_steps.main()
  config, _ = factory.load_config(None, str(path))
  assert config.train.total_steps == 4000
  after = path.read_text()
  assert sum(a != b for a, b in zip(before.split('\n'),
                                    after.split('\n'))) == 1
  assert json.dumps(before) != json.dumps(after)


def test_fit_steps(records, tmp_path, monkeypatch):
  """60 s, twice a start of 10 s, two images: 19 steps of 2 s, 20 at least."""
  from tools.own_data import trial
  path = tmp_path / 'mine.yaml'
  path.write_text(new_config.make(_arguments(records, 'x'))[0])
  monkeypatch.setattr(trial, 'run', lambda *args: trial.Trial(10., 2., 8))
  steps, text = fit_steps.fit(str(path), 1.)
  assert steps == 20 and 'longer than the minutes allow' in text
  steps, text = fit_steps.fit(str(path), 10.)
  assert steps == 289 and '289 steps' in text
  assert factory.load_config(None, str(path))[0].train.total_steps == 289


def test_a_start_keeps_its_network():
  """Classes and image size are of the data; the rest is of the other model."""
  start = starts.Start('cells', 'retinanet', {
      'architecture.backbone': 'resnet', 'resnet.resnet_depth': 18,
      'architecture.max_level': 5, 'anchor.num_scales': 2,
      'retinanet_head.num_filters': 32})
  config, notes, text = _made(_summary([(.5, .5)] * 30), start=start,
                              checkpoint='/there')
  assert config.train.checkpoint.path == '/there'
  assert config.resnet.resnet_depth == 18
  assert config.anchor.num_scales == 2
  assert config.retinanet_head.num_filters == 32
  assert config.architecture.num_classes == 3
  assert 'of cells' in text
  assert 'It starts from cells, with its anchors.' in notes
  assert not [note for note in notes if note.startswith('Anchors')]
  with pytest.raises(ValueError, match='type mask_rcnn, and cannot start'):
    _made(_summary([(.5, .5)] * 30), model='retinanet',
          start=start._replace(model='mask_rcnn'))


def test_a_start_from_a_backbone_chooses_anchors():
  start = starts.Start('lite', None, {
      'architecture.backbone': 'efficientnet-lite0'})
  config, notes, _ = _made(_summary([(.5, .5)] * 30), start=start,
                           checkpoint='/there')
  assert config.architecture.backbone == 'efficientnet-lite0'
  assert config.resnet.resnet_depth == 50  # not written
  assert [note for note in notes if note.startswith('Anchors')]
