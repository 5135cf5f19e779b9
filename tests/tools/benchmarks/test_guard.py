"""Tests of tools.benchmarks.guard: what became slower is told."""

import json
import os
import subprocess

import pytest

from tools.benchmarks import guard


def _changes():
  return guard.compare({'a/x': 1.05, 'a/y': 1.2, 'b/z': .8, 'b/new': 3.},
                       {'a/x': 1., 'a/y': 1., 'b/z': 1., 'gone': 1.})


def test_what_is_slower_and_faster():
  changes = _changes()
  assert guard.slower(changes) == ['a/y'] and guard.faster(changes) == ['b/z']
  told = guard.lines(changes)
  assert told[-2:] == ['Slower than recorded by over 10 %: a/y.',
                       'Faster than recorded by over 10 %: b/z.']
  assert [line.split()[-2:] for line in told[1:5]] == [
      ['+5', '%'], ['+20', '%'], ['-20', '%'], ['-', '-']]


def test_a_record_keeps_what_was_not_measured(tmp_path):
  path = str(tmp_path / 'record.json')
  assert guard.read_record(path, 'tf2') == {}
  guard.write_record(path, 'tf1', {'a/x': 7.})
  guard.write_record(path, 'tf2', {'a/x': 1., 'a/y': 2.})
  guard.write_record(path, 'tf2', {'a/y': 3.})
  assert guard.read_record(path, 'tf2')['ratios'] == {'a/x': 1., 'a/y': 3.}
  assert guard.read_record(path, 'tf1')['ratios'] == {'a/x': 7.}
  assert guard.read_record(path, 'tf1')['processor'] == guard.processor()


@pytest.mark.parametrize('recorded, strict, code', [
    (1e-6, True, 1), (1e-6, False, 0), (1e6, True, 0)])
def test_the_exit_status(monkeypatch, tmp_path, capsys, recorded, strict, code):
  monkeypatch.setattr(guard, 'fixed_work', lambda: .5)
  monkeypatch.setattr(guard, '_run', lambda command, root: {'x': 1.})
  path = tmp_path / 'record.json'
  path.write_text(json.dumps({name: {
      'processor': 'of another kind', 'date': '2026-11-30',
      'ratios': {'ops/x': recorded}} for name in ('tf1', 'tf2')}))
  arguments = ['--only=ops', '--rounds=1', '--file=%s' % path]
  assert guard.main(arguments + ['--strict'] * strict) == code
  printed = capsys.readouterr().out
  assert 'ops/x' in printed and '2.0000' in printed
  assert 'Recorded on 2026-11-30, of another kind; this is' in printed


@pytest.mark.one_runtime('tf1')
def test_a_benchmark_runs_between_two_units(monkeypatch):
  monkeypatch.setattr(guard, 'BENCHMARKS', {
      'ops': ['ops', '--cases=image_resize_640', '--repeats=1']})
  ratios = guard.measure(['ops'], 1, show=lambda line: None)['']
  assert list(ratios) == ['ops/image_resize_640']
  assert ratios['ops/image_resize_640'] > 0


@pytest.mark.one_runtime('tf2')
def test_a_benchmark_that_fails_is_named(monkeypatch, capsys):
  monkeypatch.setattr(guard, 'BENCHMARKS', {'ops': ['ops', '--cases=nothing']})
  monkeypatch.setattr(guard, 'fixed_work', lambda: .5)
  assert guard.main(['--only=ops', '--rounds=1']) == 1
  error = capsys.readouterr().err
  assert 'python -m tools.benchmarks.ops --cases=nothing ended with 1' in error


def test_without_a_record_it_says_how_to_make_one(monkeypatch, tmp_path,
                                                  capsys):
  monkeypatch.setattr(guard, 'fixed_work', lambda: .5)
  monkeypatch.setattr(guard, '_run', lambda command, root: {'x': 1.})
  arguments = ['--only=ops', '--rounds=1', '--file=%s' % (tmp_path / 'r.json')]
  assert guard.main(arguments + ['--strict']) == 0
  assert 'Nothing is recorded' in capsys.readouterr().out
  assert guard.main(arguments + ['--record']) == 0
  assert guard.main(arguments + ['--strict']) == 0
  assert '+0 %' in capsys.readouterr().out


def test_the_code_of_a_commit_runs_in_turns(monkeypatch, tmp_path, capsys):
  """The seconds of the fake benchmark are a number in the code of each."""
  def git(*arguments):
    subprocess.run(('git', '-c', 'user.name=n', '-c', 'user.email=e') +
                   arguments, cwd=str(tmp_path), check=True,
                   stdout=subprocess.DEVNULL)
  def run(command, root):
    ran.append(command[0])
    with open(os.path.join(root, 'seconds')) as f:
      return {'x': float(f.read())}
  ran = []
  (tmp_path / 'seconds').write_text('2')
  git('init', '-q')
  git('add', '.')
  git('commit', '-qm', 'before')
  (tmp_path / 'seconds').write_text('3')
  monkeypatch.setattr(guard, '_ROOT', str(tmp_path))
  monkeypatch.setattr(guard, 'fixed_work', lambda: .5)
  monkeypatch.setattr(guard, '_run', run)
  arguments = ['--base=HEAD', '--only=ops', '--only=train', '--rounds=2']
  assert guard.main(arguments) == 0
  assert ran == ['ops', 'ops', 'step', 'step'] * 2
  lines = capsys.readouterr().out.splitlines()
  assert [line.split(' (')[0] for line in lines[:2]] == [
      'round 1 of 2: ops of HEAD', 'round 1 of 2: ops of this code']
  assert 'ops/x      6.0000    4.0000    +50 %' in lines
  assert lines[-1] == 'Slower than HEAD by over 10 %: ops/x, train/x.'
  assert guard.main(arguments + ['--strict']) == 1
  capsys.readouterr()
  assert guard.main(['--base=nothing']) == 1
  assert 'git cannot give the code of nothing: ' in capsys.readouterr().err


def test_a_base_is_not_recorded(capsys):
  with pytest.raises(SystemExit):
    guard.parse_arguments(['--base=HEAD', '--record'])
  assert 'give one of the two' in capsys.readouterr().err
