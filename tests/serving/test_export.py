"""Tests of serving.export: what is written, and what is left alone."""

import hashlib
import json
import os
import shutil

from google.protobuf import descriptor_pb2
from google.protobuf import descriptor_pool
from google.protobuf import message_factory
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.core.framework import tensor_pb2

from ops import compat
from serving import export
from serving import export_notes
from serving import exported_model
from serving import parity
from serving import predictor
from serving import signatures
from serving import sources
from serving import warm_up
from tests import runtimes
from tests.serving import small_models
from utils import fields

IMAGES = [small_models.image(50, 80), small_models.image(120, 60, 1)]


@pytest.fixture(scope='module')
def source(tmp_path_factory):
  """Checkpoint of a small RetinaNet in its model_dir."""
  folder = tmp_path_factory.mktemp('run')
  small_models.make(folder, 'retinanet')
  return sources.find_checkpoint(folder)


@pytest.fixture(scope='module')
def exported(source, tmp_path_factory):
  """An export for any number of images."""
  return export.export(
      source.config, source.checkpoint,
      tmp_path_factory.mktemp('exports') / 'v1', batch_size=-1,
      label_map={1: 'cat', 2: 'dog', 3: 'a "bird"'}, model_name='pets')


@pytest.fixture(scope='module')
def wanted(source):
  """What the checkpoint answers."""
  return predictor.load(source.checkpoint)(IMAGES)


def test_an_export_answers_as_its_checkpoint(source, exported, wanted):
  detect = predictor.load(exported, batch_size=2)
  assert detect.class_names[3] == 'a "bird"'
  assert detect.config.anchor == source.config.anchor
  for one, other in zip(wanted, detect(IMAGES)):
    np.testing.assert_allclose(other.boxes, one.boxes, atol=1e-3)
    np.testing.assert_allclose(other.scores, one.scores, atol=1e-5)
    np.testing.assert_array_equal(other.classes, one.classes)


def test_it_says_what_it_is(source, exported):
  folder = os.path.join(exported, 'assets.extra')
  assert sorted(os.listdir(folder)) == [
      'export.json', 'label_map.csv', 'params.yaml', warm_up.FILE]
  with open(os.path.join(folder, 'export.json')) as f:
    notes = json.load(f)
  with open(source.checkpoint + '.index', 'rb') as f:
    digest = hashlib.sha256(f.read()).hexdigest()
  assert notes['checkpoint']['sha256']['model.ckpt-7.index'] == digest
  assert len(notes['checkpoint']['sha256']) == 2
  assert notes['checkpoint']['step'] == 7
  assert notes['input']['rule'] == 'fit' and notes['input']['width'] == 96
  assert notes['tensorflow'] == compat.VERSION
  assert export_notes.read(exported).names[1] == 'cat'


def _log_class():
  """PredictionLog, as far as requests need it, from a description of our own.

  Tensors are bytes in it: on the wire both are the same, and TensorFlow's own
  messages are left alone.
  """
  proto = descriptor_pb2.FileDescriptorProto(
      name='warm_up_test.proto', package='warm_up_test', syntax='proto3')
  def message(name, *entries):
    one = proto.message_type.add(name=name)
    for field_name, number, kind in entries:
      field = one.field.add(name=field_name, number=number,
                            label=3 if field_name == 'inputs' else 1)
      field.type = {'string': 9, 'bytes': 12}.get(kind, 11)
      if field.type == 11:
        field.type_name = '.warm_up_test.' + kind
  message('Spec', ('name', 1, 'string'), ('signature_name', 3, 'string'))
  message('Entry', ('key', 1, 'string'), ('value', 2, 'bytes'))
  message('Request', ('model_spec', 1, 'Spec'), ('inputs', 2, 'Entry'))
  message('Predict', ('request', 1, 'Request'))
  message('Log', ('predict_log', 6, 'Predict'))
  pool = descriptor_pool.DescriptorPool()
  pool.AddSerializedFile(proto.SerializeToString())
  descriptor = pool.FindMessageTypeByName('warm_up_test.Log')
  if hasattr(message_factory, 'GetMessageClass'):
    return message_factory.GetMessageClass(descriptor)
  return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def test_warm_up_requests_are_those_of_tensorflow_serving(exported):
  path = os.path.join(exported, 'assets.extra', warm_up.FILE)
  log_class = _log_class()
  records = list(tf.python_io.tf_record_iterator(path))
  assert len(records) == 2
  request = log_class.FromString(records[0]).predict_log.request
  assert request.model_spec.name == 'pets'
  assert request.model_spec.signature_name == 'serving_default'
  assert [entry.key for entry in request.inputs] == ['input']
  value = tf.make_ndarray(tensor_pb2.TensorProto.FromString(
      request.inputs[0].value))
  model = exported_model.ExportedModel(exported)
  answer = model.run_signature({'Placeholder:0': value})
  assert answer[fields.DETECTION_BOXES].shape == (1, 10, 4)


