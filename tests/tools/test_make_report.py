"""Tests of tools/make_report.py and tools/report/html_page.py."""

import json
import re

import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory
from executor import model_dir as model_dir_lib
from tools import make_demo_data
from tools import make_report
from tools.report import html_page
from utils import masks as mask_utils


@pytest.fixture(scope='module')
def model_dir(tmp_path_factory):
  """Folder as a training run and an evaluation leave it."""
  folder = tmp_path_factory.mktemp('report')
  make_demo_data.make_split(str(folder), 'val', 4, 128, seed=2, num_shards=1,
                            num_processes=1)
  config, _ = factory.load_config(
      'retinanet', params_override='train.train_batch_size=2', extra={
          'eval.eval_file_pattern': str(folder / 'val-*.tfrecord')})
  model_dir_lib.save_params(config, str(folder / 'params.yaml'))
  (folder / 'eval').mkdir()
  (folder / 'eval' / 'metrics.json').write_text(json.dumps({
      'step': 20, 'AP': .625, 'AP50': .875, 'AP75': .5, 'APs': -1.,
      'APm': .6, 'APl': .7, 'ARmax100': .75,
      'Precision mAP ByCategory/1': .3125}))
  (folder / 'eval' / 'detections.json').write_text(json.dumps([
      {'image_id': 10001, 'category_id': 1, 'bbox': [5, 5, 40, 30],
       'score': .9}]))
  (folder / 'train_metrics.jsonl').write_text(''.join(
      json.dumps({'step': step, 'time': 60. * step, 'cls_loss': 1. / step})
      + '\n' for step in (10, 20)))
  return folder


def test_page_shows_the_results(model_dir):
  page = make_report.build_page(str(model_dir), num_images=3)
  assert ('Box AP 0.625 on 4 images after 20 steps of 2 images, trained '
          'in 10 min' in page)
  assert page.count('data:image/jpeg;base64,') == 6
  assert '<td>disc</td>' in page and '0.312' in page
  assert 'cls_loss 0.05' in page
  assert 'train_batch_size: 2' in page


def test_page_needs_nothing_else(model_dir):
  page = make_report.build_page(str(model_dir))
  assert not re.findall(r'(?:src|href)="(?!data:)', page)
  assert 'http' not in page.replace('http-equiv', '')


def test_undefined_metrics_are_no_numbers(model_dir):
  page = make_report.build_page(str(model_dir))
  assert '-1' not in re.sub(r'(?s)<pre>.*</pre>|base64,[^"]*', '', page)


def test_detections_are_drawn(model_dir):
  """Of an image that has some, at least the best, whatever their scores."""
  drawn, low = [make_report.build_page(str(model_dir), min_score=score)
                for score in (.5, .95)]
  assert 'detections with a score of at least 0.5' in drawn
  assert 'no score reaches 0.95; the best 1' in low
  # The same boxes: only what is said about them differs.
  assert re.findall('base64,[^"]*', drawn) == re.findall('base64,[^"]*', low)


@pytest.fixture(scope='module')
def mask_model_dir(model_dir, tmp_path_factory):
  """The same with masks, which were scored with a limit of their own too."""
  folder = tmp_path_factory.mktemp('mask_report')
  config, _ = factory.load_config('mask_rcnn', extra={
      'eval.eval_file_pattern': str(model_dir / 'val-*.tfrecord')})
  model_dir_lib.save_params(config, str(folder / 'params.yaml'))
  (folder / 'eval').mkdir()
  metrics = json.loads((model_dir / 'eval' / 'metrics.json').read_text())
  metrics.update({'mask_' + key: value / 2. for key, value in metrics.items()
                  if key != 'step'})
  metrics.update({'APmax300': .65, 'mask_APmax300': .325})
  (folder / 'eval' / 'metrics.json').write_text(json.dumps(metrics))
  mask = np.zeros([128, 128], np.uint8)
  mask[5:35, 5:45] = 1
  (folder / 'eval' / 'detections.json').write_text(json.dumps([
      {'image_id': 10001, 'category_id': 1, 'bbox': [5, 5, 40, 30],
       'score': .9, 'segmentation': mask_utils.encode(mask)}]))
  return folder


def test_page_of_masks(model_dir, mask_model_dir):
  page = make_report.build_page(str(mask_model_dir), num_images=4)
  assert 'Box AP 0.625 and mask AP 0.312 on 4 images' in page
  assert '<th>APmax300</th>' in page and '<th>mask AP</th>' in page
  assert re.search('<td>mask</td>.*0.325', page)
  # The images differ from those without masks, on both sides.
  boxes = make_report.build_page(str(model_dir), num_images=4)
  images = [re.findall('base64,([^"]*)', text) for text in (page, boxes)]
  differ = [one != other for one, other in zip(*images)]
  # Detections are of one image, at any place of the records.
  assert len(differ) == 8 and any(differ[::2]) and any(differ[1::2])


