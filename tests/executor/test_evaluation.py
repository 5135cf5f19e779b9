"""The path from prediction batches to result files, with a fake Estimator."""

import functools
import io
import itertools
import json
import os
import pathlib
import threading
import time
import types

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from dataloader import record_files
from dataloader import records
from dataloader import source_ids
from evaluation import annotations as annotations_lib
from executor import best_checkpoint
from executor import errors
from executor import evaluation
from executor import jobs
from executor import model_dir as model_dir_lib
from executor import pins
from executor import status
from tests import golden
from tests import model_kinds
from tests.dataloader import examples
from tests.executor import doubles
from tests.executor import toy
from tools import create_lvis_tfrecord
from tools.datasets import coco_record_writer
from utils import masks as mask_utils


def _batch(ids, box=(10., 10., 30., 50.), scale=2.):
  """Predictions of one batch: the same box in every image."""
  size = len(ids)
  return {
      'pred_source_id': np.array(ids, np.int64),
      'pred_num_detections': np.ones([size], np.int32),
      'pred_detection_boxes': np.tile(np.array(box, np.float32), [size, 1, 1]),
      'pred_detection_classes': np.ones([size, 1], np.int32),
      'pred_detection_scores': np.full([size, 1], .9, np.float32),
      'pred_image_info': np.tile(np.array(
          [[40, 40], [80, 80], [scale, scale], [0, 0]], np.float32),
                                 [size, 1, 1]),
      'gt_source_id': np.array(ids, np.int64),
      'loss_cls_loss': np.array(ids, np.float32),
  }


class _Estimator:
  """Predicts the same batches for any checkpoint."""

  def __init__(self, batches):
    self._batches = batches
    self.paths = []

  def predict(self, input_fn, checkpoint_path, yield_single_examples, hooks):
    assert not yield_single_examples and hooks
    self.paths.append(checkpoint_path)
    return iter(self._batches)


def _annotations(ids):
  """One object per image, where `_batch` finds one."""
  return {
      'images': [{'id': i, 'height': 40, 'width': 40} for i in ids],
      'annotations': [
          {'id': n, 'image_id': i, 'category_id': 1, 'iscrowd': 0,
           'area': 200., 'bbox': [5., 5., 20., 10.]}
          for n, i in enumerate(ids, 1)],
      'categories': [{'id': 1, 'name': 'thing'}, {'id': 2, 'name': 'other'}]}


def _json_config(tmp_path, ids, **changes):
  path = tmp_path / 'annotations.json'
  path.write_text(json.dumps(_annotations(ids)))
  return toy.config(tmp_path / 'run', eval__val_json_file=str(path), **changes)


def _evaluate(config, batches, step=7):
  folder = pathlib.Path(config.model_dir)
  folder.mkdir(exist_ok=True)
  checkpoint = toy.save_checkpoint(folder, step, global_step=step)
  stream = io.StringIO()
  job = evaluation.Evaluation(config, _Estimator(batches), None, stream)
  return job, job.run(checkpoint), stream.getvalue(), checkpoint


def test_results_are_printed_and_written(tmp_path):
  config = _json_config(tmp_path, [1, 2, 3], eval__suffix='_mine')
  job, metrics, table, checkpoint = _evaluate(
      config, [_batch([1, 2]), _batch([3, -1])])
  assert metrics['AP'] == pytest.approx(1.)
  # The padding of the last batch counts nowhere.
  assert metrics['cls_loss'] == pytest.approx(2.)
  assert 'Evaluation at step 7: 3 images' in table
  assert 'thing' in table and 'other' in table
  folder = model_dir_lib.eval_dir(config)
  assert folder.endswith('eval_mine')
  with open(os.path.join(folder, 'metrics.json')) as f:
    written = json.load(f)
  assert (written['step'], written['AP']) == (7, metrics['AP'])
  detections = annotations_lib.read_json(
      os.path.join(folder, 'detections.json'))
  assert sorted(d['image_id'] for d in detections) == [1, 2, 3]
  assert detections[0]['bbox'] == [5., 5., 20., 10.]
  assert job.is_done(checkpoint)
  tags = [value.tag for name in os.listdir(folder) if 'tfevents' in name
          for event in tf.train.summary_iterator(os.path.join(folder, name))
          for value in event.summary.value if event.step == 7]
  assert {'AP', 'ARl', 'cls_loss', 'Precision mAP ByCategory/1'} <= set(tags)


