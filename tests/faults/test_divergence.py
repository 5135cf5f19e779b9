"""A training run that diverges goes back, as a real process of main.py."""

import json

import pytest

from executor import checkpoints
from executor import model_dir as model_dir_lib
from modeling import storage
from tests import model_kinds
from tests.dataloader import examples
from tests.faults import kills

_STEPS = 12
_SAVED = 2
_BAD = 'strips'  # id of the image whose loss is far above those of the others


@pytest.fixture(name='job')
def _job(tmp_path):
  """A function that runs a job of some keys of `train`.

  Two images make a batch, twelve batches an epoch. One image is known for
  strips of a pixel: the anchors that are matched with them are far from them.
  """
  records = [model_kinds.record(str(i), model_kinds.image(60, 70, seed=i),
                                [(1, 5, 5, 40 + i % 9, 50, 0)])
             for i in range(2 * _STEPS - 1)]
  strips = [(1, y, 0, y + 1, 70, 0) for y in range(0, 60, 3)]
  records.insert(13, model_kinds.record(_BAD, model_kinds.image(60, 70),
                                        strips))
  examples.write(tmp_path / 'train', records)

  def run(name, **train):
    path = model_kinds.write_config(
        tmp_path / ('%s.json' % name), 'retinanet', train=dict({
            'total_steps': _STEPS, 'save_checkpoints_steps': _SAVED,
            'gradient_clip_norm': .1}, **train),
        retinanet_parser=dict(model_kinds.content('retinanet')[
            'retinanet_parser'], aug_rand_hflip=False))
    model_dir, log = tmp_path / name, tmp_path / ('%s.log' % name)
    code = kills.run(['--mode=train', '--config_file=%s' % path,
                      '--data_dir=%s' % tmp_path,
                      '--model_dir=%s' % model_dir], log)
    return code, model_dir, log.read_text()
  return run


def _lines(model_dir):
  return storage.read_json_lines(model_dir_lib.train_log_path(str(model_dir)))


def _times_back(model_dir):
  return json.loads((model_dir / 'divergence.json').read_text())


@pytest.mark.slow
def test_an_image_that_explodes_is_left_behind(job):
  """The run goes back, past the image, at half the rate, and ends well."""
  code, folder, output = job('unbounded')
  assert code == 0, output
  losses = {line['step']: line['model_loss'] for line in _lines(folder)}
  print(losses)
  bad = max(losses, key=losses.get)
  bound = (losses.pop(bad) + max(losses.values())) / 2
  code, folder, output = job('back', max_loss=bound, divergence_retries=2)
  assert code == 0, output
  good = (bad - 1) // _SAVED * _SAVED
  assert _times_back(folder) == [{'diverged_at': bad, 'back_to': good,
                                  'skipped_calls': bad - good}]
  for words in ('Training diverged at step %d: model_loss is ' % bad,
                'above train.max_loss', _BAD, 'step-%d.npz' % bad,
                'Training goes back to step %d' % good, 'time 1 of 2',
                'The learning rates are multiplied by 0.5'):
    assert words in output, (words, output)
  lines = _lines(folder)
  assert [line['step'] for line in lines] == list(range(1, bad)) + list(
      range(good + 1, _STEPS + 1))
  again = lines[bad - 1:]
  before = {line['step']: line for line in _lines(folder.parent / 'unbounded')}
  for line in again:
    assert line['learning_rate'] == pytest.approx(
        before[line['step']]['learning_rate'] / 2)
    assert line['model_loss'] < bound
  assert checkpoints.latest_step(str(folder)) == _STEPS
  assert model_dir_lib.read_finished(str(folder))['state'] == 'finished'


@pytest.mark.slow
def test_a_rate_that_explodes_is_reduced_so_often_and_no_more(job):
  """Back to before the step that did it, not only to the last checkpoint."""
  train = {'divergence_rate_factor': 1e-6, 'max_loss': 1e4,
           'learning_rate': {'type': 'cosine', 'warmup_steps': 0,
                             'init_learning_rate': 1e12}}
  code, folder, output = job('rate', divergence_retries=1, **train)
  assert code == 4, output
  [first] = _times_back(folder)
  # The first step spoils the weights; what it and the next one saved is finite.
  assert first['diverged_at'] == 2 and first['back_to'] < 2
  assert 'time 1 of 1' in output and 'Training diverged' in output
  assert model_dir_lib.read_finished(str(folder))['state'] == 'diverged'
  assert checkpoints.latest_step(str(folder)) == 0
  # More tries, by the same command: the rate stays reduced.
  code, folder, output = job('rate', divergence_retries=4, **train)
  assert code == 0, output
  times = _times_back(folder)
  assert times[0] == first and 2 <= len(times) <= 4
  assert checkpoints.latest_step(str(folder)) == _STEPS
  assert model_dir_lib.read_finished(str(folder))['state'] == 'finished'
  assert all(line['model_loss'] < 1e4 for line in _lines(folder)[-_STEPS:])
