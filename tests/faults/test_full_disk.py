"""A disk that is full while a job writes: a small one, in memory.

Each job ends with a sentence and keeps what was there before; when there is
room again, the same command finishes the work.
"""

import contextlib
import os
import subprocess

from PIL import Image
import pytest

from modeling import checkpoint_files
from modeling import whole_checkpoint
from tests import model_kinds
from tests import programs
from tests.faults import kills
from tests.tools import coco_sets

_MB = 2**20
_STEPS = 12


@pytest.fixture(name='disk')
def _disk(tmp_path):
  """pathlib.Path of a file system with room for four checkpoints."""
  folder = tmp_path / 'disk'
  folder.mkdir()
  mounted = subprocess.run(
      ['mount', '-t', 'tmpfs', '-o', 'size=400m', 'tmpfs', str(folder)],
      capture_output=True)
  if mounted.returncode:
    pytest.skip('A small file system cannot be mounted here, which takes the '
                'rights of root: %s' % mounted.stderr.decode().strip())
  yield folder
  subprocess.check_call(['umount', '-l', str(folder)])


def _fill(folder, left=0):
  """Takes the room of a disk, but `left` bytes; returns the path."""
  path = folder / 'filler'
  with open(str(path), 'wb', buffering=0) as f:
    for size in (_MB, 4096):
      with contextlib.suppress(OSError):
        while f.write(b'x' * size) == size:
          pass
  os.truncate(str(path), path.stat().st_size - left)
  return path


def _files(folder):
  """[path] of all files in a folder, which need not exist."""
  return [path for path in folder.glob('**/*') if path.is_file()]


def _check_says(text, program):
  """Checks that a job has told that a disk is full, and no more."""
  assert program.wait() == 1, program.text
  assert text in program.text, program.text
  assert 'Traceback' not in program.text, program.text


@pytest.mark.slow
@pytest.mark.parametrize('left', [0, 40 * _MB])
def test_training(disk, tmp_path, left):
  """The next checkpoint does not fit, or a part of it does."""
  job = ['--mode=train'] + kills.write_job(tmp_path, 'retinanet',
                                           total_steps=_STEPS,
                                           keep_checkpoint_max=2)
  assert kills.run(job + ['--model_dir=%s' % (tmp_path / 'roomy')],
                   tmp_path / 'roomy.log') == 0
  run = disk / 'run'
  job += ['--model_dir=%s' % run]
  program = kills.program(job, tmp_path / 'full.log')
  assert program.wait_for(lambda: checkpoint_files.latest(str(run)) and (
      kills.step_reached(run))), program.text
  filler = _fill(disk, left)
  _check_says('A disk is full', program)
  last = whole_checkpoint.newest(str(run))
  assert last == checkpoint_files.latest(str(run)) and last in program.text
  assert not kills.litter(run)
  filler.unlink()
  assert kills.run(job, tmp_path / 'again.log') == 0
  assert not kills.differing(tmp_path / 'roomy', run)


@pytest.fixture(name='trained')
def _trained(disk, tmp_path):
  """(arguments of main.py, model_dir on the disk) of a run that has ended."""
  job = kills.write_job(tmp_path, 'retinanet', total_steps=2)
  run = disk / 'run'
  job.append('--model_dir=%s' % run)
  kills.program(job + ['--mode=train'], tmp_path / 'train.log').end()
  return job, run


@pytest.mark.slow
def test_evaluation(disk, trained, tmp_path):
  job, run = trained
  evaluate = job + ['--mode=eval', '--eval_once']
  filler = _fill(disk)
  _check_says('A disk is full', kills.program(evaluate, tmp_path / 'full.log'))
  assert not (run / 'eval' / 'metrics.json').exists()
  assert not kills.litter(run)
  filler.unlink()
  kills.program(evaluate, tmp_path / 'again.log').end()
  assert (run / 'eval' / 'metrics.json').exists()


@pytest.mark.slow
def test_export(disk, trained, tmp_path):
  _, run = trained
  folder = disk / 'exports' / 'a'
  export = ['-m', 'tools.export_saved_model', '--model_dir=%s' % run,
            '--export_dir=%s' % folder]
  filler = _fill(disk)
  _check_says('A disk is full', programs.Program(tmp_path / 'full.log',
                                                 *export))
  assert not folder.parent.exists() or not os.listdir(str(folder.parent))
  filler.unlink()
  programs.Program(tmp_path / 'again.log', *export).end()
  assert os.listdir(str(folder.parent)) == ['a']


def _coco(folder):
  annotations, images = coco_sets.write(folder)
  return ['tools.create_coco_tfrecord', '--annotations=%s' % annotations,
          '--images=%s' % images, '--num_shards=1']


def _classes(folder):
  for name in ('cat', 'dog'):
    (folder / 'train' / name).mkdir(parents=True)
    for number in range(3):
      Image.fromarray(model_kinds.image(60, 70, seed=number)).save(
          str(folder / 'train' / name / ('%d.jpg' % number)))
  return ['tools.create_imagenet_tfrecord', '--train=%s' % (folder / 'train'),
          '--num_train_shards=1']


@pytest.mark.slow
@pytest.mark.parametrize('command, output', [
    (_coco, 'part'), (_classes, '')])
def test_converters(disk, tmp_path, command, output):
  """No file is there, rather than some, or a part of one."""
  records = disk / 'records'
  arguments = ['-m'] + command(tmp_path / 'source') + [
      '--output=%s' % (records / output)]
  filler = _fill(disk)
  _check_says('A disk is full',
              programs.Program(tmp_path / 'full.log', *arguments))
  assert not _files(records)
  filler.unlink()
  programs.Program(tmp_path / 'again.log', *arguments).end()
  assert any(path.suffix == '.tfrecord' or 'train-' in path.name
             for path in _files(records))