@pytest.mark.parametrize('case', golden.load_cases('segmentation_metrics'),
                         ids=lambda c: c.name)
def test_loss_of_an_evaluation_equals_the_reference(tmp_path, case):
  """The mean over all images."""
  names = sorted(k for k in case.inputs if k.endswith('.model_loss'))
  batches = [{'pred_source_id': np.array([2 * i, 2 * i + 1]),
              'loss_model_loss': case.inputs[name].ravel()}
             for i, name in enumerate(names)]
  assert len(batches) == 3
  job = evaluation.Evaluation(toy.config(tmp_path), _Estimator(batches), None)
  job._evaluator = types.SimpleNamespace(update=lambda *unused: None)
  got = job._predict('model.ckpt-1', 'model.ckpt-1')
  assert {name: np.mean(values) for name, values in got.items()} == {
      'model_loss': pytest.approx(case.outputs['model_loss'],
                                             abs=1e-6)}


def _groundtruth_config(tmp_path, *records, **changes):
  path = examples.write(tmp_path / 'val', records)
  return toy.config(tmp_path / 'run', eval__eval_file_pattern=path, **changes)


def _scene(source_id, number=1):
  return examples.serialize(np.zeros([40, 40, 3], np.uint8),
                            [[0., 0., .5, .5]] * number, [1] * number,
                            source_id=source_id)


def test_records_are_read_once(tmp_path, monkeypatch):
  """By the ground truth, while the checks look on."""
  config = _groundtruth_config(tmp_path, *[_scene(str(i)) for i in range(5)])
  calls, iterate = [], record_files.iterate
  monkeypatch.setattr(record_files, 'iterate', lambda *args: (
      calls.append(args) or iterate(*args)))
  jobs._Parts(config, 'eval', False, None).evaluation()
  assert len(calls) == 1


@pytest.mark.parametrize('record, words', [
    (b'no Example', 'eval.eval_file_pattern: .*record 1.*check_data'),
    (_scene('full', 7), 'val: record 1.*set retinanet_parser.max_num_instances '
                        'to at least 7')], ids=['no example', 'full'])
def test_a_record_that_would_stop_it_is_told_at_the_start(
    tmp_path, record, words):
  config = _groundtruth_config(tmp_path, _scene('first'), record,
                               retinanet_parser__max_num_instances=5)
  with pytest.raises(errors.SetupError, match=words):
    jobs._Parts(config, 'eval', False, None).evaluation()


def test_best_checkpoint_is_kept(tmp_path):
  config = _json_config(tmp_path, [1, 2], eval__best_metric='AP50')
  _, metrics, _, _ = _evaluate(config, [_batch([1, 2])])
  with open(os.path.join(best_checkpoint.folder(config), 'best.json')) as f:
    best = json.load(f)['best']
  assert [(e['step'], e['value']) for e in best] == [(7, metrics['AP50'])]


def test_annotation_file_is_read_in_place(tmp_path):
  config = _json_config(tmp_path, [1])
  before = (tmp_path / 'annotations.json').read_text()
  _evaluate(config, [_batch([1])])
  assert (tmp_path / 'annotations.json').read_text() == before
  assert not [n for n in os.listdir(config.model_dir) if 'annotation' in n]


def test_second_evaluation_starts_anew(tmp_path):
  config = _json_config(tmp_path, [1, 2])
  job, first, _, checkpoint = _evaluate(config, [_batch([1, 2])])
  assert job.run(checkpoint) == first
  with open(os.path.join(model_dir_lib.eval_dir(config),
                         'metrics.jsonl')) as f:
    assert len(f.readlines()) == 2


