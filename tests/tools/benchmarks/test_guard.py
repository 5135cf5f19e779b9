"""Tests of tools.benchmarks.guard: what became slower is told."""

import json

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
  monkeypatch.setattr(guard, '_run', lambda command: {'x': 1.})
  path = tmp_path / 'record.json'
  path.write_text(json.dumps({name: {
      'processor': 'of another kind', 'date': '2026-11-30',
      'ratios': {'ops/x': recorded}} for name in ('tf1', 'tf2')}))
  arguments = ['--only=ops', '--rounds=1', '--file=%s' % path]
  assert guard.main(arguments + ['--strict'] * strict) == code
  printed = capsys.readouterr().out
  assert 'ops/x' in printed and '2.0000' in printed
  assert 'Recorded on another processor (of another kind' in printed


@pytest.mark.one_runtime('tf1')
def test_a_benchmark_runs_between_two_units(monkeypatch):
  monkeypatch.setattr(guard, 'BENCHMARKS', {
      'ops': ['ops', '--cases=image_resize_640', '--repeats=1']})
  ratios = guard.measure(['ops'], 1, show=lambda line: None)
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
  monkeypatch.setattr(guard, '_run', lambda command: {'x': 1.})
  arguments = ['--only=ops', '--rounds=1', '--file=%s' % (tmp_path / 'r.json')]
  assert guard.main(arguments + ['--strict']) == 0
  assert 'Nothing is recorded' in capsys.readouterr().out
  assert guard.main(arguments + ['--record']) == 0
  assert guard.main(arguments + ['--strict']) == 0
  assert '+0 %' in capsys.readouterr().out
