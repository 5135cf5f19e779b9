"""tools/train_on.py: its commands parse, and lead to a report."""

import json
import os
import subprocess
import sys

from absl import flags
import numpy as np
from PIL import Image
import pytest

from tests import voc_files
from tools import create_coco_tfrecord
from tools import create_voc_tfrecord
from tools import create_yolo_tfrecord
from tools import train_on
from tools.own_data import layouts
from tools.own_data import plan
from tools.own_data import recognition
from tools.own_data import stages

_CONVERTERS = {'tools.create_coco_tfrecord': create_coco_tfrecord,
               'tools.create_voc_tfrecord': create_voc_tfrecord,
               'tools.create_yolo_tfrecord': create_yolo_tfrecord}


def _plan(data, output='out', **changes):
  found = recognition.recognise(str(data), model=changes.get('model'))
  fields = dict(data=str(data), images=None, model=None, minutes=1.,
                output=str(output), seed=0, group_pattern=None,
                config_flags=[])
  return plan.Plan(found, plan.Options(**dict(fields, **changes)))


def _names(made):
  return [stage.name for stage in made.stages]


def _parsed(stage):
  values = flags.FlagValues()
  module = _CONVERTERS[stage.arguments[1]]
  module.define_flags(values)
  assert values(['x'] + stage.arguments[2:]) == ['x']
  return values


def test_voc_with_lists(tmp_path):
  voc_files.write(tmp_path / 'voc')
  made = _plan(tmp_path / 'voc', tmp_path / 'out')
  assert _names(made) == ['convert train', 'convert val', 'configure', 'check',
                          'fit', 'train', 'evaluate', 'report']
  values = _parsed(made.stages[1])
  assert values.split == 'val' and values.include_masks is False
  # So that a class has the same id in both.
  assert values.label_map == str(tmp_path / 'out/data/train-label_map.csv')


def test_voc_without_lists(tmp_path):
  """The lists are written beside the results, not into the data."""
  voc_files.write(tmp_path / 'voc')
  (tmp_path / 'voc/ImageSets/Main/val.txt').unlink()
  made = _plan(tmp_path / 'voc', tmp_path / 'out', group_pattern='Image_(.)')
  split, convert = made.stages[:2]
  assert split.name == 'split'
  assert '--xml=%s' % (tmp_path / 'voc' / 'Annotations') in split.arguments
  assert '--group_pattern=Image_(.)' in split.arguments
  values = _parsed(convert)
  assert values.list == str(tmp_path / 'out/splits/part-train.txt')
  assert values.annotations and values.images and not values.data_dir


def test_outlines_on_request(tmp_path):
  voc_files.write(tmp_path / 'voc')
  values = _parsed(_plan(tmp_path / 'voc', model='mask_rcnn').stages[0])
  assert values.include_masks is None


def test_yolo(tmp_path):
  for name in ('images', 'labels'):
    (tmp_path / name).mkdir()
  Image.fromarray(np.zeros([8, 8, 3], np.uint8)).save(
      str(tmp_path / 'images/a.jpg'))
  (tmp_path / 'labels/a.txt').write_text('0 .5 .5 .1 .1\n')
  (tmp_path / 'classes.txt').write_text('cat\n')
  made = _plan(tmp_path)
  assert '--yolo=%s' % (tmp_path / 'images') in made.stages[0].arguments
  values = _parsed(made.stages[1])
  assert values.images == 'out/splits/part-train.txt'
  assert values.classes == str(tmp_path / 'classes.txt')


def test_a_set_without_training_images(tmp_path):
  path = tmp_path / 'val' / 'all.json'
  path.parent.mkdir()
  path.write_text(json.dumps({'images': [], 'annotations': [
      {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 1, 1]}]}))
  with pytest.raises(layouts.RecognitionError):
    _plan(tmp_path)


def test_options(tmp_path):
  args = train_on.parser().parse_args(
      ['--data=x/', '--output=y', '--image_size=64', '--device=cpu'])
  options = train_on._options(args)
  assert options.data == 'x' and options.minutes == 10
  assert options.config_flags == ['--image_size=64', '--device=cpu']