def test_images_without_predictions_count_and_are_named(tmp_path):
  config = _json_config(tmp_path, [1, 2])
  _, metrics, table, _ = _evaluate(config, [_batch([1])])
  assert metrics['AP'] == pytest.approx(.5, abs=.01)
  assert '1 of 2 images of the set got no predictions' in table


def test_two_processes_share_an_evaluation(tmp_path):
  """Equal digits, losses too; and both end."""
  ids = [1, 2, 3, 4, 5]
  _, expected, _, _ = _evaluate(_json_config(tmp_path, ids),
                                [_batch(ids[:3]), _batch(ids[3:])])
  configs = [_json_config(tmp_path, ids, eval__num_parts=2, eval__part=k,
                          eval__eval_batch_size=1,
                          eval__suffix='_shared', eval__eval_timeout=60)
             for k in range(2)]
  jobs = [evaluation.Evaluation(config, _Estimator([_batch(ids[k::2])]), None,
                                io.StringIO())
          for k, config in enumerate(configs)]
  follower = threading.Thread(target=evaluation.evaluation_parts.follow, args=(
      configs[1], jobs[1].predict_part, lambda _: time.sleep(.01)))
  follower.start()
  jobs[0]._leader._sleep = lambda _: time.sleep(.01)
  path = toy.save_checkpoint(tmp_path / 'run', 8, global_step=8)
  try:
    assert jobs[0].run(path) == expected
  finally:
    jobs[0].end()
    follower.join()
  folder = pathlib.Path(model_dir_lib.eval_dir(configs[0]))
  assert os.listdir(str(folder / 'parts')) == ['request.json']


@pytest.mark.one_runtime('tf1')
def test_a_leader_without_a_sign_of_life_is_not_waited_for(tmp_path):
  """Without eval.eval_timeout, too; one that waits or sleeps is alive."""
  config = toy.config(tmp_path, eval__num_parts=2, eval__part=1,
                      eval__stall_timeout=100, eval__min_eval_interval=50)
  said = itertools.count()
  voice = status.Voice(config, lambda: 1e6 - next(said))  # A clock set back.
  clock = doubles.Clock([
      (t, functools.partial(voice.say, 'waiting', 'checkpoint %d' % t))
      for t in (90, 230, 370)])

  def predict(*unused):
    raise AssertionError('Nothing was asked for.')

  with pytest.raises(errors.Stalled) as e:
    evaluation.evaluation_parts.follow(config, predict, clock.sleep, clock)
  assert 520 <= clock.now < 525
  for words in ('eval.part 0 of 2', ' min (eval.stall_timeout', 'request.json',
                str(tmp_path / 'eval' / 'status.json')):
    assert words in str(e.value)
  forever = doubles.Clock([(1e5, voice.say)])  # Raises: it lacks arguments.
  config = toy.config(tmp_path, eval__num_parts=2, eval__part=1,
                      eval__stall_timeout=None)
  with pytest.raises(TypeError):
    evaluation.evaluation_parts.follow(config, predict, forever.sleep, forever)


@pytest.mark.parametrize('key, error', [
    ('eval_timeout', errors.EvalTimeout), ('stall_timeout', errors.Stalled)])
def test_a_process_that_does_not_come_is_named(tmp_path, key, error):
  config = toy.config(tmp_path, **{'eval__num_parts': 3, 'eval__' + key: 100})
  clock = doubles.Clock()
  leader = evaluation.evaluation_parts.Leader(config, clock.sleep, clock)
  leader.ask('model.ckpt-5', 'held')
  folder = pathlib.Path(model_dir_lib.eval_dir(config)) / 'parts'
  number = json.loads((folder / 'request.json').read_text())['number']
  for part, asked in ((1, number), (2, 'by a leader that was killed')):
    (folder / ('part-%d.json' % part)).write_text(json.dumps(
        {'number': asked, 'part': {}}))
  with pytest.raises(error, match=r'eval.part \[2\] of 3.*eval.' + key):
    leader.others()
  assert 100 <= clock.now < 110


