"""What label maps mean, for all files of a set."""

import numpy as np
from PIL import Image
import pytest

from tools import train_on
from tools.datasets import annotation_checks
from tools.own_data import mask_values
from tools.own_data import plan
from tools.own_data import recognition
from tools.own_data import stages


def _save(folder, name, values, mode=None):
  """An image, and a label map that has the values in turn."""
  for kind in ('images', 'masks'):
    (folder / kind).mkdir(parents=True, exist_ok=True)
  Image.new('RGB', (50, 10)).save(str(folder / 'images' / (name + '.png')))
  label = Image.fromarray(np.resize(np.array(values, np.uint8), (10, 50)))
  label = label.convert(mode) if mode else label
  label.save(str(folder / 'masks' / (name + '.png')))


def _parts(*folders):
  return [{'images': str(folder / 'images'), 'labels': str(folder / 'masks')}
          for folder in folders]


def test_one_decision_for_both_splits(tmp_path):
  """The first label maps of val are black, all but the last of them."""
  _save(tmp_path / 'train', 'a', [0, 255])
  for i in range(30):
    _save(tmp_path / 'val', '%02d' % i, [0])
  _save(tmp_path / 'val', '99', [255], 'RGB')
  assert mask_values.flags(_parts(tmp_path / 'val')) == ['--values=255:1']
  found = recognition.recognise(str(tmp_path))
  stages = plan.Plan(found, plan.Options(
      str(tmp_path), None, None, 1, str(tmp_path / 'out'), 0, None, [])).stages
  assert ['--values=255:1' in s.arguments for s in stages[:2]] == [True, True]


@pytest.mark.parametrize('values', [[0, 1], [0, 1, 255], [1, 2], range(64)])
def test_classes(tmp_path, values):
  _save(tmp_path, 'a', values)
  _save(tmp_path, 'b', [0, 255])
  assert mask_values.flags(_parts(tmp_path)) == []


@pytest.mark.parametrize('values, flag', [
    ([0, 254, 255], '--values=254:1,255:1'), ([0, 128, 255],
                                              '--values=128:1,255:2'),
    ([0, 200], '--values=200:1'), ([0, 3, 90], '--values=3:1,90:2')])
def test_values_that_are_no_classes(tmp_path, values, flag):
  _save(tmp_path, 'a', [0, 255] if 255 in values else [0])
  _save(tmp_path, 'b', values)
  with pytest.raises(annotation_checks.ConversionError) as error:
    mask_values.flags(_parts(tmp_path))
  assert flag in str(error.value) and 'b.png has the value' in str(error.value)


@pytest.mark.parametrize('values', [
    list(range(0, 256, 15)), [0] * 200 + list(range(100, 180)) + [255] * 220])
def test_smoothed_masks(tmp_path, values):
  _save(tmp_path, 'a', values)
  if len(values) > 100:
    for i in range(20):
      _save(tmp_path, 'b%d' % i, [0, 255])
  with pytest.raises(annotation_checks.ConversionError, match='mask > 127'):
    mask_values.flags(_parts(tmp_path))


def test_what_cannot_be_learnt_from(tmp_path):
  _save(tmp_path, 'a', [0])
  with pytest.raises(annotation_checks.ConversionError, match='are 0, so'):
    mask_values.flags(_parts(tmp_path))
  Image.new('RGB', (50, 10), (200, 0, 0)).save(str(
      tmp_path / 'masks' / 'a.png'))
  with pytest.raises(annotation_checks.ConversionError,
                     match=r'a\.png: the label map has colours'):
    mask_values.flags(_parts(tmp_path))


def test_a_broken_file_is_left_to_the_converter(tmp_path):
  _save(tmp_path, 'a', [0, 255])
  _save(tmp_path, 'b', [0, 255])
  (tmp_path / 'masks' / 'b.png').write_bytes(b'no image')
  assert mask_values.flags(_parts(tmp_path)) == ['--values=255:1']


def test_masks_are_read_again_where_one_has_changed(tmp_path, monkeypatch):
  """Not at each start of the same command."""
  for name in 'ab':
    _save(tmp_path, name, [0, 255])
  reads, load = [], mask_values.label_images.load
  monkeypatch.setattr(mask_values.label_images, 'load',
                      lambda path: reads.append(path) or load(path))

  def flags(**options):
    """In a new process of the command, so to say."""
    del reads[:]
    return mask_values.flags(_parts(tmp_path), remember=stages.State(
        str(tmp_path / 'out')).remember, **options)
  assert flags() == ['--values=255:1'] and len(reads) == 2
  assert flags() == ['--values=255:1'] and not reads
  _save(tmp_path, 'b', [0, 1])
  assert flags() == [] and len(reads) == 2
  assert flags() == [] and not reads
  _save(tmp_path, 'b', [0, 200])
  for count in (2, 0):  # What is wrong is remembered, too.
    with pytest.raises(annotation_checks.ConversionError, match='200'):
      flags()
    assert len(reads) == count
  _save(tmp_path, 'c', [0, 255])
  (tmp_path / 'masks' / 'b.png').unlink()
  assert flags() == ['--values=255:1'] and len(reads) == 2
  monkeypatch.setattr(mask_values, '_RULES', 'others')
  assert flags() == ['--values=255:1'] and len(reads) == 2


def test_train_on_remembers(tmp_path, monkeypatch):
  for name in 'abcde':
    _save(tmp_path / 'set', name, [0, 255])
  monkeypatch.setattr(stages, 'run', lambda *_: None)
  options = plan.Options(str(tmp_path / 'set'), None, None, 1,
                         str(tmp_path / 'out'), 0, None, [])
  train_on.train_on(options, lambda line: None)
  monkeypatch.setattr(mask_values, '_read', lambda paths: 1 / 0)
  train_on.train_on(options, lambda line: None)
