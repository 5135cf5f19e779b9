"""What an evaluation would stop at is told when its job starts."""

import logging

import numpy as np
import pytest

from configs import factory
from dataloader import data_checks
from dataloader import evaluation_checks
from dataloader import record_checks
from tests import model_kinds
from tests.dataloader import examples


def _config(kind, **sections):
  return factory.load_config(
      kind, None, model_kinds.content(kind, **sections))[0]


def _record(source_id, number=1, size=(40, 50), class_id=1, is_crowd=0):
  return model_kinds.record(
      source_id, model_kinds.image(*size), [
          (class_id, 0, 0, 5 + i, 9, is_crowd) for i in range(number)])


def _write(tmp_path, *records):
  return [examples.write(tmp_path / 'val', records)]


@pytest.mark.parametrize('kind', model_kinds.DETECTORS)
def test_more_objects_than_there_is_room_for(tmp_path, kind):
  """Far behind the first records, and crowds count: they are scored, too."""
  files = _write(tmp_path, *[_record(str(i)) for i in range(60)] + [
      _record('full', 6, is_crowd=1), _record('fuller', 9)])
  parser = model_kinds.parser_section(kind)
  with pytest.raises(ValueError) as e:
    evaluation_checks.check(files, _config(kind))
  for words in ('eval.eval_file_pattern', 'val: record 60', 'full',
                'It has 6 objects, max_num_instances is 5',
                'set %s.max_num_instances to at least 9' % parser):
    assert words in str(e.value)
  evaluation_checks.check(files, _config(kind), num_records=60)
  evaluation_checks.check(files, _config(kind, **{
      parser: {'max_num_instances': 9}}))


def test_images_that_are_only_padded(tmp_path):
  files = _write(tmp_path, _record('fits', size=(64, 64)),
                 _record('high', size=(65, 20)), _record('wide', size=(9, 80)))
  with pytest.raises(ValueError) as e:
    evaluation_checks.check(files, _config(
        'segmentation', segmentation_parser={'resize_eval': False}))
  for words in ('record 1', 'high', '65 x 20 pixels (height x width), more '
                'than segmentation_parser.output_size, 64 x 64',
                'segmentation_parser.output_size at least [65, 80]',
                'set segmentation_parser.resize_eval'):
    assert words in str(e.value)
  evaluation_checks.check(files, _config('segmentation'))


@pytest.mark.parametrize('kind, record, words', [
    ('retinanet', dict(class_id=4), 'class 4; architecture.num_classes is 4'),
    ('retinanet', dict(class_id=0), 'class 0, which is the background'),
    ('segmentation', dict(class_id=4), 'pixels are of class 4'),
    ('classification', dict(class_id=4), 'image/class/label is 4')])
def test_classes_that_the_model_does_not_have(tmp_path, kind, record, words):
  files = _write(tmp_path, _record('1'), _record('strange', **record))
  with pytest.raises(ValueError, match=words) as e:
    evaluation_checks.check(files, _config(kind))
  assert 'strange' in str(e.value)


def test_classes_that_are_taken_for_one(tmp_path):
  files = _write(tmp_path, _record('1', class_id=9))
  config = _config('shapemask', shapemask_parser={'use_category': False})
  evaluation_checks.check(files, config)
  record_checks.check_first(files, 'some.key', config)


def test_what_only_training_minds(tmp_path):
  """Boxes that teach nothing are scored as they are."""
  files = _write(tmp_path, examples.serialize(
      model_kinds.image(8, 8), [[.5, .5, .1, .1]], [1]))
  evaluation_checks.check(files, _config('retinanet'))


def test_all_images_of_classifiers_are_not_looked_at(tmp_path):
  files = _write(tmp_path, *[_record(str(i)) for i in range(200)] + [
      _record('behind', class_id=9)])
  evaluation_checks.check(files, _config('classification'))


def _trained_on(files, kind, caplog, **sections):
  """The warnings before a training run."""
  caplog.clear()
  with caplog.at_level(logging.WARNING):
    record_checks.check_first(files, 'some.key', _config(kind, **sections))
  return caplog.text


def test_training_on_what_is_not_evaluated_is_noted(tmp_path, caplog):
  files = _write(tmp_path, _record('1', class_id=2),
                 _record('full', 6, size=(70, 50)))
  text = _trained_on(files, 'retinanet', caplog)
  assert 'full: It has 6 objects, max_num_instances is 5. Training' in text
  assert 'raise it' in text
  text = _trained_on(files, 'segmentation', caplog,
                     segmentation_parser={'resize_eval': False})
  assert 'full: It has 70 x 50 pixels' in text
  assert 'segmentation_parser.resize_eval does not' in text
  assert 'full' not in _trained_on(files, 'segmentation', caplog)


def test_training_that_would_stop_there(tmp_path):
  """Crowds are left out of the labels of training, where they are not wanted.
  """
  full = _write(tmp_path, _record('full', 6))
  with pytest.raises(ValueError, match='full: It has 6 objects'):
    record_checks.check_first(full, 'some.key', _config('mask_rcnn'))
  crowds = [(1, 0, 0, 5, 9, is_crowd) for is_crowd in (0, 1, 1, 1, 1, 1)]
  record = model_kinds.record('crowds', model_kinds.image(40, 50), crowds)
  files = _write(tmp_path, record)
  record_checks.check_first(files, 'some.key', _config('mask_rcnn'))
  checker = data_checks.for_config(_config('mask_rcnn'))
  checker.check('a', 0, record)
  assert data_checks.TOO_MANY in {f.check for f in checker.findings}
  with pytest.raises(ValueError, match='crowds: It has 6 objects'):
    record_checks.check_first(files, 'some.key', _config(
        'mask_rcnn', maskrcnn_parser={'skip_crowd_during_training': False}))


def test_records_of_no_size_are_left_to_others(tmp_path):
  files = _write(tmp_path, examples.serialize(
      np.zeros([8, 8, 3], np.uint8), [], []))
  evaluation_checks.check(files, _config('retinanet'))
