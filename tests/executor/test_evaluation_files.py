"""What an evaluation leaves in its folder."""

import json
import os

import pytest
import tensorflow.compat.v1 as tf

from executor import evaluation_files

METRICS = {'AP': .5, 'Precision mAP ByCategory/1': .25, 'cls_loss': 2.}
RESULTS = [{'image_id': 7, 'category_id': 1, 'bbox': [0., 1., 2., 3.],
            'score': .5}]


@pytest.fixture(name='folder')
def _folder(tmp_path):
  return tmp_path / 'new' / 'eval'


def _json(path):
  with open(str(path)) as f:
    return json.load(f)


def _lines(folder):
  with open(str(folder / 'metrics.jsonl')) as f:
    return [json.loads(line) for line in f]


def _events(folder):
  """{tag: [(step, value)]} of all event files."""
  found = {}
  for name in sorted(os.listdir(str(folder))):
    if 'tfevents' in name:
      for event in tf.train.summary_iterator(str(folder / name)):
        for value in event.summary.value:
          found.setdefault(value.tag, []).append(
              (event.step, value.simple_value))
  return found


def test_a_writer_alone_makes_no_folder(folder):
  writer = evaluation_files.ResultWriter(str(folder))
  assert writer.evaluated(5) == []
  assert not folder.exists()


def test_files_of_one_evaluation(folder):
  writer = evaluation_files.ResultWriter(str(folder))
  writer.write(7, METRICS, RESULTS)
  written = _json(folder / 'metrics.json')
  assert dict(written, time=0) == dict(METRICS, step=7, time=0)
  writer.mark_done(7, METRICS, 'abc')
  assert dict(_lines(folder)[0], time=0) == dict(
      written, time=0, checkpoint_fingerprint='abc')
  assert _json(folder / 'detections.json') == RESULTS
  assert _events(folder) == {name: [(7, value)]
                             for name, value in METRICS.items()}


def test_every_evaluation_is_a_line_and_the_latest_is_a_file(folder):
  writer = evaluation_files.ResultWriter(str(folder))
  for step in (5, 10):
    writer.write(step, {'AP': step / 100.}, [])
    writer.mark_done(step, {'AP': step / 100.})
  assert [(line['step'], line['AP']) for line in _lines(folder)] == [
      (5, .05), (10, .1)]
  assert _json(folder / 'metrics.json')['step'] == 10
  # One event file for as long as the writer lives.
  events = _events(folder)['AP']
  assert [step for step, _ in events] == [5, 10]
  assert len([n for n in os.listdir(str(folder)) if 'tfevents' in n]) == 1


def test_without_results_older_ones_stay(folder):
  writer = evaluation_files.ResultWriter(str(folder))
  writer.write(5, METRICS, RESULTS)
  writer.write(6, METRICS)
  assert _json(folder / 'detections.json') == RESULTS


def test_metrics_that_are_no_numbers_are_null_in_json(folder):
  evaluation_files.ResultWriter(str(folder)).write(
      1, {'cls_loss': float('nan'), 'box_loss': float('inf'), 'AP': -1.})
  for written in [_json(folder / 'metrics.json')]:
    assert written['cls_loss'] is None and written['box_loss'] is None
    assert written['AP'] == -1.


def test_lines_of_earlier_programs_and_damaged_ones(folder):
  reader = evaluation_files.ResultWriter(str(folder))
  for step, name in ((5, 'a'), (6, 'b'), (5, 'c')):
    evaluation_files.ResultWriter(str(folder)).mark_done(step, METRICS, name)
    assert reader.evaluated(step)[-1].fingerprint == name
  with open(str(folder / 'metrics.jsonl'), 'ab') as f:
    f.write(b'\xff\x00\n[5]\n{"step": "x", "time": 1}\n{"step": 5, ')
  writer = evaluation_files.ResultWriter(str(folder))
  assert [line.fingerprint for line in writer.evaluated(5)] == ['a', 'c']
  writer.mark_done(7, METRICS, 'd')  # Not behind the half line, but below it.
  assert [line.fingerprint for line in writer.evaluated(7)] == ['d']


def test_a_step_counts_once_everything_is_written(folder, monkeypatch):
  def fail(*_):
    raise OSError('disk full')
  monkeypatch.setattr(evaluation_files.storage, 'write_json', fail)
  writer = evaluation_files.ResultWriter(str(folder))
  with pytest.raises(OSError):
    writer.write(5, METRICS, RESULTS)
  assert writer.evaluated(5) == []


def test_names_of_classes(folder):
  """Public keys stay; a name that is only the id says nothing."""
  metrics = {'AP': .5, 'Precision mAP ByCategory/1': .25, 'AP50': .75,
             'mask_Precision mAP ByCategory@50IoU/2': .5,
             'eval/iou_class_1': 0.}
  evaluation_files.ResultWriter(str(folder)).write(
      7, metrics, names={1: 'red cell', 2: '2', 50: 'x'})
  written = _json(folder / 'metrics.json')
  assert written['class_names'] == {'1': 'red cell', '50': 'x'}
  assert {k: written[k] for k in metrics} == metrics
  assert set(_events(folder)) == set(metrics) | {
      'Precision mAP ByCategory/red cell', 'eval/iou_class_red cell'}