def test_part_of_the_images_on_purpose(tmp_path):
  config = _json_config(tmp_path, [1, 2], eval__eval_samples=1)
  _, metrics, _, _ = _evaluate(config, [_batch([1])])
  assert metrics['AP'] == pytest.approx(1.)


def test_unknown_images_are_named(tmp_path):
  with pytest.raises(errors.JobError, match='source_id 9'):
    _evaluate(_json_config(tmp_path, [1, 2]), [_batch([1, 9])])


def test_text_ids_of_the_annotation_file(tmp_path):
  config = _json_config(tmp_path, ['a.jpg', '0042'])
  _, metrics, _, _ = _evaluate(
      config, [_batch(source_ids.to_ints(['a.jpg', '0042']))])
  assert metrics['AP'] == pytest.approx(1.)
  results = annotations_lib.read_json(os.path.join(
      model_dir_lib.eval_dir(config), 'detections.json'))
  assert sorted(r['image_id'] for r in results) == ['0042', 'a.jpg']


def test_groundtruth_of_the_records_alone(tmp_path):
  path = str(tmp_path / 'val.tfrecord')
  with tf.io.TFRecordWriter(path) as writer:
    for name in ('a.jpg', '8'):
      writer.write(examples.serialize(
          examples.image(40, 40), [[5 / 40., 5 / 40., 15 / 40., 25 / 40.]],
          [1], source_id=name))
  config = toy.config(tmp_path / 'run', eval__eval_file_pattern=path)
  _, metrics, _, _ = _evaluate(
      config, [_batch(source_ids.to_ints(['a.jpg', '8']))])
  assert metrics['AP'] == pytest.approx(1.)
  results = annotations_lib.read_json(os.path.join(
      model_dir_lib.eval_dir(config), 'detections.json'))
  assert {str(r['image_id']) for r in results} == {'8', 'a.jpg'}


def _mask_config(tmp_path, with_masks=True, **changes):
  """Records of two images of 40 x 40 with one object each, and the job."""
  # What a mask of ones in the predicted box covers.
  mask, = 255 * mask_utils.paste_masks(np.ones([1, 28, 28]), [[5, 5, 20, 10]],
                                       40, 40)
  path = examples.write(tmp_path / 'val.tfrecord', [examples.serialize(
      examples.image(40, 40), [[5 / 40., 5 / 40., 15 / 40., 25 / 40.]], [1],
      source_id=name, masks=[mask] * with_masks) for name in ('a.jpg', '8')])
  return toy.config(tmp_path / 'run', 'mask_rcnn', eval__eval_file_pattern=path,
                    eval__type='box_and_mask', **changes)


def test_masks_of_the_records_alone(tmp_path):
  batch = _batch(source_ids.to_ints(['a.jpg', '8']))
  batch['pred_detection_masks'] = np.ones([2, 1, 28, 28], np.float32)
  config = _mask_config(tmp_path, eval__max_detections=200)
  _, metrics, table, _ = _evaluate(config, [batch])
  assert metrics['AP'] == metrics['mask_AP'] == pytest.approx(1.)
  assert metrics['mask_Precision mAP ByCategory/1'] == pytest.approx(1.)
  assert metrics['mask_APmax200'] == pytest.approx(1.)
  assert 'Boxes' in table and 'Masks' in table
  results = annotations_lib.read_json(os.path.join(
      model_dir_lib.eval_dir(config), 'detections.json'))
  assert {r['segmentation']['size'][0] for r in results} == {40}


def test_masks_of_records_and_of_a_file_agree(tmp_path):
  batch = _batch(source_ids.to_ints(['a.jpg', '8']))
  batch['pred_detection_masks'] = np.random.RandomState(0).uniform(
      .3, 1., [2, 1, 28, 28]).astype(np.float32)
  config = _mask_config(tmp_path)
  _, of_records, _, _ = _evaluate(config, [batch])
  path = tmp_path / 'annotations.json'
  path.write_text(json.dumps(records.read_groundtruth(
      config.eval.eval_file_pattern, include_mask=True)))
  config = toy.config(tmp_path / 'other', 'mask_rcnn',
                      eval__val_json_file=str(path), eval__use_json_file=False,
                      eval__type='box_and_mask')
  _, of_file, _, _ = _evaluate(config, [batch])
  assert of_file == of_records and 0 < of_file['mask_AP'] < 1


