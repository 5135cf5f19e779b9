"""The parser of classification, against the reference and by hand."""

import io

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from dataloader import factory
from dataloader import source_ids
from dataloader.augment import autoaugment
from tests import golden
from tests.dataloader import fixed_draws
from tests.dataloader import parser_cases
from utils import modes

CASES = golden.load_cases('parser_classification')
SIZE = (6, 8)


def _parser(mode, output_size=SIZE, num_classes=11, dtype='float32',
            autoaugment_name='', aug_rand_hflip=True):
  section = dict(output_size=tuple(output_size), aug_rand_hflip=aug_rand_hflip,
                 autoaugment_name=autoaugment_name, randaug_num_layers=2,
                 randaug_magnitude=10.)
  return factory.build_parser(parser_cases.config(
      'classification_parser', section, None, num_classes, dtype), mode)


def _record(image, label=3, image_format='PNG', **texts):
  stream = io.BytesIO()
  Image.fromarray(image).save(stream, image_format)
  features = {'image/encoded': stream.getvalue()}
  features.update({'image/' + k: v.encode() for k, v in texts.items()})
  feature = {k: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v]))
             for k, v in features.items()}
  if label is not None:
    feature['image/class/label'] = tf.train.Feature(
        int64_list=tf.train.Int64List(value=[label]))
  return tf.train.Example(
      features=tf.train.Features(feature=feature)).SerializeToString()


def _noise(height, width, seed=0):
  return np.random.RandomState(seed).randint(
      0, 256, [height, width, 3]).astype(np.uint8)


def _serialized(case):
  """Of the case, or of the evaluation of the same image."""
  if 'serialized' in case.inputs:
    return case.inputs['serialized'].tobytes()
  name = case.name.split('_train')[0] + '_eval'
  return case.meta['all_arrays'][name]['in']['serialized'].tobytes()


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.name)
def test_reference(case):
  draws = None
  if 'crop' in case.inputs:
    draws = fixed_draws.FixedDraws(flip=0., window=case.inputs['crop'])
  parser = _parser(case.params['mode'], case.params['output_size'],
                   dtype=parser_cases.dtype(case))
  image, label = parser_cases.run(parser, _serialized(case), draws=draws)
  np.testing.assert_allclose(image.astype(np.float32), case.outputs['image'],
                             rtol=0, atol=case.meta['tolerance'])
  assert label == case.outputs['label'] and label.dtype == np.int32


@pytest.mark.parametrize('mode', modes.ALL)
@pytest.mark.parametrize('image_format', ['PNG', 'JPEG'])
def test_emits_its_spec(mode, image_format):
  parser = _parser(mode)
  record = _record(_noise(20, 30), image_format=image_format)
  image, labels = parser_cases.run(parser, record, seed=[1, 2])
  assert image.shape == SIZE + (3,) and image.dtype == np.float32
  tf.nest.assert_same_structure(labels, parser.labels_spec())
  for value, spec in zip(tf.nest.flatten(labels),
                         tf.nest.flatten(parser.labels_spec())):
    assert list(value.shape) == spec.shape.as_list()
    assert value.dtype == spec.dtype.as_numpy_dtype


def test_window_and_flip_of_training():
  """A window of the size of the output is copied; mirrored above 0.5."""
  whole = _noise(20, 30)
  record = _record(whole)
  window = [5, 7, 6, 8]
  images = [parser_cases.run(
      _parser(modes.TRAIN, aug_rand_hflip=is_on), record,
      draws=fixed_draws.FixedDraws(flip=u, window=window))[0]
            for u, is_on in ((.4, True), (.6, True), (.6, False))]
  want = (whole[5:11, 7:15] / 255. - [.485, .456, .406]) / [
      .229, .224, .225]
  for image, expected in zip(images, (want, want[:, ::-1], want)):
    np.testing.assert_allclose(image, expected, atol=1e-5)


def test_the_seed_decides_about_the_image():
  record = _record(_noise(40, 60), image_format='JPEG')
  images = [parser_cases.run(_parser(modes.TRAIN), record, seed=seed)[0]
            for seed in ([3, 1], [3, 1], [3, 2])]
  np.testing.assert_array_equal(images[0], images[1])
  assert (images[0] != images[2]).any()


def test_augmentation_sees_whole_colours_of_the_output_size(monkeypatch):
  seen = []
  def augment(annotated, *_):
    image = annotated.image
    seen.append((image.dtype, image.shape.as_list()))
    return annotated._replace(image=tf.zeros_like(image))
  monkeypatch.setattr(autoaugment, 'augment', augment)
  image, _ = parser_cases.run(_parser(modes.TRAIN, autoaugment_name='v0'),
                              _record(_noise(20, 30)), seed=[1, 2])
  assert seen == [(tf.uint8, [6, 8, 3])]
  np.testing.assert_allclose(image[0, 0], [-.485 / .229, -.456 / .224,
                                           -.406 / .225], rtol=1e-5)
  # Outside of training nothing is augmented.
  parser_cases.run(_parser(modes.EVAL, autoaugment_name='v0'),
                   _record(_noise(20, 30)))
  assert len(seen) == 1


@pytest.mark.parametrize('texts, expected', [
    ({'source_id': '42', 'filename': 'a.jpg'}, 42),
    ({'filename': 'a.jpg'}, source_ids.to_ints(['a.jpg'])[0])])
def test_id_of_a_record(texts, expected):
  _, labels = parser_cases.run(_parser(modes.PREDICT),
                               _record(_noise(20, 30), label=None, **texts))
  assert labels == {'source_id': expected}


@pytest.mark.parametrize('label, text', [(11, '11'), (-3, '-3'), (None, '-1')])
def test_labels_without_a_class(label, text):
  record = _record(_noise(20, 30), label, filename='a.jpg')
  with pytest.raises(tf.errors.InvalidArgumentError) as e:
    parser_cases.run(_parser(modes.EVAL), record)
  assert ('Image a.jpg has image/class/label %s (-1: none). '
          'architecture.num_classes is 11: labels are 0 to 10.' % text
          ) in e.value.message


def test_padding_is_marked():
  parser = _parser(modes.PREDICT_WITH_GT, dtype='bfloat16')
  example = parser.padding_example()
  assert example['images'].dtype == tf.bfloat16
  with tf.Session() as session:
    assert session.run(example['labels']) == {'source_id': -1, 'label': 0}


def test_unknown_mode():
  with pytest.raises(ValueError, match="'test'; it can be train, eval"):
    _parser('test')