@pytest.mark.parametrize('model', runtimes.alternate(
    small_models.MODELS, both=('retinanet',)))
def test_warm_up_requests_fit_the_signature(model):
  for input_type in ('image_bytes', 'raw_image_tensor'):
    tf.reset_default_graph()
    the_plan = export.plan(small_models.config(model), 'none', input_type, 2)
    one = signatures.describe_signature(
        export.build(the_plan)[signatures.SIGNATURE])
    example = warm_up.example_inputs(the_plan)
    assert set(example) == set(one['inputs'])
    for name, info in one['inputs'].items():
      shape = [side if side > 0 else None for side in info['shape']]
      assert tf.TensorShape(shape).is_compatible_with(example[name].shape)


def test_a_folder_that_is_there_is_left_alone(source, tmp_path):
  (tmp_path / 'v1').mkdir()
  (tmp_path / 'v1' / 'mine').write_text('precious')
  with pytest.raises(export.ExportError, match='--override_export_dir'):
    export.export(source.config, source.checkpoint, tmp_path / 'v1')
  assert os.listdir(str(tmp_path / 'v1')) == ['mine']


@pytest.mark.one_runtime('tf1')
def test_a_failure_leaves_everything_as_it_was(source, tmp_path):
  def fail(path):
    assert os.path.exists(os.path.join(path, 'saved_model.pb'))
    raise parity.ParityError('differs')
  (tmp_path / 'v1').mkdir()
  (tmp_path / 'v1' / 'mine').write_text('precious')
  with pytest.raises(parity.ParityError):
    export.export(source.config, source.checkpoint, str(tmp_path / 'v1') + '/',
                  override=True, check=fail)
  assert os.listdir(str(tmp_path)) == ['v1']
  assert os.listdir(str(tmp_path / 'v1')) == ['mine']


def test_a_folder_is_replaced_when_the_new_one_is_complete(source, tmp_path):
  """With a slash at its end, too."""
  (tmp_path / 'v1').mkdir()
  (tmp_path / 'v1' / 'old').write_text('old')
  folder = export.export(source.config, source.checkpoint,
                         str(tmp_path / 'v1') + '/', override=True)
  assert folder == str(tmp_path / 'v1')
  assert os.listdir(str(tmp_path)) == ['v1']
  assert sorted(os.listdir(folder)) == [
      'assets.extra', 'saved_model.pb', 'variables']


@pytest.mark.parametrize('coordinates,divisor', [
    runtimes.only('tf1', signatures.IMAGE, [1., 1., 1., 1.]),
    runtimes.only('tf2', signatures.NORMALIZED, [120., 60., 120., 60.])])
