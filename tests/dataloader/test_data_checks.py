"""Tests of dataloader/data_checks.py."""

import io
import tracemalloc

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from configs import factory
from dataloader import data_checks
from tests.dataloader import examples
from utils import mask_files

_GOOD = dict(boxes=[[.1, .2, .5, .8]], classes=[1])


def _check(records, model='retinanet', decode=True, **arguments):
  config, _ = factory.load_config(model, None, (
      'architecture.num_classes=4'), **arguments)
  checker = data_checks.for_config(config, decode)
  for i, record in enumerate(records):
    checker.check('a.tfrecord', i, record)
  checker.finish()
  return checker


def _record(size=(40, 50), **arguments):
  return examples.serialize(examples.image(*size), size=size,
                            **dict(_GOOD, **arguments))


def _names(checker, level=None):
  return {f.check for f in checker.findings if level in (None, f.level)}


def test_good_records():
  checker = _check([_record(source_id=str(i), classes=[1 + i % 3])
                    for i in range(6)])
  assert not _names(checker)
  assert checker.num_records == 6 and checker.class_counts == {1: 2, 2: 2, 3: 2}
  # 16 x 30 pixels.
  assert checker.size_counts == {'small': 6, 'medium': 0, 'large': 0}


@pytest.mark.parametrize('seeds, count', [([7, 4, 8, 0], 2), ([7, 8], 0)])
def test_images_that_are_trained_on_and_evaluated(seeds, count):
  """Whatever their ids and labels are."""
  def record(seed, **arguments):
    return examples.serialize(examples.image(40, 50, seed), size=(40, 50),
                              **dict(_GOOD, **arguments))
  config, _ = factory.load_config('retinanet', None,
                                  'architecture.num_classes=4')
  checker = data_checks.for_config(config)
  for i in range(5):
    checker.check('train', i, record(i, source_id=str(i)))
  for i, seed in enumerate(seeds):
    checker.compare('val', i, record(seed, classes=[2], source_id='val'))
  checker.compare('val', len(seeds), b'no example')
  found = [f for f in checker.finish() if f.check == 'images_in_both']
  assert [(f.level, f.where) for f in found] == (
      [('warning', 'val: record 1')] if count else [])
  assert all(f.detail.startswith('%d of the images' % count) for f in found)


@pytest.mark.parametrize('changes, level, check', [
    ({'classes': [0]}, 'error', 'class_0'),
    ({'classes': [4]}, 'error', 'class_range'),
    ({'classes': [1, 2]}, 'error', 'list_lengths'),
    ({'boxes': [[.5, .2, .1, .8]]}, 'error', 'box_inverted'),
    ({'boxes': [[10, 20, 30, 40]]}, 'error', 'box_in_pixels'),
    ({'boxes': [[.1, .2, .1, .8]]}, 'warning', 'box_without_area'),
    ({'boxes': [[.1, .2, .5, 1.2]]}, 'warning', 'box_outside'),
    ({'boxes': [[1.1, .2, 1.5, .8]]}, 'error', 'box_outside'),
    ({'boxes': [[float('nan'), .2, 1.5, .8]]}, 'error', 'box_not_finite'),
    ({'encoded': b'no image'}, 'error', 'undecodable_image'),
    ({'encoded': examples.encode(examples.image(80, 30))}, 'error',
     'wrong_size'),
    ({'boxes': [_GOOD['boxes'][0]] * 101, 'classes': [1] * 101}, 'error',
     'too_many_objects'),
    ({'area': [4., 5., 6.]}, 'error', 'area_length'),
    ({'boxes': [], 'classes': []}, 'note', 'images_without_objects'),
    ({'source_id': ''}, 'note', 'no_id')])
def test_one_bad_record(changes, level, check):
  good = [_record(source_id='good%d' % i, classes=[1 + i]) for i in range(3)]
  checker = _check(good + [_record(**changes)])
  assert _names(checker, level) == {check}
  finding = next(f for f in checker.findings if f.check == check)
  if check != 'images_without_objects':
    assert finding.where.startswith('a.tfrecord: record 3')


