"""Ground truth and counts straight from records."""

import numpy as np
import pytest

from dataloader import record_files
from dataloader import records
from dataloader import source_ids
from tests import golden
from tests.dataloader import examples
from utils import masks as mask_utils


@pytest.mark.parametrize('path', golden.reference_files(
    'ops/eval_groundtruth.tfrecord'))
def test_reference(path):
  expected = golden.load_json(path.replace('.tfrecord',
                                           '_from_tfrecord.json'))
  actual = records.read_groundtruth(path)
  assert [{k: i[k] for k in ('id', 'height', 'width')}
          for i in actual['images']] == expected['images']
  assert [{'id': c['id']} for c in actual['categories']] == (
      [{'id': c['id']} for c in expected['categories']])
  assert len(actual['annotations']) == len(expected['annotations'])
  for one, other in zip(actual['annotations'], expected['annotations']):
    for key in ('id', 'image_id', 'category_id', 'iscrowd'):
      assert one[key] == other[key]
    np.testing.assert_allclose(one['bbox'], other['bbox'], rtol=1e-6)
    np.testing.assert_allclose(one['area'], other['area'], rtol=1e-6)


def _write(tmp_path, serialized, name='a.tfrecord'):
  return examples.write(tmp_path / name, serialized)


def test_boxes_in_pixels_and_areas_of_boxes(tmp_path):
  # The stored size is wrong on purpose: the image counts, as in the reader.
  path = _write(tmp_path, [examples.serialize(
      examples.image(20, 40), boxes=[[.25, .5, .75, .75]], classes=[3],
      source_id='img', size=(200, 400), filename='img.png')])
  result = records.read_groundtruth(path)
  assert result['images'] == [{
      'id': source_ids.to_ints(['img'])[0], 'source_id': 'img',
      'file_name': 'img.png', 'height': 20, 'width': 40}]
  assert result['annotations'] == [{
      'id': 1, 'image_id': result['images'][0]['id'], 'category_id': 3,
      'bbox': [20., 5., 10., 10.], 'area': 100., 'iscrowd': 0}]
  assert result['categories'] == [{'id': 3, 'name': '3'}]


def test_masks(tmp_path):
  mask = np.zeros([8, 6], np.uint8)
  mask[2:4, 1:3] = 255
  path = _write(tmp_path, [examples.serialize(
      examples.image(8, 6), boxes=[[.25, .2, .5, .5]], classes=[1],
      masks=[mask])])
  annotation, = records.read_groundtruth(path, True)['annotations']
  np.testing.assert_array_equal(
      mask_utils.decode(annotation['segmentation']), mask > 0)


@pytest.mark.parametrize('pngs', [[], [b'']])
def test_missing_masks_are_named(tmp_path, pngs):
  path = _write(tmp_path, [examples.serialize(
      examples.image(8, 6), boxes=[[0., 0., 1., 1.]], classes=[1],
      mask_pngs=pngs)])
  with pytest.raises(records.RecordError) as e:
    records.read_groundtruth(path, include_mask=True)
  assert path + ': record 0' in str(e.value)
  assert '1 objects and 0 masks' in str(e.value)


def test_record_without_objects_or_id(tmp_path):
  path = _write(tmp_path, [examples.serialize(examples.image(8, 6),
                                              source_id='')])
  result = records.read_groundtruth(path)
  assert result['annotations'] == result['categories'] == []
  assert result['images'][0]['source_id'] == str(result['images'][0]['id'])


def test_first_records_of_several_files(tmp_path):
  for i in range(3):
    _write(tmp_path, [examples.serialize(
        examples.image(4, 4), source_id=str(2 * i + k)) for k in range(2)],
           '%d.tfrecord' % i)
  pattern = str(tmp_path / '*.tfrecord')
  ids = [i['id'] for i in records.read_groundtruth(
      pattern, num_samples=3)['images']]
  assert ids == [0, 1, 2]
  assert len(records.read_groundtruth(pattern)['images']) == 6
  assert records.count_records([str(tmp_path / '0.tfrecord')] * 2) == 4


def test_one_id_for_two_records(tmp_path):
  path = _write(tmp_path, [
      examples.serialize(examples.image(4, 4), source_id='7'),
      examples.serialize(examples.image(4, 4), source_id='007')])
  with pytest.raises(records.RecordError, match='Two records .* \'007\''):
    records.read_groundtruth(path)


@pytest.mark.parametrize('content,message', [
    (b'', 'no image/encoded'), (b'no image', 'cannot be read')])
def test_record_without_a_image(tmp_path, content, message):
  path = _write(tmp_path, [examples.serialize(examples.image(4, 4)),
                           examples.serialize(encoded=content, source_id='b')])
  with pytest.raises(records.RecordError) as e:
    records.read_groundtruth(path)
  assert path + ': record 1' in str(e.value) and message in str(e.value)


