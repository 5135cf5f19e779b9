"""Tests of tools/benchmark_saved_model.py on exports made by hand."""

import contextlib
import functools
import json
import sys

from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from serving import export
from serving.targets import environment
from serving.targets import kinds
from serving.targets import tflite
from tests.serving import small_models
from tools import benchmark_saved_model
from tools.benchmarks import graph_parts
from tools.benchmarks import model_images
from tools.benchmarks import saved_model_target
from tools.benchmarks import targets


def _decoded(encoded):
  image = tf.cast(tf.image.decode_jpeg(encoded, 3), tf.float32) / 255. - .5
  image.set_shape([32, 48, 3])
  return image


def _examples(serialized):
  return _decoded(tf.io.parse_single_example(serialized, {
      'image/encoded': tf.io.FixedLenFeature([], tf.string)})['image/encoded'])


_MAKERS = {
    'encoded': (tf.string, [], _decoded), 'example': (tf.string, [], _examples),
    'pixels': (tf.uint8, [32, 48, 3], lambda x: tf.cast(x, tf.float32) - 9.),
    'normalized': (tf.float32, [32, 48, 3], None)}


def _export(folder, kind='encoded', batch_size=None, first=True,
            with_info=True):
  """Writes a SavedModel with one convolution; returns its path."""
  dtype, shape, prepare = _MAKERS[kind]
  path = str(folder / 'exported')
  with tf.Graph().as_default(), tf.Session() as session:
    fed = tf.placeholder(dtype, [batch_size] + shape)
    images = tf.map_fn(prepare, fed, tf.float32) if prepare else fed
    features = tf.layers.conv2d(images, 2, 3) if first else images
    outputs = {'scores': tf.identity(tf.reduce_mean(features, [1, 2, 3]),
                                     'Scores')}
    if with_info:
      info = tf.ones([tf.shape(images)[0], 4, 2]) * images[0, 0, 0, 0]
      outputs['image_info'] = tf.identity(info, 'ImageInfo')
      outputs['scores'] = tf.identity(
          outputs['scores'] * info[:, 0, 0], 'Scaled')
    session.run(tf.global_variables_initializer())
    builder = tf.saved_model.Builder(path)
    builder.add_meta_graph_and_variables(
        session, ['serve'], {'serving_default':
                             tf.saved_model.predict_signature_def(
                                 {'input': fed, 'threshold':
                                  tf.placeholder_with_default(.5, [])},
                                 outputs)})
    builder.save()
  return path


def _run(path, *flags):
  return benchmark_saved_model.run(benchmark_saved_model.parse_arguments([
      '--saved_model_path=' + path, '--num_runs=3', '--warm_up=1',
      '--input_size=32,48'] + list(flags)))


def _arguments(path):
  return benchmark_saved_model.parse_arguments(['--saved_model_path=' + path])


def _fails(path, *flags):
  with pytest.raises(SystemExit) as error:
    benchmark_saved_model.main(['--saved_model_path=' + path, '--num_runs=1']
                               + list(flags))
  assert str(error.value.code).startswith('Error: ')
  return error.value.code


@pytest.mark.parametrize('kind', sorted(_MAKERS))
def test_every_kind_of_input(tmp_path, kind, capsys):
  record = _run(_export(tmp_path, kind), '--batch_sizes=1,3')
  assert record['input'] == kind and record['input_size'] == [32, 48]
  assert [(r['batch_size'], r['what'], r['runs']) for r in record['results']
          ] == [(1, 'end_to_end', 3), (1, 'network', 3),
                (3, 'end_to_end', 3), (3, 'network', 3)]
  for result in record['results']:
    assert 0 < result['min_ms'] <= result['p50_ms'] <= result['p90_ms'] <= (
        result['p99_ms']) <= result['max_ms']
    assert result['images_per_second'] == pytest.approx(
        1e3 * result['batch_size'] / result['mean_ms'])
  printed = capsys.readouterr().out
  assert 'images/s' in printed and printed.count('network') == 2


def test_the_network_alone_begins_with_the_prepared_image(tmp_path):
  path = _export(tmp_path, 'encoded')
  target = saved_model_target.SavedModelTarget(path, _arguments(path))
  target.functions([model_images.encoded_image(None, (32, 48))])
  session, = target._networks
  fed, output = (session.graph.get_tensor_by_name(name)
                 for name in (target._fed.name, 'Scaled:0'))
  assert not graph_parts.depends([output.op], fed)
  # The numbers are those of the whole model.
  encoded = [model_images.encoded_image(None, (32, 48))]
  assert session.run(output) == pytest.approx(
      target._session.run('Scaled:0', {target._fed: encoded}), rel=1e-5)
  target.close()


@pytest.mark.one_runtime('tf1')
def test_an_export_of_a_detector(tmp_path):
  prefix = small_models.make(tmp_path / 'run', 'retinanet')
  path = export.export(small_models.config('retinanet'), prefix,
                       str(tmp_path / 'exported'), batch_size=-1)
  target = targets.load('saved_model', path, _arguments(path))
  functions = target.functions([model_images.encoded_image(None, (64, 96))] * 2)
  functions[targets.NETWORK]()
  detections = functions[targets.END_TO_END]()
  assert sorted(value.shape[0] for value in detections) == [2] * 5
  session, = target._networks
  fed = session.graph.get_tensor_by_name(target._fed.name)
  assert not graph_parts.depends(
      [session.graph.get_operation_by_name('DetectionBoxes')], fed)
  target.close()


