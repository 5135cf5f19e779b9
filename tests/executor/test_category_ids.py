"""Ids from annotations through records, evaluation and predictions, and back.

The detections are the objects that the decoder of the models finds in the
records, so that all but the network itself takes part.
"""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import example_decoder
from dataloader import file_patterns
from dataloader import source_ids
from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import coco_results
from executor import errors
from executor import evaluation
from executor import groundtruth
from executor import model_dir as model_dir_lib
from executor import prediction
from tests import runtimes
from tests.executor import toy
from tests.tools import coco_sets
from tools import create_coco_tfrecord
from tools.datasets import coco_record_writer

pytestmark = pytest.mark.usefixtures('unoptimized')

_NAMES = ('cat', 'dog', 'bird')


def _content(category_ids):
  """Three images with objects of three categories, a few objects each."""
  content = coco_sets.dataset()
  content['categories'] = [{'id': i, 'name': name}
                           for i, name in zip(category_ids, _NAMES)]
  content['images'][1]['id'] = '0042'
  content['annotations'] = [
      coco_sets.rectangle(n + 1, image_id, category_ids[k],
                          (4 + k, 5 + 9 * k, 22 + 3 * n, 12 + 9 * k))
      for n, (image_id, k) in enumerate(
          [(7, 0), (7, 1), ('0042', 1), ('0042', 2), (12, 2), (12, 0)])]
  return content


class _PerfectEstimator:
  """Finds what the records hold, under the ids that the reader gives."""

  def __init__(self, pattern, regenerate):
    self._pattern = pattern
    self._decoder = example_decoder.ExampleDecoder(
        regenerate_source_id=regenerate)

  def predict(self, input_fn, checkpoint_path, yield_single_examples, hooks):
    del input_fn, checkpoint_path, yield_single_examples, hooks
    with tf.Graph().as_default(), tf.Session() as session:
      serialized = tf.placeholder(tf.string, [])
      decoded = self._decoder.decode(serialized)
      decoded['number'] = source_ids.to_int64(decoded['source_id'])
      for path in file_patterns.expand(self._pattern, 'key'):
        for record in tf.io.tf_record_iterator(path):
          yield _batch(session.run(decoded, {serialized: record}))


def _batch(values):
  size = np.array([values['height'], values['width']], np.float32)
  classes = values['groundtruth_classes'][np.newaxis]
  return {
      'pred_source_id': values['number'].reshape([1]),
      'pred_num_detections': np.array([classes.size], np.int32),
      'pred_detection_boxes': (values['groundtruth_boxes'] * np.tile(size, 2))[
          np.newaxis],
      'pred_detection_classes': classes.astype(np.int32),
      'pred_detection_scores': np.full(classes.shape, .9, np.float32),
      'pred_image_info': np.stack([size, size, [1, 1], [0, 0]])[np.newaxis],
      'gt_source_id': values['number'].reshape([1])}


class _Job:
  """A converted set and the runs on it."""

  def __init__(self, tmp_path, category_ids, image_ids=None):
    content = _content(category_ids)
    self.own, images = coco_sets.write(tmp_path / 'source', content)
    self.prefix = str(tmp_path / 'out [1]' / 'val')
    create_coco_tfrecord.convert(
        self.own, images, self.prefix,
        coco_record_writer.Options(num_shards=2, num_processes=1))
    self.folder = tmp_path / 'run'
    self.folder.mkdir()
    self.checkpoint = toy.save_checkpoint(self.folder, 3, global_step=3)

  def config(self, **changes):
    return toy.config(
        self.folder, eval__eval_file_pattern=self.prefix + '-*.tfrecord',
        architecture__num_classes=92, **changes)

  def estimator(self, config):
    return _PerfectEstimator(config.eval.eval_file_pattern,
                             config.retinanet_parser.regenerate_source_id)

  def evaluate(self, config):
    """Metrics, and the written detections."""
    metrics = evaluation.Evaluation(
        config, self.estimator(config), None).run(self.checkpoint)
    return metrics, annotations_lib.read_json(os.path.join(
        model_dir_lib.eval_dir(config), 'detections.json'))

  def predict(self, config):
    with open(prediction.run(config, self.estimator(config), None,
                             self.checkpoint)) as f:
      return json.load(f)


def _ap(path, results):
  annotations = annotations_lib.load(path)
  detections, _ = coco_results.from_results(results, annotations)
  return coco_metrics.evaluate(annotations, detections, 'bbox')['AP']


def _ids(results):
  return ({r['image_id'] for r in results}, {r['category_id'] for r in results})