@pytest.mark.parametrize('changes, level, check', [
    ({'encoded': b'', 'size': (0, 0)}, 'error', 'undecodable_image'),
    ({'size': (0, 50)}, 'error', 'wrong_size'),
    ({'size': (41, 50)}, 'error', 'wrong_size'),
    ({'image': examples.image(1, 1), 'size': (1, 1)}, 'warning',
     'tiny_image'),
    ({'image': examples.image(2, 4000), 'size': (2, 4000)}, 'warning',
     'thin_image'),
    # OpenCV reads these, TensorFlow does not.
    ({'encoded': examples.encode(examples.image(40, 50), 'TIFF')}, 'error',
     'undecodable_image'),
    ({'boxes': [[.1, .1, .9, .9]] * 2, 'classes': [1, 1]}, 'warning',
     'duplicate_object')])
def test_odd_images_and_objects(changes, level, check):
  """None of them ends the check."""
  arguments = dict(_GOOD, image=examples.image(40, 50), size=(40, 50))
  arguments.update(changes)
  assert check in _names(_check([examples.serialize(**arguments)]), level)


def test_a_note_of_orientation():
  exif = Image.Exif()
  exif[0x0112] = 6
  stream = io.BytesIO()
  Image.fromarray(examples.image(40, 50)).save(stream, 'JPEG',
                                               exif=exif.tobytes())
  checker = _check([_record(encoded=stream.getvalue())])
  assert 'exif_orientation' in _names(checker, 'warning')
  assert 'wrong_size' not in _names(checker)  # as training sees it


@pytest.mark.parametrize('record', [
    b'', b'\xff\xd8\xff\xe0', _record()[:100],
    examples.encode(examples.image(8, 8))])
def test_bytes_that_are_no_example(record):
  checker = _check([_record(), record])
  finding, = [f for f in checker.findings if f.check == 'no_example']
  assert finding.level == 'error' and 'record 1' in finding.where


def test_sets_that_teach_nothing():
  crowds = [_record(source_id=str(i), is_crowd=[1]) for i in range(3)]
  assert 'all_crowds' in _names(_check(crowds), 'error')
  assert 'many_crowds' in _names(_check(crowds[:2] + [_record()]), 'warning')
  assert 'duplicate_images' in _names(_check(crowds), 'warning')
  lines = [_record(boxes=[[.5, .5, .5, .9]])]
  assert 'nothing_to_learn' in _names(_check(lines), 'error')


def _label_map(*values, **arguments):
  example = tf.train.Example.FromString(_record(**arguments))
  png = examples.encode(np.resize(np.array(values, np.uint8), [40, 50]))
  example.features.feature['image/segmentation/class/encoded'].bytes_list.value[
      :] = [png]
  return example.SerializeToString()


@pytest.mark.parametrize('values, level, check', [
    ((0, 1, 2, 3), 'note', None), ((255,), 'error', 'ignored_pixels'),
    ((0,) + (255,) * 20, 'warning', 'ignored_pixels'),
    ((2,), 'warning', 'one_class'), ((0, 9), 'error', 'class_range')])
def test_label_maps(values, level, check):
  checker = _check([_label_map(*values, source_id=str(i)) for i in range(2)],
                   'segmentation')
  assert {check} - {None} <= _names(checker, level)
  assert check or not _names(checker, 'error')
  assert 'missing_label_map' in _names(_check([_record()], 'segmentation'))


def _labelled(label, source_id):
  example = tf.train.Example.FromString(_record(source_id=source_id))
  example.features.feature['image/class/label'].int64_list.value[:] = [label]
  return example.SerializeToString()


@pytest.mark.parametrize('labels, level, check', [
    ((1, 1), 'warning', 'one_class'), ((1, 4), 'error', 'class_range'),
    ((1, 2), 'note', 'class_gaps')])
def test_labels_of_classifiers(labels, level, check):
  checker = _check([_labelled(label, str(i)) for i, label in enumerate(labels)],
                   'classification')
  assert check in _names(checker, level)


def test_an_id_that_occurs_twice():
  checker = _check([_record(source_id='7'), _record(source_id='7')])
  finding = next(f for f in checker.findings if f.check == 'duplicate_id')
  assert 'record 1' in finding.where and 'record 0' in finding.detail


def test_classes_without_objects_and_no_objects_at_all():
  (finding,) = [f for f in _check([_record(classes=[2])]).findings
                if f.check == 'class_gaps']
  assert finding.detail == '2 of 3 classes have no object: 1, 3.'
  assert 'no_objects' in _names(_check([_record(boxes=[], classes=[])]), )
  assert 'no_example' in _names(_check([b'\xff\xff']), 'error')


