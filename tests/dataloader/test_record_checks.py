"""Records that lack masks are told before the first step."""

import numpy as np
import pytest

from configs import base
from configs import factory
from dataloader import record_checks
from tests.dataloader import examples


def _record(source_id, num_objects, num_masks):
  return examples.serialize(
      examples.image(8, 8), [[0., 0., 1., 1.]] * num_objects,
      [1] * num_objects, source_id=source_id,
      masks=[np.ones([8, 8], np.uint8)] * num_masks)


def test_good_records(tmp_path):
  path = examples.write(tmp_path / 'a', [_record('1', 0, 0),
                                         _record('2', 2, 2)])
  record_checks.check_masks([path], 'train.train_file_pattern', '')


@pytest.mark.parametrize('num_masks', [0, 1])
def test_first_object_without_a_mask(tmp_path, num_masks):
  good = examples.write(tmp_path / 'a', [_record('1', 1, 1)])
  bad = examples.write(tmp_path / 'b', [_record('2', 0, 0),
                                        _record('dog', 2, num_masks)])
  with pytest.raises(ValueError) as e:
    record_checks.check_masks([good, bad], 'train.train_file_pattern',
                              'Convert again.')
  assert str(e.value).startswith(
      'train.train_file_pattern: %s: record 1 (counting from 0): Image dog has '
      '2 objects and %d masks (image/object/mask). Convert again.'
      % (bad, num_masks))


@pytest.mark.parametrize('mask_classes, pngs, is_good', [
    ((1,), [], False), ((2,), [], True), ((2,), [b''], True),
    ((1,), [b''], False), ((2,), [b'', b''], False)])
def test_classes_that_need_no_mask(tmp_path, mask_classes, pngs, is_good):
  path = examples.write(tmp_path / 'a', [examples.serialize(
      examples.image(8, 8), [[0., 0., 1., 1.]], [1], mask_pngs=pngs)])
  arguments = [path], 'train.train_file_pattern', '', mask_classes
  if is_good:
    record_checks.check_masks(*arguments)
  else:
    with pytest.raises(ValueError, match='1 objects and 0 masks'):
      record_checks.check_masks(*arguments)


def test_record_that_is_no_example_is_left_to_the_parser(tmp_path):
  path = examples.write(tmp_path / 'a', [b'no example'])
  record_checks.check_masks([path], 'train.train_file_pattern', '')


def _config(**changes):
  return base.override(factory.default_config('retinanet'),
                       {'architecture': dict({'num_classes': 4}, **changes)})


@pytest.mark.parametrize('box, class_id, words', [
    ([.1, .1, .5, .5], 9, 'class 9; architecture.num_classes is 4'),
    ([.1, float('nan'), .5, .5], 1, 'nan'),
    ([.1, .1, .5, .5], 0, 'class 0'), ([1, 5, 30, 20], 1, 'fractions'),
    ([.5, .1, .1, .5], 1, 'all of the first 2 boxes are inverted')])
def test_data_that_cannot_work(tmp_path, box, class_id, words):
  path = examples.write(tmp_path / 'a', [examples.serialize(
      examples.image(8, 8), [box], [class_id], source_id=str(i))
                                         for i in range(2)])
  with pytest.raises(ValueError, match=words) as e:
    record_checks.check_first([path], 'some.key', _config())
  assert 'some.key' in str(e.value) and 'record 0' in str(e.value)


def test_data_that_can_work(tmp_path):
  path = examples.write(tmp_path / 'a', [examples.serialize(
      examples.image(8, 8), [[.1, .1, .5, .5], [.5, .5, .1, .9]], [1, 3])])
  record_checks.check_first([path], 'some.key', _config())


def test_a_set_of_crowds_is_told_before_training(tmp_path, caplog):
  def write(name, crowds):
    return examples.write(tmp_path / name, [examples.serialize(
        examples.image(8, 8), [[.1, .1, .5, .5]], [1], source_id=str(i),
        is_crowd=[crowd]) for i, crowd in enumerate(crowds)])
  with pytest.raises(ValueError, match='some.key: all of 3 records: 3 of 3'):
    record_checks.check_first([write('a', [1, 1, 1])], 'some.key', _config())
  # Where more records follow, it may be chance.
  record_checks.check_first([write('b', [1] * 50 + [0])], 'some.key', _config())
  assert 'the first of 50 records: 50 of 50 objects are crowds' in caplog.text
  record_checks.check_first([write('c', [1, 0, 0])], 'some.key', _config())


def test_records_with_zero_as_size(tmp_path):
  path = examples.write(tmp_path / 'a', [examples.serialize(
      examples.image(8, 8), [[.1, .1, .5, .5]], [1], size=(0, 0))])
  record_checks.check_first([path], 'some.key', _config())


def test_no_example_is_told_before_training(tmp_path):
  path = examples.write(tmp_path / 'a', [b'\xff\xd8\xff\xe0'])
  with pytest.raises(ValueError, match='a: record 0: It is not a tf.train.'):
    record_checks.check_first([path], 'some.key', _config())
