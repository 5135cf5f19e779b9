"""Stages: run once, again when what they read has changed, nothing lost."""

import json
import signal

import pytest

from tools.own_data import plan
from tools.own_data import stages


def _stage(folder, **changes):
  """Copies a.txt to b.txt, in capitals."""
  source, target = str(folder / 'a.txt'), str(folder / 'out' / 'b.txt')
  code = 'open(%r, "w").write(open(%r).read().upper())' % (target, source)
  fields = dict(name='copy', arguments=['-c', code], inputs=[source],
                outputs=[target], replaced=[target], key='')
  return plan.Stage(**dict(fields, **changes))


@pytest.fixture
def folder(tmp_path):
  (tmp_path / 'a.txt').write_text('one')
  (tmp_path / 'out').mkdir()
  return tmp_path


def _run(folder, stage):
  """Runs it in a new process of the command, so to say."""
  lines = []
  ran = stages.run(stage, stages.State(str(folder / 'out')), 1, 1,
                   show=lines.append)
  return ran, '\n'.join(lines)


def test_once(folder):
  ran, text = _run(folder, _stage(folder))
  assert ran and '$ python -c' in text
  assert (folder / 'out' / 'b.txt').read_text() == 'ONE'
  ran, text = _run(folder, _stage(folder))
  assert not ran and text == '[1/1] copy: done before.'


def test_again_for_other_inputs(folder):
  _run(folder, _stage(folder))
  (folder / 'a.txt').write_text('other')
  assert _run(folder, _stage(folder))[0]
  assert (folder / 'out' / 'b.txt').read_text() == 'OTHER'
  assert _run(folder, _stage(folder, key='--flag'))[0]


def test_again_for_a_missing_output(folder):
  _run(folder, _stage(folder))
  (folder / 'out' / 'b.txt').unlink()
  assert _run(folder, _stage(folder))[0]


def test_changes_of_a_person_stay(folder):
  _run(folder, _stage(folder))
  (folder / 'out' / 'b.txt').write_text('mine')
  assert not _run(folder, _stage(folder))[0]  # Nothing has to be written.
  (folder / 'a.txt').write_text('other')
  with pytest.raises(stages.StageError, match='was changed by hand'):
    _run(folder, _stage(folder))
  assert (folder / 'out' / 'b.txt').read_text() == 'mine'


def test_a_later_stage_may_change_a_file(folder):
  target = str(folder / 'out' / 'b.txt')
  _run(folder, _stage(folder))
  state = stages.State(str(folder / 'out'))
  (folder / 'out' / 'b.txt').write_text('fitted')
  state.mark_done(_stage(folder, name='fit', outputs=[]), 'fit', 1., [target])
  (folder / 'a.txt').write_text('other')
  assert _run(folder, _stage(folder))[0]


def test_foreign_folder(folder):
  (folder / 'out' / 'thesis.txt').write_text('mine')
  with pytest.raises(stages.StageError, match=r'thesis\.txt'):
    stages.State(str(folder / 'out'))


def test_failure(folder):
  stage = _stage(folder, arguments=['-c', 'raise SystemExit(3)'])
  with pytest.raises(stages.StageError, match='exit code 3') as error:
    _run(folder, stage)
  assert error.value.code == 3
  assert not stages.State(str(folder / 'out')).is_done(stage)


def test_no_output(folder):
  with pytest.raises(stages.StageError, match=r'without writing .*b\.txt'):
    _run(folder, _stage(folder, arguments=['-c', 'pass']))


def test_a_signal_reaches_the_program(folder):
  """SIGTERM ends the child in its own way, which is what its code says."""
  code = ('import os, signal, sys, time\n'
          'signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n'
          'os.kill(os.getppid(), signal.SIGTERM)\n'
          'time.sleep(60)\n')
  assert stages.call(['-c', code]) == (7, signal.SIGTERM)


