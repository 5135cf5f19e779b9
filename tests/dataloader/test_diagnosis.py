"""Errors of a running pipeline name the file, the record and the image."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from dataloader import diagnosis
from dataloader import factory
from dataloader import input_reader
from dataloader import segmentation
from tests import runtimes
from tests.dataloader import examples
from utils import modes


def _reader(path, mode=modes.TRAIN, model='retinanet', **keys):
  parser = {'retinanet': 'retinanet_parser', 'mask_rcnn': 'maskrcnn_parser',
            'classification': 'classification_parser',
            'segmentation': 'segmentation_parser'}[model]
  changes = {'architecture.num_classes': 3, 'architecture.use_bfloat16': False,
             parser + '.output_size': [32, 32]}
  if parser in ('retinanet_parser', 'maskrcnn_parser'):
    changes.update({
        'architecture.min_level': 3, 'architecture.max_level': 3,
        'anchor.num_scales': 1, 'anchor.aspect_ratios': [1.],
        'anchor.anchor_size': 4., parser + '.max_num_instances': 8})
  changes.update({'%s.%s' % (parser, key): v for key, v in keys.items()})
  config, _ = config_factory.load_config(model, extra=changes)
  return input_reader.InputReader(
      path, factory.build_parser(config, mode), mode, 'some.key')


def _run(reader):
  """Reads a few batches, as a training loop does."""
  batch = tf.data.make_one_shot_iterator(
      reader({'batch_size': 2})).get_next()
  parsers = {path: reader.parser for path in reader.files}
  with diagnosis.explained_errors(reader.files, parsers), tf.Session(
      ) as session:
    for _ in range(4):
      session.run(batch)


def _record(source_id, **arguments):
  arguments.setdefault('image', examples.image(8, 8))
  return examples.serialize(source_id=source_id, **arguments)


def _of_class(record):
  """The record with a class of its image, for classification."""
  example = tf.train.Example.FromString(record)
  example.features.feature['image/class/label'].int64_list.value.append(1)
  return example.SerializeToString()


def _files(tmp_path, bad):
  """A good file, and one whose record 1 is bad."""
  good = [_of_class(_record(name)) for name in '123']
  examples.write(tmp_path / 'a.tfrecord', good[:2])
  path = examples.write(tmp_path / 'b.tfrecord', [good[2], bad])
  return str(tmp_path / '?.tfrecord'), path


@pytest.mark.parametrize('mode', [modes.TRAIN, modes.EVAL])
def test_good_records(tmp_path, mode):
  pattern, _ = _files(tmp_path, _record('4'))
  if mode == modes.TRAIN:
    _run(_reader(pattern, mode))
  assert diagnosis.find_broken_record(_reader(pattern).files) is None


@pytest.mark.parametrize('mode', runtimes.alternate([modes.TRAIN, modes.EVAL]))
@pytest.mark.parametrize('kind', ['no image', 'half a JPEG', 'half a PNG'])
def test_undecodable_image(tmp_path, mode, kind):
  image_format = 'PNG' if 'PNG' in kind else 'JPEG'
  encoded = examples.encode(examples.image(64, 64), image_format)
  encoded = b'none' if kind == 'no image' else encoded[:len(encoded) // 2]
  pattern, path = _files(tmp_path, _record('dog_4', encoded=encoded,
                                           filename='dog.jpg'))
  with pytest.raises(diagnosis.InputError) as e:
    _run(_reader(pattern, mode))
  assert path + ': record 1 (counting from 0)' in str(e.value)
  assert 'image/source_id dog_4, image/filename dog.jpg' in str(e.value)


# All parsers read records by the same function.
@pytest.mark.parametrize('bad, model', [
    (b'no example', 'retinanet'),
    (b'\xff\xd8\xff\xe0\x00\x10JFIF', 'classification'),
    (_record('5')[:100], 'classification'),
    (examples.encode(examples.image(8, 8)), 'classification')])
@pytest.mark.parametrize('mode', runtimes.alternate([modes.EVAL, modes.TRAIN]))
def test_record_that_is_no_example(tmp_path, bad, model, mode):
  """TF 1.15 died of its own error message, which quoted the bytes."""
  pattern, path = _files(tmp_path, bad)
  with pytest.raises(diagnosis.InputError) as e:
    _run(_reader(pattern, mode, model))
  assert path + ': record 1' in str(e.value)
  assert 'not a tf.train.Example' in str(e.value)


def _cut(path):
  content = open(path, 'rb').read()
  with open(path, 'wb') as f:
    f.write(content[:-20])


def _flip_a_bit(path):
  content = bytearray(open(path, 'rb').read())
  content[-20] ^= 1
  with open(path, 'wb') as f:
    f.write(content)


@pytest.mark.parametrize('mode, damage', runtimes.product(
    [modes.TRAIN, modes.EVAL], [_cut, _flip_a_bit]))
def test_damaged_file(tmp_path, mode, damage):
  pattern, path = _files(tmp_path, _record('4'))
  damage(path)
  with pytest.raises(diagnosis.InputError) as e:
    _run(_reader(pattern, mode))
  assert path + ': record 1 (counting from 0) cannot be read' in str(e.value)


def test_class_id_out_of_range(tmp_path):
  pattern, _ = _files(tmp_path, _record('cat_4', boxes=[[0., 0., 1., 1.]],
                                        classes=[3]))
  with pytest.raises(diagnosis.InputError) as e:
    _run(_reader(pattern))
  assert str(e.value) == (
      'Image cat_4 has an object of class 3. architecture.num_classes is 3: '
      'classes are 1 to 2, and 0 is the background.')


def test_more_objects_than_max_num_instances(tmp_path):
  pattern, _ = _files(tmp_path, _record(
      'cat_4', boxes=[[0., 0., 1., 1.]] * 9, classes=[1] * 9))
  with pytest.raises(diagnosis.InputError) as e:
    _run(_reader(pattern, modes.PREDICT_WITH_GT))
  assert str(e.value).startswith(
      'Image cat_4 has 9 objects; retinanet_parser.max_num_instances is 8')


@pytest.mark.parametrize('pngs, words', [
    runtimes.only('tf1', [], [
        'Image cat_4 has 1 objects and 0 masks (image/object/mask)']),
    runtimes.only('tf2', [b'no PNG'], [
        'b.tfrecord: record 1', 'image/source_id cat_4',
        'cannot be decoded: image/object/mask'])])
def test_bad_masks(tmp_path, pngs, words):
  pattern, _ = _files(tmp_path, _record(
      'cat_4', boxes=[[0., 0., 1., 1.]], classes=[1], mask_pngs=pngs))
  with pytest.raises(diagnosis.InputError) as e:
    _run(_reader(pattern, model='mask_rcnn', mask_crop_size=8))
  assert all(word in str(e.value) for word in words), str(e.value)
  # A model without masks reads the record.
  _run(_reader(pattern))


def test_errors_of_the_model_pass_unchanged(tmp_path):
  pattern, _ = _files(tmp_path, _record('4'))
  with pytest.raises(tf.errors.InvalidArgumentError):
    with diagnosis.explained_errors(_reader(pattern).files):
      with tf.Session() as session:
        session.run(tf.debugging.Assert(tf.constant(False), ['loss is bad']))


def test_label_map_that_is_cut_off(tmp_path):
  """The image is whole, so only its label map can be it."""
  image = examples.encode(examples.image(16, 16))
  classes = examples.encode(np.zeros([16, 16, 3], np.uint8), 'PNG')
  def serialize(name, encoded):
    return tf.train.Example(features=tf.train.Features(feature={
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for key, value in (
            ('image/encoded', image), ('image/source_id', name),
            (segmentation.CLASSES_KEY, encoded))})).SerializeToString()
  path = examples.write(tmp_path / 'a.tfrecord', [
      serialize(b'a', classes), serialize(b'b', classes[:len(classes) // 2])])
  with pytest.raises(diagnosis.InputError) as e:
    _run(_reader(path, modes.EVAL, 'segmentation'))
  assert 'record 1 (counting from 0), image/source_id b, cannot be' in (
      str(e.value))
  assert segmentation.CLASSES_KEY in str(e.value)


@pytest.mark.parametrize('change', runtimes.alternate(['sides', 'classes']))
def test_a_record_that_only_the_parser_stops_at(tmp_path, change):
  """Sides of boxes of unequal number; and classes that are text."""
  example = tf.train.Example.FromString(_record(
      'odd', boxes=[[.1, .1, .5, .5]], classes=[1]))
  feature = example.features.feature
  if change == 'sides':
    feature['image/object/bbox/xmin'].float_list.value.append(.2)
  else:
    feature['image/object/class/label'].bytes_list.value.append(b'dog')
  pattern, path = _files(tmp_path, example.SerializeToString())
  with pytest.raises(diagnosis.InputError) as e:
    _run(_reader(pattern))
  assert '%s: record 1 (counting from 0), image/source_id odd' % path in str(
      e.value)
