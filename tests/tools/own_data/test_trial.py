"""Steps of some minutes, of the times of a trial."""

import pytest

from tools.own_data import trial


def test_times():
  """The first steps, which fill the pipeline, do not count."""
  measured = trial.of_times([130., 135., 138., 139., 140., 142., 144., 146.],
                            100., 8)
  assert measured == trial.Trial(30., 2., 8)


def test_steps():
  """600 s less twice the start, and 100 images of .6 x 2 / 8 s: 525 s."""
  measured = trial.Trial(30., 2., 8)
  assert measured.steps_in(600., 100, 20) == 262
  assert measured.steps_in(50., 100, 20) == 20


def test_enough():
  assert not trial._is_enough([])
  assert not trial._is_enough([i * 10. for i in range(7)])
  assert trial._is_enough([i * 10. for i in range(8)])
  assert not trial._is_enough([i * 1. for i in range(12)])


@pytest.mark.one_runtime('tf1')
def test_failure_tells_what_was_printed(tmp_path):
  path = tmp_path / 'wrong.yaml'
  path.write_text('train: {no_such_key: 1}\n')
  with pytest.raises(trial.TrialError, match='no_such_key') as error:
    trial.run(str(path), 8, show=lambda line: None)
  assert error.value.code == 2