def test_a_huge_number_of_classes_is_not_listed():
  config, _ = factory.load_config('retinanet', None,
                                  'architecture.num_classes=10000000')
  checker = data_checks.for_config(config, False)
  checker.check('a.tfrecord', 0, _record(classes=[2]))
  checker.class_counts.update([0, 10**7])  # Not among the classes.
  tracemalloc.start()
  try:
    checker.finish()
    assert tracemalloc.get_traced_memory()[1] < 2**20
  finally:
    tracemalloc.stop()
  (finding,) = [f for f in checker.findings if f.check == 'class_gaps']
  assert finding.detail == (
      '9999998 of 9999999 classes have no object: %s ....' % ', '.join(
          map(str, [1] + list(range(3, 22)))))


def test_sizes_are_those_of_the_converter():
  """By the stored area, the ends in both classes, without crowds."""
  boxes = np.tile([[.1, .2, .5, .8]], [4, 1])
  checker = _check([_record(boxes=boxes, classes=[1] * 4, is_crowd=[0, 0, 0, 1],
                            area=[1024., 5000., 96. ** 2, 20.])])
  assert checker.size_counts == {'small': 1, 'medium': 3, 'large': 1}


def _mask(y0, x0, y1, x1):
  mask = np.zeros([40, 50], np.uint8)
  mask[y0:y1, x0:x1] = 1
  return mask


@pytest.mark.parametrize('masks, level, check', [
    ([_mask(4, 10, 20, 40)], 'error', None),
    ([], 'error', 'missing_masks'),
    ([_mask(0, 0, 0, 0)], 'warning', 'empty_mask'),
    ([_mask(4, 10, 5, 40)], 'warning', 'mask_is_a_line'),
    ([_mask(30, 10, 38, 20)], 'warning', 'box_without_its_mask'),
    ([_mask(8, 5, 32, 25)], 'error', 'box_swapped')])
def test_masks(masks, level, check):
  checker = _check([_record(masks=masks)], 'mask_rcnn')
  assert {check} - {None} <= _names(checker, level)
  assert check or not _names(checker, 'error') | _names(checker, 'warning')


def test_broken_mask_and_masks_that_nobody_needs():
  broken = [_record(mask_pngs=[b'no image'])]
  assert 'undecodable_mask' in _names(_check(broken, 'mask_rcnn'))
  assert not _names(_check([_record()]), 'error')
  # Without decoding, only what the lists say.
  assert not _names(_check(broken, 'mask_rcnn', decode=False), 'error')


def test_cut_masks_are_those_of_the_image():
  record = examples.with_cut_masks(_record(masks=[_mask(4, 10, 20, 40)]))
  assert not _names(_check([record], 'mask_rcnn'), 'error')
  example = tf.train.Example.FromString(record)
  cut = example.features.feature['image/object/cut_mask'].bytes_list
  other = mask_files.encode_cut(_mask(4, 10, 19, 40))
  for value in ([other], [b'no image'], cut.value[:] * 2):
    cut.value[:] = value
    wrong = [example.SerializeToString()]
    assert 'cut_masks' in _names(_check(wrong, 'mask_rcnn'), 'error')


def test_objects_that_no_anchor_fits():
  """2 pixels of 640, where the smallest anchor is 32 wide."""
  tiny = _record((640, 640), boxes=[[.5, .5, .503, .503]])
  checker = _check([tiny])
  assert 'no_anchor_fits' in _names(checker, 'warning')
  assert checker.share_without_anchor() == 1.
  fits = _record((640, 640), boxes=[[.5, .5, .55, .55]])
  checker = _check([fits])  # 32 x 32
  np.testing.assert_allclose(checker.anchor_ious, [1.], atol=1e-3)


@pytest.mark.parametrize('key, wrong', [
    ('image/height', 'float_list'), ('image/object/class/label', 'float_list'),
    ('image/object/bbox/ymin', 'int64_list'),
    ('image/source_id', 'int64_list')])
def test_lists_of_another_kind(key, wrong):
  example = tf.train.Example.FromString(_record())
  feature = example.features.feature[key]
  feature.Clear()
  getattr(feature, wrong).value.append(1)
  checker = _check([example.SerializeToString()])
  finding, = [f for f in checker.findings if f.check == 'wrong_kind']
  assert finding.level == 'error'
  assert finding.detail.startswith('%s is a %s.' % (key, wrong))