def test_a_signal_at_the_end_of_a_stage_ends_the_rest(folder):
  """The stage is done; what comes after it is not begun."""
  stage = _stage(folder)
  code = ('import os, signal\n'
          'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
          'os.kill(os.getppid(), signal.SIGTERM)\n') + stage.arguments[1]
  stage = stage._replace(arguments=['-c', code])
  with pytest.raises(stages.StageError, match='by SIGTERM') as error:
    _run(folder, stage)
  assert error.value.code == 128 + signal.SIGTERM
  assert stages.State(str(folder / 'out')).is_done(stage)


def _learning(folder, **changes):
  """Adds the content of a.txt to out/model/log, and ends by out/end."""
  log, end = folder / 'out/model/log', folder / 'out/end'
  code = ('import os\nos.makedirs(%r, exist_ok=True)\n'
          'open(%r, "a").write(open(%r).read())\nopen(%r, "w")\n' % (
              str(log.parent), str(log), str(folder / 'a.txt'), str(end)))
  stage = _stage(folder, name='train', arguments=['-c', code],
                 outputs=[str(end)], replaced=[])
  return stage._replace(**dict(dict(
      folder=str(log.parent), origin=('seed 0', [str(folder / 'a.txt')])),
                               **changes))


def test_what_was_learnt_from_other_data_is_put_away(folder):
  """Not gone on with: it may have seen what is for evaluation now."""
  log = folder / 'out/model/log'
  _run(folder, _learning(folder))
  # As after an interruption, and after a change of the configuration by hand.
  (folder / 'out/end').unlink()
  assert _run(folder, _learning(folder, key='more steps'))[0]
  assert log.read_text() == 'oneone'
  (folder / 'a.txt').write_text('other')
  ran, text = _run(folder, _learning(folder))
  assert ran and log.read_text() == 'other'
  assert 'have changed: it starts over' in text and '/out/model-1.' in text
  assert (folder / 'out/model-1/log').read_text() == 'oneone'
  _run(folder, _learning(folder, key='1', origin=('seed 1', [])))
  assert (folder / 'out/model-2/log').read_text() == 'other'
  assert not _run(folder, _learning(folder, key='1', origin=('seed 1', [])))[0]


def test_an_interrupted_first_stage_is_resumed(folder):
  """What it has left is its own, even if it was killed."""
  stage = _stage(folder)
  code = stage.arguments[1]
  killed = stage._replace(arguments=['-c', code + ';raise SystemExit(9)'])
  with pytest.raises(stages.StageError, match='exit code 9'):
    _run(folder, killed)
  assert (folder / 'out' / 'b.txt').exists()
  (folder / 'a.txt').write_text('mended')
  assert _run(folder, stage)[0]
  assert (folder / 'out' / 'b.txt').read_text() == 'MENDED'


def test_a_folder_that_was_moved_or_is_called_otherwise(folder, monkeypatch):
  _run(folder, _stage(folder))
  (folder / 'other').mkdir()
  (folder / 'out').rename(folder / 'other' / 'place')
  moved = _stage(folder, outputs=[str(folder / 'other/place/b.txt')])
  moved = moved._replace(replaced=moved.outputs)
  state = stages.State(str(folder / 'other/place'))
  assert state.is_done(moved)
  monkeypatch.chdir(str(folder / 'other'))
  relative = moved._replace(outputs=['place/b.txt'], inputs=['../a.txt'],
                            replaced=['place/b.txt'])
  state = stages.State('place')
  assert state.is_done(relative)
  state.make_room(relative)  # No complaint that it was changed.


def test_an_earlier_version_kept_paths_as_typed(folder):
  _run(folder, _stage(folder))
  path = folder / 'out' / stages.STATE
  content = json.loads(path.read_text())
  (entry,) = content['stages'].values()
  entry['outputs'] = {str(folder / 'out' / 'b.txt'): value
                      for value in entry['outputs'].values()}
  path.write_text(json.dumps({'version': '0', 'stages': content['stages']}))
  (folder / 'a.txt').write_text('other')
  assert _run(folder, _stage(folder))[0]
