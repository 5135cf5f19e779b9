"""Tests of serving.targets.tflite, by the interpreter of this TensorFlow."""

import io
import json
import os

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from ops import compat
from serving import export
from serving import input_types
from serving import parity
from serving import sources
from serving.targets import agreement
from serving.targets import run_tflite
from serving.targets import tflite
from tests.serving import small_models
from tests.serving.targets import perturbed
from tools.zoo import small_models as zoo_models


def _encoded(image):
  stream = io.BytesIO()
  Image.fromarray(image).save(stream, 'PNG')
  return stream.getvalue()


IMAGES = [_encoded(small_models.image(80, 70, seed)) for seed in range(6)]


@pytest.fixture(scope='module')
def classifier(tmp_path_factory):
  """sources.Checkpoint of a small classifier."""
  folder = tmp_path_factory.mktemp('run')
  small_models.make(folder, 'classification')
  return sources.find_checkpoint(folder)


def _write(source, folder, *arguments, **options):
  return tflite.write(source.config, source.checkpoint, folder, *arguments,
                      report=lambda line: None, **options)


@pytest.mark.one_runtime('tf1')
def test_a_classifier_and_what_lies_beside_it(classifier, tmp_path):
  described = _write(classifier, tmp_path / 'e', batch_size=2, label_map={
      1: 'cat', 2: 'dög'})
  assert sorted(os.listdir(str(tmp_path / 'e'))) == [
      'model.json', 'model.tflite']
  with open(str(tmp_path / 'e' / 'model.json'), encoding='utf-8') as f:
    values = json.load(f)
  assert values['class_names'] == {'1': 'cat', '2': 'dög'}
  assert values['input']['mean_rgb'] == pytest.approx([.485, .456, .406])
  assert values['input']['shape'] == [2, 64, 64, 3]
  assert values['checkpoint']['step'] == 7
  assert {name for name, _, _ in described['check']} == {
      'logits', 'probabilities', 'classes'}
  model = run_tflite.Model(str(tmp_path / 'e'), values)
  answer = model.run(np.zeros([2, 64, 64, 3], np.float32))
  assert answer['probabilities'].shape == (2, 7)


@pytest.mark.one_runtime('tf2')
def test_a_perturbed_export_fails(classifier, tmp_path, monkeypatch):
  """Nothing is left of it."""
  perturbed.instead(monkeypatch, 1.02)
  with pytest.raises(parity.ParityError, match='logits'):
    _write(classifier, tmp_path / 'e')
  assert not os.listdir(str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize('quantization', sorted(tflite.QUANTIZATIONS))
def test_quantizations(classifier, tmp_path, monkeypatch, quantization):
  representative = IMAGES if quantization == tflite.INT8 else None
  described = _write(classifier, tmp_path / 'e', quantization, representative)
  size = described['conversion']['bytes']
  full = sum(4 * np.prod(shape) for _, shape in tf.train.list_variables(
      classifier.checkpoint))
  share = {'float32': 1., 'float16': .5}.get(quantization, .25)
  assert share * .95 < size / full < share * 1.1
  perturbed.instead(monkeypatch, -3.)
  with pytest.raises(parity.ParityError, match='probabilities'):
    _write(classifier, tmp_path / 'p', quantization, representative)


def test_coordinates_are_not_rounded_to_8_bits(tmp_path, monkeypatch):
  """Only what they are decoded of is."""
  source = sources.find_checkpoint(
      zoo_models.resolve('blood_cells'),
      params_override='postprocess.apply_nms=false')
  options = dict(image_size=(64, 64))
  # It has learnt from other images than these.
  monkeypatch.setitem(tflite.QUANTIZATIONS, tflite.INT8,
                      agreement.Allowed(1., 1., 1., 10.))
  if not compat.IS_TF2:
    with pytest.raises(ValueError, match='coordinates.*RUNTIME=tf2'):
      _write(source, tmp_path / 'e', tflite.INT8, IMAGES, **options)
    return
  described = _write(source, tmp_path / 'e', tflite.INT8, IMAGES, **options)
  model = run_tflite.Model(str(tmp_path / 'e'), described)
  answer = model.run(np.zeros([1, 64, 64, 3], np.float32))
  encoded, boxes = answer['raw_encoded_boxes'], answer['raw_boxes']
  assert len(np.unique(encoded)) <= 256
  inside = boxes[(boxes > 0) & (boxes < 64)]
  assert len(np.unique(inside)) > 500


@pytest.mark.slow
@pytest.mark.parametrize('model', small_models.MODELS)
def test_every_model(tmp_path, model):
  """With suppression inside; loops are beyond the converter of TF 1.15."""
  small_models.make(tmp_path / 'm', model)
  source = sources.find_checkpoint(tmp_path / 'm')
  if not compat.IS_TF2 and model not in ('classification', 'segmentation'):
    with pytest.raises(ValueError, match='make setup RUNTIME=tf2'):
      _write(source, tmp_path / 'e')
    return
  described = _write(source, tmp_path / 'e')
  if compat.IS_TF2:
    assert described['conversion']['select_operations'] == []
    assert described['conversion']['operations']


def test_what_cannot_be_meant(classifier, tmp_path):
  with pytest.raises(export.ExportError, match='--representative_images'):
    _write(classifier, tmp_path / 'e', tflite.INT8)
  with pytest.raises(export.ExportError, match='fixed size'):
    _write(classifier, tmp_path / 'e', batch_size=None)
  (tmp_path / 'e').mkdir()
  with pytest.raises(export.ExportError, match='--override_export_dir'):
    _write(classifier, tmp_path / 'e')
  assert not os.listdir(str(tmp_path / 'e'))


def test_representative_images_of_records(tmp_path):
  path = str(tmp_path / 'records-0')
  with tf.python_io.TFRecordWriter(path) as writer:
    for image in IMAGES[:3]:
      writer.write(tf.train.Example(features=tf.train.Features(feature={
          input_types.ENCODED_KEY: tf.train.Feature(
              bytes_list=tf.train.BytesList(value=[image]))}))
                   .SerializeToString())
  assert tflite.images_of_records(path, 2) == IMAGES[:2]
  assert tflite.images_of_records(path + '*', 9) == IMAGES[:3]
  with pytest.raises(export.ExportError, match='No record matches'):
    tflite.images_of_records(str(tmp_path / 'none*'), 2)