def test_boxes_in_other_coordinates(source, wanted, coordinates, divisor,
                                    tmp_path):
  detect = predictor.load(export.export(
      source.config, source.checkpoint, tmp_path / 'e',
      options=signatures.Options(coordinates, False, True, True)))
  boxes = wanted[1].boxes
  np.testing.assert_allclose(detect(IMAGES[1]).boxes, boxes, atol=1e-2)
  answer = detect.model.run_signature({'Placeholder:0': [
      warm_up.encoded(IMAGES[1], 'image_bytes')]})
  assert answer[fields.NUM_DETECTIONS].dtype == np.float32
  assert answer[fields.DETECTION_CLASSES].dtype == np.float32
  np.testing.assert_allclose(
      answer[fields.DETECTION_BOXES][0] * divisor, boxes, atol=1e-2)


@pytest.mark.one_runtime('tf1')
def test_an_export_without_suppression_is_answered(source, wanted, tmp_path):
  raw = sources.find_checkpoint(
      source.checkpoint, params_override='postprocess.apply_nms=false')
  folder = export.export(raw.config, raw.checkpoint, tmp_path / 'e')
  for one, other in zip(wanted, predictor.load(folder)(IMAGES)):
    np.testing.assert_allclose(other.boxes, one.boxes, atol=1e-3)
    np.testing.assert_array_equal(other.classes, one.classes)


def test_what_cannot_be_loaded_is_named(exported, tmp_path, monkeypatch):
  with pytest.raises(predictor.LoadError, match='exported model'):
    predictor.load(exported, params_override='anchor.num_scales=1')
  folder = tmp_path / 'broken'
  folder.mkdir()
  (folder / 'saved_model.pb').write_bytes(b'\x08\x01junk')
  with pytest.raises(predictor.LoadError, match='cannot be loaded'):
    predictor.load(folder)
  monkeypatch.setattr(exported_model, 'written_by', lambda _: '99.1.0')
  with pytest.raises(predictor.LoadError, match='written by TensorFlow 99.1.0'):
    predictor.load(folder)


def test_an_export_of_another_program(wanted, exported, tmp_path):
  """Without the notes beside the graph."""
  shutil.copytree(exported, str(tmp_path / 'e'))
  shutil.rmtree(str(tmp_path / 'e' / 'assets.extra'))
  detect = predictor.load(tmp_path / 'e')
  assert detect.config is None and detect.class_names == {}
  answer = detect(IMAGES[0])
  np.testing.assert_allclose(answer.boxes, wanted[0].boxes, atol=1e-3)
  assert answer.names == [str(i) for i in answer.classes]


@pytest.mark.one_runtime('tf2')
def test_the_published_signature_of_segmentation_is_answered(
    tmp_path, monkeypatch):
  checkpoint = small_models.make(tmp_path / 'm', 'segmentation')
  found = sources.find_checkpoint(checkpoint)
  folder = export.export(found.config, checkpoint, tmp_path / 'e')
  one = predictor.load(folder)(IMAGES)
  monkeypatch.setattr(signatures, 'LABEL_MAPS', 'not there')
  other = predictor.load(folder)(IMAGES)
  for a, b in zip(one, other):
    np.testing.assert_array_equal(a.label_map, b.label_map)
    np.testing.assert_allclose(a.scores, b.scores, atol=1. / 255)
  assert len({i for a in one for i in a.classes}) > 1


@pytest.mark.slow
@pytest.mark.parametrize('model', ['mask_rcnn', 'shapemask'])
def test_masks_pasted_in_the_graph_are_answered(model, tmp_path):
  checkpoint = small_models.make(tmp_path / 'm', model)
  found = sources.find_checkpoint(checkpoint)
  options = dict(batch_size=-1, paste_masks=True,
                 options=signatures.DEFAULT_OPTIONS._replace(
                     coordinates=signatures.IMAGE))
  the_plan = export.plan(found.config, checkpoint, **options)
  folder = export.export(
      found.config, checkpoint, tmp_path / 'e',
      check=lambda path: parity.check(the_plan, path), **options)
  for one, other in zip(predictor.load(checkpoint)(IMAGES),
                        predictor.load(folder, batch_size=2)(IMAGES)):
    np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-2)
    differs = one.pasted_masks() != other.pasted_masks()
    assert differs.mean(axis=(1, 2)).max() < 2e-3
    assert 0 < one.pasted_masks().mean() < 1