def test_lvis_from_a_file_and_from_the_records(tmp_path):
  """Records that hold what LVIS tells of an image need no file."""
  content = _annotations([1, 2])
  content['annotations'].pop()  # image 2 is known to have no thing
  for image, absent in zip(content['images'], ([], [1])):
    image.update(neg_category_ids=absent, not_exhaustive_category_ids=[])
    Image.fromarray(np.zeros([40, 40, 3], np.uint8)).save(
        str(tmp_path / ('%d.png' % image['id'])))
    image['file_name'] = '%d.png' % image['id']
  for category in content['categories']:
    category['frequency'] = 'c'
  path = tmp_path / 'lvis.json'
  path.write_text(json.dumps(content))
  create_lvis_tfrecord.convert(
      str(path), str(tmp_path), str(tmp_path / 'val'),
      coco_record_writer.Options(num_shards=1, num_processes=1))
  pattern = str(tmp_path / 'val-*.tfrecord')
  found = {}
  for name, file_name in (('file', str(path)), ('records', '')):
    config = toy.config(tmp_path / name, eval__type='lvis_box',
                        eval__val_json_file=file_name,
                        eval__eval_file_pattern=pattern)
    _, found[name], table, _ = _evaluate(config, [_batch([1, 2])])
    assert 'AR@300' in table
  assert found['file']['APc'] == found['file']['AP'] == pytest.approx(1.)
  assert found['records']['APc'] == -1  # they do not hold the frequencies
  for name in ('AP', 'APs', 'AR@300'):
    assert found['records'][name] == found['file'][name]


def test_records_without_masks_cannot_be_evaluated(tmp_path):
  with pytest.raises(errors.SetupError, match='val.tfrecord: record 0.* 0 masks'
                     '.*eval.type to box'):
    _evaluate(_mask_config(tmp_path, with_masks=False), [])


def test_annotation_file_that_is_broken(tmp_path):
  config = _json_config(tmp_path, [1])
  (tmp_path / 'annotations.json').write_text('{"images": ')
  with pytest.raises(errors.SetupError, match='annotations.json is not valid'):
    _evaluate(config, [_batch([1])])


def test_result_is_of_this_checkpoint_not_of_an_older_training(tmp_path):
  config = _json_config(tmp_path, [1])
  job, _, _, checkpoint = _evaluate(config, [_batch([1])])
  for hours in (-1, 1):  # Clocks disagree.
    when = time.time() + 3600 * hours
    os.utime(checkpoint + '.index', (when, when))
    assert job.is_done(checkpoint)
  toy.save_checkpoint(pathlib.Path(config.model_dir), 7, global_step=8)
  os.utime(checkpoint + '.index', (1e9, 1e9))
  assert not job.is_done(checkpoint)


def test_rotation_takes_nothing_that_is_evaluated(tmp_path):
  """Neither from the evaluation nor from the best ones."""
  config = _json_config(tmp_path, [1], eval__best_metric='AP')
  folder = pathlib.Path(config.model_dir)

  class Rotating(_Estimator):
    def predict(self, input_fn, checkpoint_path, **more):
      for path in folder.glob('model.ckpt-7.*'):
        path.unlink()
      assert tf.train.load_checkpoint(checkpoint_path).get_tensor(
          'global_step') == 7
      return super().predict(input_fn, checkpoint_path, **more)

  folder.mkdir()
  path = toy.save_checkpoint(folder, 7, global_step=7)
  evaluation.Evaluation(config, Rotating([_batch([1])]), None,
                        io.StringIO()).run(path)
  best = best_checkpoint.folder(config)
  assert tf.train.load_checkpoint(os.path.join(best, 'model.ckpt-7'))
  assert not list(folder.glob('eval/pinned*'))
  with pytest.raises(pins.GoneError, match='ckpt-7 was deleted'):
    evaluation.Evaluation(config, _Estimator([]), None, io.StringIO()).run(path)