def test_missing_files_name_the_command(tmp_path):
  with pytest.raises(ValueError, match='main.py --mode=train writes it'):
    make_report.build_page(str(tmp_path))


def test_text_is_escaped():
  page = html_page.page('a<b', [
      html_page.paragraph('<script>'),
      html_page.table(['<i>'], [['x&y', 3, .5]])])
  assert '<script>' not in page and '<i>' not in page and 'a<b' not in page
  assert 'x&amp;y' in page and '0.500' in page


@pytest.mark.parametrize('series, expected', [
    ({}, 'no record'),
    ({'a': [(1, 0.), (2, -1.), (3, float('inf'))]}, 'no record'),
    ({'a': [(1, 5.)]}, '<polyline'),
    ({'a': [(10, 5.), (20, 5.)], 'b': [(10, 1e-6)]}, '>b 1e-06<'),
])
def test_curves_of_little_data(series, expected):
  assert expected in html_page.curve(series)


def test_curve_goes_down_when_the_loss_does():
  svg = html_page.curve({'loss': [(0, 10.), (100, .1)]})
  first, last = re.search(r'points="([^"]*)"', svg).group(1).split()
  assert float(first.split(',')[1]) < float(last.split(',')[1])
  assert float(first.split(',')[0]) < float(last.split(',')[0])


def _other_model_dir(folder, model, override, metrics, predictions):
  config, _ = factory.load_config(model, extra=override)
  model_dir_lib.save_params(config, str(folder / 'params.yaml'))
  (folder / 'eval').mkdir()
  for name, content in (('metrics', dict(metrics, step=20)),
                        ('predictions', predictions)):
    (folder / 'eval' / (name + '.json')).write_text(json.dumps(content))
  return str(folder)


def _write_record(path, features):
  with tf.io.TFRecordWriter(str(path)) as writer:
    writer.write(tf.train.Example(features=tf.train.Features(feature={
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for key, value in features.items()})).SerializeToString())


def _png(array):
  return cv2.imencode('.png', array)[1].tobytes()


def test_page_of_a_classifier(tmp_path):
  _write_record(tmp_path / 'val', {
      'image/encoded': _png(np.zeros([9, 9, 3], np.uint8))})
  (tmp_path / 'names.csv').write_text('1:disc\n2:square\n')
  folder = _other_model_dir(
      tmp_path, 'classification',
      {'eval.eval_file_pattern': str(tmp_path / 'val'),
       'eval.label_map': str(tmp_path / 'names.csv')},
      {'top_1_accuracy': 0., 'top_5_accuracy': 1.,
       'eval/accuracy_class_1': 0.},
      [{'image_id': 4, 'category_id': 2, 'score': .75, 'label': 1}])
  page = make_report.build_page(folder)
  assert 'Top-1 accuracy 0.000 on 1 images after 20 steps' in page
  assert 'disc, classified as square 0.75' in page
  assert 'Misclassified images' in page
  # Among all, and among the wrong ones.
  assert page.count('data:image/jpeg;base64,') == 2
  assert '<tr><td>disc</td><td class="number">1</td>' in page


def test_page_of_a_segmentation_model(tmp_path):
  classes = np.zeros([9, 9], np.uint8)
  classes[2:6, 2:6], classes[7:] = 1, 255
  _write_record(tmp_path / 'val', {
      'image/encoded': _png(np.zeros([9, 9, 3], np.uint8)),
      'image/filename': b'a.png',
      'image/segmentation/class/encoded': _png(classes)})
  folder = _other_model_dir(
      tmp_path, 'segmentation',
      {'eval.eval_file_pattern': str(tmp_path / 'val'),
       'architecture.num_classes': 3},
      {'miou': .5, 'eval/iou_class_0': .75, 'eval/iou_class_1': .25,
       'eval/iou_class_2': -1.},
      [{'image_id': 4, 'category_id': i,
        'segmentation': mask_utils.encode(mask)}
       for i, mask in ((0, classes != 2), (1, classes == 1))])
  page = make_report.build_page(folder)
  assert 'Mean IoU 0.500 on 1 images after 20 steps' in page
  assert '<figcaption>a.png</figcaption>' in page
  _, known, said = re.findall('base64,([^"]*)', page)
  assert known == said  # The model said what is known; ignored pixels stay.
  assert '<td>2</td><td class="number">-</td>' in page


def test_images_are_never_empty():
  """Of low scores the best five are drawn, and the caption says so."""
  low = [{'score': .01 * i} for i in range(1, 9)]
  drawn, caption = make_report._shown_detections(low, .3)
  assert [d['score'] for d in drawn] == [.08, .07, .06, .05, .04]
  assert caption == 'no score reaches 0.3; the best 5, of 0.08 and less'
  drawn, caption = make_report._shown_detections(low + [{'score': .5}], .3)
  assert [d['score'] for d in drawn] == [.5] and 'at least 0.3' in caption
  assert make_report._shown_detections([], .3) == ([], 'no detection at all')
