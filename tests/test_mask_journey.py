"""From label images of objects to a model of their outlines, the whole way.

Objects are cut by the border of the image, some down to one pixel.
`tools.train_on` says which commands to go on with; they are run as it prints
them.
"""

import collections
import json
import math
import shlex

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from executor import checkpoints
from tests import programs
from tools import train_on
from tools.own_data import instance_maps
from tools.own_data import plan
from tools.own_data import recognition

_SIZE = 64  # pixels of a side of an image
_NUM_IMAGES = 20
_RADIUS = 10
# Centers (y, x) of discs: within, cut by a side, by a corner, to one pixel.
_CENTERS = ((32, 32), (30, 1), (62, 33), (2, 60), (5, 33), (52, _SIZE + 9))


def _drawn(number):
  """An image, and int [64, 64] with a number for each of its discs."""
  rng = np.random.RandomState(number)
  y, x = np.mgrid[:_SIZE, :_SIZE]
  pixels = rng.randint(10, 60, [_SIZE, _SIZE, 3])
  labels = np.zeros([_SIZE, _SIZE], np.uint16)
  for i in rng.permutation(len(_CENTERS))[:4]:
    center_y, center_x = _CENTERS[i]
    is_inside = (y - center_y) ** 2 + (x - center_x) ** 2 <= _RADIUS ** 2
    # As trackers and stitched images number them: not again from 1.
    labels[is_inside] = 10 * number + i + 1
    pixels[is_inside] = [200, 180, 60 + 20 * (i % 3)]
  return Image.fromarray(pixels.astype(np.uint8)), labels


def _write(folder):
  """Images and label images; returns {name: [area of an object]}."""
  areas = {}
  for kind in ('images', 'masks'):
    (folder / kind).mkdir(parents=True)
  for number in range(_NUM_IMAGES):
    image, labels = _drawn(number)
    name = 'cell %02d.png' % number
    image.save(str(folder / 'images' / name))
    Image.fromarray(labels).save(str(folder / 'masks' / name))
    areas[name] = sorted(n for n in np.bincount(labels[labels > 0]) if n)
  return areas


def _records(folder):
  """{name: (boxes float [K, 4], yxyx, normalized; number of masks; [area])}."""
  found = collections.OrderedDict()
  for path in sorted(folder.glob('*.tfrecord')):
    for record in tf.python_io.tf_record_iterator(str(path)):
      feature = tf.train.Example.FromString(record).features.feature
      boxes = [feature['image/object/bbox/' + side].float_list.value
               for side in ('ymin', 'xmin', 'ymax', 'xmax')]
      name = feature['image/filename'].bytes_list.value[0].decode()
      found[name] = (np.transpose(boxes), len(
          feature['image/object/cut_mask'].bytes_list.value),
                     feature['image/object/area'].float_list.value[:])
  return found


def _check_records(folder, areas):
  """Every object is in them, cut where the image ends."""
  found = _records(folder)
  assert sorted(found) == sorted(areas)
  for name, (boxes, num_masks, of_objects) in found.items():
    assert sorted(of_objects) == areas[name]
    assert num_masks == len(boxes) == len(areas[name])
  every = np.concatenate([boxes for boxes, _, _ in found.values()])
  assert every.min() >= 0. and every.max() <= 1.
  for side, end in enumerate((0., 0., 1., 1.)):
    assert np.any(every[:, side] == end), side
  assert np.isclose(every[:, 3] - every[:, 1], 1. / _SIZE).any()


def test_cut_objects_are_in_the_records(tmp_path):
  """The first half of the journey, by the commands that train_on would run."""
  data, output = tmp_path / 'my set', tmp_path / 'out'
  areas = _write(data)
  parts = [{'images': str(data / 'images'), 'labels': str(data / 'masks')}]
  first, last = instance_maps.commands(parts, str(output))
  programs.Program(tmp_path / 'first.log', *first).end()
  options = train_on.parser().parse_args(last[2:])
  found = recognition.recognise(options.data, model=options.model)
  output.mkdir()
  for stage in plan.Plan(found, plan.Options(
      options.data, None, options.model, 1., options.output, 0, None,
      [])).stages[:2]:
    programs.Program(tmp_path / 'stage.log', *stage.arguments).end()
  _check_records(output / 'data', areas)


@pytest.mark.slow
@pytest.mark.one_runtime('tf2')
def test_cut_objects_from_label_images_to_outlines(tmp_path):
  data, output = tmp_path / 'my set', tmp_path / 'out'
  areas = _write(data)
  start = ['-m', 'tools.train_on', '--data=%s' % data, '--output=%s' % output]
  refused = programs.Program(tmp_path / 'refused.log', *start)
  assert refused.wait() == 1 and 'is a single region' in refused.text
  commands = [shlex.split(line)[1:] for line in refused.text.splitlines()
              if line.startswith('  python ')]
  assert [command[1] for command in commands] == [
      'tools.create_mask_annotations', 'tools.train_on']
  programs.Program(tmp_path / 'first.log', *commands[0]).end()
  text = programs.Program(
      tmp_path / 'last.log', *commands[1] + [
          '--minutes=.2', '--image_size=64', '--device=cpu']).end()
  _check_records(output / 'data', areas)

  # It has learnt from them, and no loss of a mask is NaN.
  run = output / 'model'
  assert checkpoints.latest_step(str(run)) > 0
  lines = [json.loads(line) for line in
           (run / 'train_metrics.jsonl').read_text().splitlines()]
  assert lines and all(math.isfinite(line['mask_loss']) for line in lines)
  metrics = json.loads((run / 'eval' / 'metrics.json').read_text())
  assert 0. <= metrics['mask_AP50'] <= 1.
  assert (output / 'report.html').exists() and 'What you can do' in text