def test_what_else_needs_the_image_is_timed_too(tmp_path):
  record = _run(_export(tmp_path, with_info=False))
  assert [r['what'] for r in record['results']] == ['end_to_end', 'network']


def test_no_network_to_be_found(tmp_path, capsys):
  record = _run(_export(tmp_path, first=False))
  assert [r['what'] for r in record['results']] == ['end_to_end']
  assert 'is not timed separately' in record['notes'][0]
  assert 'Note: There is no convolution' in capsys.readouterr().out


def test_upstreams_flags_and_a_file(tmp_path):
  path, output = _export(tmp_path), tmp_path / 'made' / 'figures.json'
  Image.new('RGBA', (20, 30)).save(str(tmp_path / 'image.png'))
  record = _run(path, '--image_file=%s' % (tmp_path / 'image.png'),
                '--use_image_bytes_as_input', '--fetch_tensors=Scores:0',
                '--feed_tensor=Placeholder:0', '--json=%s' % output)
  assert json.load(open(str(output))) == json.loads(json.dumps(record))
  assert record['image'].endswith('image.png')


def test_a_fixed_batch(tmp_path):
  path = _export(tmp_path, batch_size=2)
  assert {r['batch_size'] for r in _run(path)['results']} == {2}
  assert 'batches of 2. Export it with' in _fails(path, '--batch_sizes=1')


@pytest.mark.parametrize('flags,message', [
    (['--use_image_bytes_as_input=false'], 'but the model takes encoded'),
    (['--nouse_image_bytes_as_input'], 'but the model takes encoded'),
    (['--signature=mine'], "no signature 'mine'; it has: serving_default"),
    (['--feed_tensor=None:0'], "'None:0'"),
    (['--fetch_tensors=Scores:0,x:0'], "'x:0'"),
    (['--feed_tensor=ImageInfo:0'], 'which is none of'),
    (['--input_size=32'], 'should be 2 positive numbers'),
    (['--batch_sizes=0'], 'should be one or more positive numbers'),
    (['--image_file=README.md'], 'cannot be read as an image'),
    (['--image_file=none'], 'cannot be read as an image')])
def test_wrong_flags(tmp_path, flags, message):
  assert message in _fails(_export(tmp_path), *flags)


def test_what_is_not_a_saved_model(tmp_path):
  assert 'It should be a folder with saved_model.pb' in _fails(str(tmp_path))


def _converted(folder, name, **options):
  """Path of a small classifier as another target."""
  prefix = small_models.make(folder / 'run', 'classification')
  write = tflite.write if name == 'tflite' else functools.partial(
      kinds.write, name)
  write(small_models.config('classification'), prefix, folder / name,
        report=lambda line: None, **options)
  return str(folder / name)


@pytest.mark.one_runtime('tf2')
def test_a_frozen_graph(tmp_path):
  path = _converted(tmp_path, 'frozen_graph')
  record = _run(path, '--target=frozen_graph', '--batch_sizes=1,2')
  assert [(r['batch_size'], r['what']) for r in record['results']] == [
      (1, 'end_to_end'), (1, 'network'), (2, 'end_to_end'), (2, 'network')]
  assert record['input_size'] == [64, 64]
  assert 'give --target=frozen_graph' in _fails(path, '--target=tflite')
  assert '--signature is for --target=saved_model' in _fails(
      path, '--target=frozen_graph', '--signature=x')


@pytest.mark.slow
@pytest.mark.parametrize('name', ['onnx', 'openvino', 'stablehlo', 'tflite'])
def test_other_targets(tmp_path, name):
  try:
    targets.interpreter(name)
  except ValueError as e:
    pytest.skip(str(e))
  output = tmp_path / 'figures.json'
  options = {'batch_size': 1} if name == 'stablehlo' else {}
  path = _converted(tmp_path, name, **options)
  with pytest.raises(SystemExit) if targets.interpreter(
      name) != sys.executable else contextlib.nullcontext() as ended:
    benchmark_saved_model.main([
        '--saved_model_path=' + path, '--num_runs=2',
        '--target=' + name, '--warm_up=1', '--json=%s' % output])
  assert ended is None or ended.value.code == 0
  with open(str(output)) as f:
    record = json.load(f)
  assert record['target'] == name
  assert [r['what'] for r in record['results']] == ['end_to_end', 'network']


def test_a_target_whose_program_is_not_there(tmp_path, monkeypatch):
  monkeypatch.setattr(environment, 'ROOT', str(tmp_path))
  monkeypatch.setattr(environment.importlib.util, 'find_spec',
                      lambda package: None)
  assert "'make export-env'" in _fails('x', '--target=onnx')


def test_targets_are_classes_of_their_modules():
  for name in targets.TARGETS:
    with pytest.raises(targets.TargetError):
      targets.load(name, 'none', benchmark_saved_model.parse_arguments(
          ['--saved_model_path=none', '--target=' + name]))
