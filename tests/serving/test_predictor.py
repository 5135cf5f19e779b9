"""Tests of serving.predictor: a checkpoint as a function of images."""

import io
import threading
import time

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from serving import predictor
from serving import results
from tests import runtimes
from tests.serving import small_models
from utils import masks as mask_utils
from utils import training_names

IMAGES = [small_models.image(50, 80), small_models.image(120, 60, 1),
          small_models.image(64, 64, 2)]


def _encoded(image, image_format='png', **options):
  stream = io.BytesIO()
  Image.fromarray(image).save(stream, image_format, **options)
  return stream.getvalue()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A model_dir of a small RetinaNet."""
  path = tmp_path_factory.mktemp('retinanet')
  small_models.make(path, 'retinanet')
  return path


@pytest.fixture(scope='module')
def detect(folder):
  return predictor.load(folder, label_map={1: 'cat', 2: 'dog'})


def _same(a, b):
  np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-3)
  np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
  np.testing.assert_array_equal(a.classes, b.classes)


def test_boxes_are_in_pixels_of_each_image(detect):
  small = small_models.image(64, 96, 2)
  large = np.repeat(np.repeat(small, 3, axis=0), 3, axis=1)
  answers = detect([small, large])
  assert [a.image_size for a in answers] == [(64, 96), (192, 288)]
  assert len(answers[0]) == len(answers[1]) == 10
  spans = [a.boxes.max() - a.boxes.min() for a in answers]
  assert spans[0] <= 96 < spans[1] <= 288


def test_names_and_numbers(detect):
  answer = detect(IMAGES[0])
  names = {1: 'cat', 2: 'dog', 3: '3'}
  assert answer.names == [names[i] for i in answer.classes]
  assert np.all(np.diff(answer.scores) <= 0)
  assert detect.task == 'detection'
  assert detect.config.architecture.num_classes == 4


def test_arrays_bytes_and_names_of_files_are_the_same_image(detect, tmp_path):
  image = IMAGES[0]
  path = tmp_path / 'an image.png'
  path.write_bytes(_encoded(image))
  answers = detect([image, _encoded(image), str(path), path])
  for answer in answers[1:]:
    _same(answer, answers[0])


def test_a_batch_gives_what_single_images_give(folder, detect):
  batches = predictor.load(folder, batch_size=2)
  for one, many in zip(map(detect, IMAGES), batches(IMAGES)):
    _same(one, many)


def test_an_image_is_turned_as_it_notes(folder, detect):
  exif = Image.Exif()
  exif[0x0112] = 6  # the first row is the right side
  encoded = _encoded(IMAGES[0], exif=exif)
  upright = np.ascontiguousarray(IMAGES[0][::-1].swapaxes(0, 1))
  answer = detect(encoded)
  assert answer.image_size == (80, 50)
  _same(answer, detect(upright))
  np.testing.assert_array_equal(answer.image, upright)
  stored = predictor.load(folder, follow_exif=False)(encoded)
  _same(stored, detect(IMAGES[0]))


@pytest.mark.parametrize('wrong,words', [
    (b'', 'empty'), (b'not an image', 'not an image'), ('none.jpg', 'cannot'),
    (_encoded(IMAGES[0], 'jpeg')[:900], 'truncated'), (None, 'NoneType'),
    (np.zeros([4, 4, 3]), '255'), (np.zeros([4, 4, 4], np.uint8), ':3'),
    (np.zeros([2, 4, 4, 3], np.uint8), 'list'),
    (np.zeros([3, 8, 8], np.uint8), 'transpose'),
    (np.zeros([0, 8, 3], np.uint8), 'expected|should'), (7, 'uint8')],
                         ids=lambda v: None)
def test_what_is_not_an_image_is_named(detect, wrong, words):
  with pytest.raises(predictor.InputError, match=words) as error:
    detect([IMAGES[0], IMAGES[1], wrong])
  assert error.value.index == 2


def test_a_stream_goes_on_behind_what_is_not_an_image(folder):
  batches = predictor.load(folder, batch_size=2)
  answers = list(batches.stream(iter([b'x', IMAGES[0], b'', IMAGES[1], b'y'])))
  assert [isinstance(a, predictor.InputError) for a in answers] == [
      True, False, True, False, True]
  assert [a.index for a in answers[::2]] == [0, 2, 4]
  assert answers[3].image_size == (120, 60)


def test_huge_images_are_refused_before_they_are_decoded(folder):
  small_limit = predictor.load(folder, max_pixels=4000)
  with pytest.raises(predictor.InputError, match='50 x 81 .* 4000'):
    small_limit(_encoded(small_models.image(50, 81)))
  assert small_limit(_encoded(IMAGES[0])).image_size == (50, 80)


def test_odd_images_are_answered(detect):
  grey = IMAGES[0][:, :, 0]
  odd = [grey, _encoded(grey), np.zeros([1, 1, 3], np.uint8),
         np.zeros([3, 2000, 3], np.uint8),
         _encoded(IMAGES[0], 'tiff'),
         _encoded(IMAGES[0], 'webp', lossless=True)]
  answers = detect(odd)
  assert [a.image_size for a in answers] == [
      (50, 80), (50, 80), (1, 1), (3, 2000), (50, 80), (50, 80)]
  _same(answers[0], answers[1])
  _same(answers[4], detect(IMAGES[0]))
  _same(answers[5], detect(IMAGES[0]))


def test_no_images_no_answers(detect):
  assert detect([]) == []


def test_an_override_is_used(folder, detect):
  few = predictor.load(folder, params_override='postprocess.max_total_size=3')
  answer = few(IMAGES[0])
  np.testing.assert_allclose(answer.boxes, detect(IMAGES[0]).boxes[:3],
                             atol=1e-3)


def test_another_size_of_the_input(folder):
  larger = predictor.load(folder, image_size=(100, 130))
  assert larger.model.spec.padded_size == (128, 160)
  assert larger(IMAGES[0]).image_size == (50, 80)


def test_bfloat16(folder, detect):
  """It is near float32, not equal; the key of evaluation sets it, too."""
  exact = detect(IMAGES[0])
  rounded = predictor.load(folder, precision='bfloat16')(IMAGES[0])
  difference = np.abs(rounded.scores - exact.scores).max()
  assert 0 < difference < .05
  _same(predictor.load(
      folder, params_override='eval.precision=bfloat16')(IMAGES[0]), rounded)
  _same(predictor.load(
      folder, precision='float32',
      params_override='eval.precision=bfloat16')(IMAGES[0]), exact)
  _same(predictor.load(  # for GPUs, in jobs
      folder, params_override='eval.precision=float16')(IMAGES[0]), exact)
  with pytest.raises(predictor.LoadError, match="'half'.*float32 or bfloat16"):
    predictor.load(folder, precision='half')


@pytest.mark.one_runtime('tf1')
def test_a_checkpoint_and_its_files_are_a_path(folder, detect):
  prefix = str(folder / 'model.ckpt-7')
  for path in (prefix, prefix + '.index'):
    _same(predictor.load(path)(IMAGES[0]), detect(IMAGES[0]))
  other = predictor.load(None, checkpoint_path=prefix)
  _same(other(IMAGES[0]), detect(IMAGES[0]))


def test_the_best_checkpoints_have_the_configuration_above(
    folder, detect, tmp_path):
  (tmp_path / 'best').mkdir()
  tf.gfile.Copy(str(folder / 'params.yaml'), str(tmp_path / 'params.yaml'))
  for path in tf.gfile.Glob(str(folder / 'model.ckpt*')):
    tf.gfile.Copy(path, str(tmp_path / 'best' / path.split('/')[-1]))
  _same(predictor.load(tmp_path / 'best')(IMAGES[0]), detect(IMAGES[0]))


def test_what_is_not_a_model_is_named(folder, tmp_path):
  for path, words in ((tmp_path, 'neither a checkpoint'),
                      (tmp_path / 'none', 'params.yaml'),
                      (None, 'exported folder')):
    with pytest.raises(predictor.LoadError, match=words):
      predictor.load(path)
  alone = tmp_path / 'somewhere' / 'else'
  alone.mkdir(parents=True)
  for path in tf.gfile.Glob(str(folder / 'model.ckpt*')):
    tf.gfile.Copy(path, str(alone / path.split('/')[-1]))
  with pytest.raises(predictor.LoadError, match='There is no params.yaml'):
    predictor.load(alone)
  with pytest.raises(predictor.LoadError, match='another model'):
    predictor.load(folder, params_override='architecture.num_classes=9')
  data = alone / 'model.ckpt-7.data-00000-of-00001'
  data.write_bytes(data.read_bytes()[:1000])
  (alone / 'params.yaml').write_text((folder / 'params.yaml').read_text())
  with pytest.raises(predictor.LoadError,
                     match='No checkpoint in .* is whole.*model.ckpt-7'):
    predictor.load(alone)


@pytest.mark.one_runtime('tf2')
def test_names_of_the_configuration(folder, tmp_path):
  label_map = tmp_path / 'label_map.csv'
  label_map.write_text('1:owl\n3:fox\n')
  by_key = predictor.load(
      folder, params_override='eval.label_map=%s' % label_map)
  assert by_key.class_names == {1: 'owl', 3: 'fox'}
  annotations = tmp_path / 'annotations.json'
  annotations.write_text(
      '{"categories": [{"id": 0, "name": "owl"}, {"id": 2, "name": "fox"}]}')
  shifted = predictor.load(folder, params_override=(
      'eval.label_map=%s,eval.val_json_file=%s' % (label_map, annotations)))
  answer = shifted(IMAGES[0])
  assert {e['category_id'] for e in answer.to_coco(5)} <= {0, 1, 2}
  assert [e['category_id'] for e in answer.to_coco(5)] == list(
      answer.classes - 1)
  with pytest.raises(predictor.LoadError, match='none.csv'):
    predictor.load(folder, label_map=str(tmp_path / 'none.csv'))


@pytest.mark.one_runtime('tf1')
def test_moving_averages_are_the_weights(tmp_path):
  path = small_models.make(tmp_path, 'classification')
  reader = tf.train.load_checkpoint(path)
  with tf.Graph().as_default(), tf.Session() as session:
    variables = []
    for name in reader.get_variable_to_shape_map():
      value = reader.get_tensor(name)
      variables.append(tf.Variable(np.zeros_like(value), name=name))
      variables.append(tf.Variable(
          value, name='%s/%s' % (name, training_names.AVERAGE)))
    session.run(tf.variables_initializer(variables))
    tf.train.Saver(variables).save(session, str(tmp_path / 'averages.ckpt'), 8,
                                   write_state=False)
  def load(name, decay):
    return predictor.load(
        tmp_path, str(tmp_path / name),
        params_override='train.moving_average_decay=%s' % decay)(IMAGES[0])
  plain = predictor.load(tmp_path)(IMAGES[0])
  averaged = load('averages.ckpt-8', .9)
  np.testing.assert_allclose(averaged.probabilities, plain.probabilities,
                             atol=1e-6)
  zeros = load('averages.ckpt-8', 0)
  assert zeros.probabilities.std() < 1e-6


@pytest.mark.parametrize('model', runtimes.alternate([
    'cascade_mask_rcnn', 'shapemask', 'mask_rcnn'], both=('mask_rcnn',)))
def test_models_with_masks(model, tmp_path):
  small_models.make(tmp_path, model)
  answer = predictor.load(tmp_path)(IMAGES[1])
  assert isinstance(answer, results.DetectionResult)
  pasted = answer.pasted_masks()
  assert pasted.shape == (len(answer), 120, 60) and pasted.dtype == bool
  assert 0 < pasted.mean() < 1
  for entry, mask in zip(answer.to_coco('x'), pasted):
    np.testing.assert_array_equal(
        mask_utils.decode(entry['segmentation']), mask)
  assert answer.draw().shape == (120, 60, 3)


def test_a_classifier(tmp_path):
  small_models.make(tmp_path, 'classification')
  classify = predictor.load(tmp_path, top=3)
  answers = classify(IMAGES)
  assert classify.task == 'classification'
  for answer in answers:
    np.testing.assert_allclose(answer.probabilities.sum(), 1., atol=1e-5)
    assert answer.classes[0] == answer.probabilities.argmax()
    assert len(answer.names) == 3
  assert answers[0].draw().shape[2] == 3
  assert len({tuple(a.classes) for a in answers} | {None}) > 1


def test_segmentation(tmp_path):
  small_models.make(tmp_path, 'segmentation')
  answers = predictor.load(tmp_path)(IMAGES)
  for answer, image in zip(answers, IMAGES):
    assert answer.label_map.shape == answer.scores.shape == image.shape[:2]
    assert answer.label_map.max() < 5
    assert list(answer.classes) == sorted(set(answer.label_map.ravel()))
    assert answer.scores.min() > 1. / 6
  total = sum(mask_utils.area(e['segmentation'])
              for e in answers[0].to_coco('x'))
  assert total == 50 * 80


def test_images_that_are_only_padded_keep_their_pixels(tmp_path):
  small_models.make(tmp_path, 'segmentation',
                    segmentation_parser__resize_eval=False)
  segment = predictor.load(tmp_path)
  _, info = segment.model.prepare(small_models.image(40, 30))
  np.testing.assert_allclose(info, [[40, 30], [64, 64], [1, 1], [0, 0]])
  _, info = segment.model.prepare(small_models.image(128, 30))
  np.testing.assert_allclose(info[2], [.5, .5])


def test_two_batches_run_at_once(folder, monkeypatch):
  """The answers keep the order of the images, however long each takes."""
  detect = predictor.load(folder)
  expected = detect(IMAGES * 3)
  both = threading.Barrier(2, timeout=60)
  run = detect.model.run

  def run_with_another(prepared):
    # Breaks unless another batch runs meanwhile.
    number = both.wait()
    time.sleep(.05 * number)
    return run(prepared)
  monkeypatch.setattr(detect.model, 'run', run_with_another)
  images = (IMAGES * 3)[:2 * (len(IMAGES * 3) // 2)]
  for answer, other in zip(detect.stream(images), expected):
    _same(answer, other)