@pytest.mark.parametrize('where', [
    'print', 'write', 'write_results', 'best', 'mark_done'])
def test_a_job_that_was_killed_evaluates_once_more_and_counts_once(
    tmp_path, monkeypatch, where):
  """At any moment before the line that ends the evaluation."""
  config = _json_config(tmp_path, [1], eval__best_metric='AP',
                        eval__early_stop_patience=3)
  _evaluate(config, [_batch([1])], step=5)

  def killed(*_, **unused):
    raise KeyboardInterrupt

  files = evaluation.evaluation_files
  with monkeypatch.context() as patch:
    patch.setattr(*{'print': (evaluation.Evaluation, '_print'),
                    'write': (files.ResultWriter, 'write'),
                    'write_results': (files.report, 'write_results'),
                    'best': (best_checkpoint, '_write'),
                    'mark_done': (files.ResultWriter, 'mark_done')}[where],
                  killed)
    with pytest.raises(KeyboardInterrupt):
      _evaluate(config, [_batch([1])])
  job, _, _, checkpoint = _evaluate(config, [_batch([1])])
  assert job.is_done(checkpoint)
  lines = files.read_evaluated(model_dir_lib.eval_dir(config))
  assert [line.step for line in lines] == [5, 7]
  record = best_checkpoint.read(config)
  assert record['evaluations_without_improvement'] == 1
  assert [entry['step'] for entry in record['best']] == [5]


@pytest.mark.parametrize('include_mask', [False, True])
@pytest.mark.parametrize('source', ['records', 'file'])
@pytest.mark.parametrize('crowds', [0, 1])
def test_a_set_without_anything_to_find(tmp_path, caplog, include_mask, source,
                                        crowds):
  """Told before a training run, and evaluated all the same."""
  path = examples.write(tmp_path / 'val', [model_kinds.record(
      '7', model_kinds.image(40, 40), [(1, 2, 3, 9, 9, 1)] * crowds)])
  content = records.read_groundtruth(path, include_mask)
  (tmp_path / 'val.json').write_text(json.dumps(content))
  config = toy.config(
      tmp_path / 'run', 'mask_rcnn', eval__eval_file_pattern=path,
      eval__type='box_and_mask' if include_mask else 'box',
      eval__val_json_file='' if source == 'records' else str(
          tmp_path / 'val.json'))
  batch = _batch([7])
  batch['pred_detection_masks'] = np.ones([1, 1, 4, 4], np.float32)
  job = evaluation.Evaluation(config, _Estimator([batch]), None, io.StringIO())
  with caplog.at_level('WARNING', 'tensorflow'):
    job.prepare()
  assert ('The ground truth of the evaluation (eval.%s: '
          % ('eval_file_pattern' if source == 'records' else 'val_json_file')
          ) in caplog.text
  assert ('no object except crowds' in caplog.text) == bool(crowds)
  (tmp_path / 'run').mkdir()
  metrics = job.run(toy.save_checkpoint(tmp_path / 'run', 7, global_step=7))
  names = ('AP', 'mask_AP') if include_mask else ('AP',)
  assert all(metrics[name] == -1 for name in names)
  assert os.path.exists(model_dir_lib.eval_dir(config) + '/metrics.json')


def test_ground_truth_that_cannot_be_used_is_told_before_training(tmp_path):
  path = examples.write(tmp_path / 'val', [
      model_kinds.record('7', model_kinds.image(9, 9, seed=i))
      for i in range(2)])
  job = evaluation.Evaluation(
      toy.config(tmp_path / 'run', eval__eval_file_pattern=path), None, None)
  with pytest.raises(errors.SetupError, match="image/source_id '7'"):
    job.prepare()
