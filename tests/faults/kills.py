"""Real processes of main.py that end where no person would have them end."""

import json
import os

import numpy as np
import tensorflow.compat.v1 as tf

from modeling import checkpoint_files
from modeling import storage
from modeling import whole_checkpoint
from tests import model_kinds
from tests import programs
from tests.dataloader import examples

_NUM_IMAGES = 14  # Not a multiple of a batch: epochs end within one.
# What has a state of its own that a checkpoint has to keep.
_TRAIN = {'train_batch_size': 4, 'accumulation_steps': 2,
          'moving_average_decay': .99, 'save_checkpoints_steps': 2,
          'num_parallel_calls': 2}
_AUGMENTATION = {
    'retinanet': {'aug_scale_min': .5, 'aug_scale_max': 2.,
                  'aug_rand_hflip': True},
    'mask_rcnn': {'aug_scale_min': .5, 'aug_scale_max': 2.,
                  'aug_rand_hflip': True}}


def write_job(folder, kind, **train):
  """Records and a configuration with all that is drawn at random.

  Args:
    folder: pathlib.Path.
    kind: of model_kinds.KINDS.
    **train: keys of the section `train`.

  Returns:
    [argument of main.py] but the mode and the model_dir.
  """
  for name, first in (('train', 0), ('val', 100)):
    examples.write(folder / name, [
        model_kinds.record(str(i), model_kinds.image(60, 70, seed=i),
                           model_kinds.objects(60, 70, i % 3 + 1, seed=i))
        for i in range(first, first + _NUM_IMAGES)])
  path = model_kinds.write_config(
      folder / 'config.json', kind, train=dict(_TRAIN, **train),
      **{model_kinds.parser_section(kind): dict(
          model_kinds.content(kind)[model_kinds.parser_section(kind)],
          **_AUGMENTATION.get(kind, {}))})
  return ['--config_file=%s' % path, '--data_dir=%s' % folder]


def program(arguments, log):
  """Starts main.py; what it prints is added to the file `log`."""
  return programs.Program(log, 'main.py', *arguments)


def run(arguments, log):
  """Runs main.py to its end; returns its exit code."""
  return program(arguments, log).wait()


def step_reached(model_dir):
  """The last step in the log of a training run; 0 before the first."""
  line = storage.last_json_line(os.path.join(str(model_dir),
                                             'train_metrics.jsonl'))
  return line['step'] if line else 0


def litter(folder):
  """[name] of the hidden and temporary files and folders of a folder."""
  return sorted(name for name in os.listdir(str(folder))
                if name.startswith(('.', 'pinned.')) or 'temp' in name)


def differing(folder, other):
  """[name] of what the newest checkpoints of two folders have otherwise.

  Both are read to the end, too.
  """
  readers = []
  for one in (folder, other):
    path = whole_checkpoint.newest(str(one))
    assert path == checkpoint_files.latest(str(one))
    readers.append(tf.train.load_checkpoint(path))
  names = [set(r.get_variable_to_shape_map()) for r in readers]
  return sorted(names[0] ^ names[1]) + [
      name for name in sorted(names[0] & names[1])
      if not np.array_equal(*(r.get_tensor(name) for r in readers))]


def metrics(model_dir):
  """{step: {metric: value}} of the evaluations, without times."""
  path = os.path.join(str(model_dir), 'eval', 'metrics.jsonl')
  found = {}
  for line in storage.read_json_lines(path):
    line.pop('time', None)
    found.setdefault(line['step'], []).append(json.dumps(line, sort_keys=True))
  return found