def test_boxes_that_do_not_match_the_classes(tmp_path):
  path = _write(tmp_path, [examples.serialize(
      examples.image(4, 4), boxes=[[0., 0., 1., 1.]], classes=[1, 2])])
  with pytest.raises(records.RecordError, match='2 classes, but 1, 1, 1 and 1'):
    records.read_groundtruth(path)


def test_no_example(tmp_path):
  path = _write(tmp_path, [b'\xff\xff\xff'])
  with pytest.raises(records.RecordError, match='record 0.*tf.train.Example'):
    records.read_groundtruth(path)


@pytest.mark.parametrize('num_bytes', [1, 8, 60])
def test_truncated_file(tmp_path, num_bytes):
  serialized = [examples.serialize(examples.image(4, 4), source_id=str(i))
                for i in range(3)]
  path = _write(tmp_path, serialized)
  content = open(path, 'rb').read()
  with open(path, 'wb') as f:
    f.write(content[:len(content) - num_bytes])
  for read in (lambda: records.count_records([path]),
               lambda: records.read_groundtruth(path),
               lambda: list(record_files.iterate([path]))):
    with pytest.raises(records.RecordError) as e:
      read()
    assert path + ': record 2 (counting from 0)' in str(e.value)


def test_no_tfrecord_file(tmp_path):
  path = str(tmp_path / 'a.tfrecord')
  with open(path, 'w') as f:
    f.write('{"images": [], "annotations": []}')
  with pytest.raises(records.RecordError, match='Is it a TFRecord file'):
    records.count_records([path])


def test_missing_pattern():
  with pytest.raises(ValueError, match='eval.eval_file_pattern'):
    records.read_groundtruth('')


def test_names_of_images(tmp_path):
  """By every id that a reader may give them."""
  images = [examples.image(4, 4 + i) for i in range(4)]
  encoded = [examples.encode(image) for image in images]
  path = _write(tmp_path, [
      examples.serialize(encoded=encoded[0], source_id='007'),
      examples.serialize(encoded=encoded[1], source_id='', filename='b.jpg'),
      examples.serialize(encoded=encoded[2], source_id=''),
      examples.serialize(encoded=encoded[3], source_id='x', filename='y')])
  hashes = [source_ids.make_hash()(e) for e in encoded]
  b, x = source_ids.to_ints(['b.jpg', 'x'])
  assert records.read_names(path) == {
      7: '007', b: 'b.jpg', hashes[1]: 'b.jpg', x: 'x'}
  assert records.read_names(path, regenerate_source_id=True) == {
      7: '007', b: 'b.jpg', hashes[1]: 'b.jpg', x: 'x', hashes[0]: '007',
      hashes[3]: 'x'}


def test_equal_images_of_different_names_keep_their_hash(tmp_path):
  path = _write(tmp_path, [
      examples.serialize(examples.image(4, 4), source_id='', filename=name)
      for name in ('a', 'b')])
  assert records.read_names(path) == dict(zip(
      source_ids.to_ints(['a', 'b']), 'ab'))


def test_regenerated_ids_are_those_of_the_reader(tmp_path):
  encoded = examples.encode(examples.image(4, 5))
  path = _write(tmp_path, [examples.serialize(
      encoded=encoded, source_id='7', boxes=[[0., 0., 1., 1.]], classes=[1])])
  result = records.read_groundtruth(path, regenerate_source_id=True)
  number = source_ids.make_hash()(encoded)
  image, = result['images']
  assert (image['id'], image['source_id']) == (number, '7')
  assert result['annotations'][0]['image_id'] == number


@pytest.mark.parametrize('lists', [
    {'area': [1.]}, {'is_crowd': [0]}, {'area': [1., 2., 3.]},
    {'is_crowd': [0, 1, 0]}])
def test_lists_of_other_lengths_are_named(tmp_path, lists):
  """They would shorten the ground truth."""
  path = _write(tmp_path, [examples.serialize(
      examples.image(8, 6), boxes=[[0., 0., 1., 1.]] * 2, classes=[1, 1],
      **lists)])
  with pytest.raises(records.RecordError, match='record 0 .*it has 2 classes, '
                     'but . area and . is_crowd'):
    records.read_groundtruth(path)


def test_names_of_classes(tmp_path):
  path = _write(tmp_path, [
      examples.serialize(examples.image(4, 4)),
      examples.serialize(examples.image(4, 4), boxes=[[0., 0., 1., 1.]] * 2,
                         classes=[3, 7])])
  assert records.read_class_names(path) == {3: '3', 7: '7'}
  assert records.read_class_names(path, 1) == {}