def test_steps_get_what_is_left(tmp_path, monkeypatch):
  """Of ten minutes, three have passed; the trial takes half a minute."""
  voc_files.write(tmp_path / 'voc')
  ran, now = {}, iter([0., 180., 600., 600.])
  monkeypatch.setattr(stages, 'run', lambda stage, state, number, total,
                      arguments, changed, show: ran.update({
                          stage.name: (arguments, changed)}))
  options = _plan(tmp_path / 'voc', tmp_path / 'out', minutes=10.)._options
  train_on.train_on(options, lambda line: None, lambda: next(now))
  assert ran['train'] == (None, ())
  arguments, changed = ran['fit']
  assert arguments[-1] == '--minutes=6.17'
  assert changed == [str(tmp_path / 'out/config.yaml')]


def test_foreign_output(tmp_path):
  voc_files.write(tmp_path / 'voc')
  (tmp_path / 'out').mkdir()
  (tmp_path / 'out' / 'thesis.txt').write_text('mine')
  options = _plan(tmp_path / 'voc', tmp_path / 'out')._options
  with pytest.raises(stages.StageError, match=r'thesis\.txt'):
    train_on.train_on(options, lambda line: None)


def test_an_output_within_the_data(tmp_path):
  voc_files.write(tmp_path / 'voc')
  options = _plan(tmp_path / 'voc', tmp_path / 'voc' / 'out')._options
  with pytest.raises(ValueError, match='lies within --data='):
    train_on.train_on(options, lambda line: None)
  assert not (tmp_path / 'voc' / 'out').exists()


def test_stages_do_not_depend_on_how_paths_are_spelled(tmp_path, monkeypatch):
  """All but the commands themselves, which a person reads."""
  voc_files.write(tmp_path / 'voc')
  (tmp_path / 'voc' / 'ImageSets').rename(tmp_path / 'lists')
  monkeypatch.chdir(str(tmp_path))
  keys = [[stage.key for stage in _plan(data, output).stages]
          for data, output in (('voc', 'out'), ('./voc', '../%s/out' %
                                                tmp_path.name),
                               (tmp_path / 'voc', tmp_path / 'out'))]
  assert keys[0] == keys[1] == keys[2]
  other = [stage.key for stage in _plan('voc', 'out', seed=1).stages]
  changed = [a != b for a, b in zip(keys[0], other)]
  assert changed[0] and not all(changed)


def test_a_model_of_other_data_is_not_gone_on_with(tmp_path):
  """Of another seed or size, that is; its record says what it began from."""
  voc_files.write(tmp_path / 'voc')
  def origin(**changes):
    (train,) = [stage for stage in _plan(tmp_path / 'voc', tmp_path / 'out',
                                         **changes).stages
                if stage.name == 'train']
    assert train.folder == str(tmp_path / 'out/model')
    assert train.origin[1] == [str(tmp_path / 'out/data')]
    return train.origin[0]
  assert origin() == origin()
  assert origin() != origin(config_flags=['--image_size=64'])
  assert origin() != origin(minutes=3.)


def _run(folder, output):
  return subprocess.run(
      [sys.executable, '-m', 'tools.train_on', '--data=%s' % folder,
       '--output=%s' % output, '--minutes=0.5', '--image_size=64',
       '--device=cpu'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
      text=True)


def _class_folders(folder):
  for name, gray in (('dark', 40), ('light', 200)):
    (folder / name).mkdir(parents=True)
    for i in range(8):
      Image.fromarray(np.full([40, 40, 3], gray + i, np.uint8)).save(
          str(folder / name / ('%d.png' % i)))


@pytest.mark.slow
@pytest.mark.parametrize('write', [voc_files.write, _class_folders])
def test_from_data_to_report(tmp_path, write):
  write(tmp_path / 'set')
  output = tmp_path / 'out'
  result = _run(tmp_path / 'set', output)
  assert result.returncode == 0, result.stdout
  assert 'What you can do next' in result.stdout
  for name in ('report.html', 'config.yaml', 'model/eval/metrics.json'):
    assert (output / name).exists()
  again = _run(tmp_path / 'set', output)
  assert again.returncode == 0
  assert again.stdout.count('done before') == len(
      json.loads((output / stages.STATE).read_text())['stages'])
  # Nothing was written into the data.
  assert not any(name.endswith('.txt') and 'part' in name
                 for _, _, names in os.walk(str(tmp_path / 'set'))
                 for name in names)