@pytest.mark.parametrize('category_ids, regenerate', runtimes.product(
    [(3, 7, 90), (0, 7, 90), (0, 1, 2), (2, 1, 0)], [False, True]))
def test_ids_of_the_own_annotations_come_back(tmp_path, category_ids,
                                              regenerate):
  job = _Job(tmp_path, category_ids)
  config = job.config(eval__val_json_file=job.own,
                      retinanet_parser__regenerate_source_id=regenerate)
  metrics, detections = job.evaluate(config)
  assert metrics['AP'] == pytest.approx(1.)
  assert all('Precision mAP ByCategory/%d' % i in metrics for i in category_ids)
  predictions = job.predict(config)
  for results in (detections, predictions):
    # As pycocotools would compare them: by equality.
    assert _ids(results) == ({7, '0042', 12}, set(category_ids))
    assert _ap(job.own, results) == pytest.approx(1.)


@pytest.mark.parametrize('written, category_ids, regenerate', runtimes.product(
    [False, True], [(3, 7, 90), (0, 7, 90)], [False, True]))
def test_ids_of_the_records(tmp_path, category_ids, regenerate, written):
  """Of the records alone, and of the annotations that the converter wrote."""
  job = _Job(tmp_path, category_ids)
  annotations = job.prefix + '-annotations.json'
  config = job.config(eval__val_json_file=annotations if written else '',
                      retinanet_parser__regenerate_source_id=regenerate)
  metrics, _ = job.evaluate(config)
  assert metrics['AP'] == pytest.approx(1.)
  predictions = job.predict(config)
  shift = int(0 in category_ids)
  assert _ids(predictions)[1] == {i + shift for i in category_ids}
  assert {str(i).lstrip('0') for i in _ids(predictions)[0]} == {'7', '42', '12'}
  assert _ap(annotations, predictions) == pytest.approx(1.)


def test_names_of_the_table_move_with_the_ids(tmp_path, capsys):
  job = _Job(tmp_path, (0, 1, 2))
  config = job.config(eval__val_json_file=job.own,
                      eval__label_map=job.prefix + '-label_map.csv')
  job.evaluate(config)
  table = capsys.readouterr().out
  assert 'cat: 1 is 0; dog: 2 is 1; bird: 3 is 2' in table
  rows = [line.split()[:3] for line in table.splitlines()]
  assert [row for row in rows if len(row) == 3 and row[1] in _NAMES] == [
      ['0', 'cat', '2'], ['1', 'dog', '2'], ['2', 'bird', '2']]


@pytest.mark.parametrize('category_ids', [(0, 1, 2), (3, 7, 90)])
def test_reports_draw_the_records_under_the_ids_of_the_results(tmp_path,
                                                               category_ids):
  job = _Job(tmp_path, category_ids)
  content, names = groundtruth.of_records(
      job.config(eval__val_json_file=job.own), include_mask=False)
  assert names == dict(zip(category_ids, _NAMES))
  assert sorted(a['category_id'] for a in content['annotations']) == sorted(
      category_ids * 2)


def test_lists_of_lvis_move_with_the_ids(tmp_path, monkeypatch):
  job = _Job(tmp_path, (0, 1, 2))
  read = groundtruth.records.read_groundtruth

  def read_with_list(*arguments, **options):
    content = read(*arguments, **options)
    content['images'][0]['neg_category_ids'] = [3, 1]
    return content

  monkeypatch.setattr(groundtruth.records, 'read_groundtruth', read_with_list)
  content, _ = groundtruth.of_records(
      job.config(eval__val_json_file=job.own), include_mask=False)
  assert content['images'][0]['neg_category_ids'] == [2, 0]


def test_categories_without_names_are_refused(tmp_path):
  job = _Job(tmp_path, (0, 1, 2))
  content = _content((0, 1, 2))
  content['categories'] = [{'id': i} for i in range(3)]
  with open(job.own, 'w') as f:
    json.dump(content, f)
  config = job.config(eval__val_json_file=job.own)
  for run in (job.evaluate, job.predict):
    with pytest.raises(errors.SetupError, match='category ids begin at 0'):
      run(config)


@pytest.mark.parametrize('content', ['[]', '{"images": 3}', '{"images": [{}], '
                                     '"annotations": []}', '\ufeff[', '3'])
def test_a_file_that_is_no_annotations(tmp_path, content):
  job = _Job(tmp_path, (1, 2, 3))
  with open(job.own, 'w', encoding='utf-8') as f:
    f.write(content)
  for run in (job.evaluate, job.predict):
    with pytest.raises(errors.SetupError, match='instances.json'):
      run(job.config(eval__val_json_file=job.own))
