"""Tests of tools/make_report.py and the pages of tools/report."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory
from evaluation import annotations as annotations_lib
from evaluation import coco_results
from evaluation import detections as detections_lib
from executor import model_dir as model_dir_lib
from tests import browser
from tools import make_demo_data
from tools import make_report
from tools.report import analysis_inputs
from tools.report import charts
from tools.report import detection_page
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
  (folder / 'run.json').write_text(json.dumps({
      'command': 'python main.py --mode=train', 'version': '0.1', 'seed': 7,
      'git': {'commit': 'abcdef' * 6, 'is_changed': True},
      'machine': {'host': 'somewhere'}}))
  (folder / 'train_metrics.jsonl').write_text(''.join(
      json.dumps({'step': step, 'time': 60. * step, 'cls_loss': 1. / step})
      + '\n' for step in (10, 20)))
  return folder


def test_page_shows_the_results(model_dir):
  page = make_report.build_page(str(model_dir), num_images=3,
                                command='a command')
  assert ('Box AP 0.625 on 4 images after 20 steps of 2 images, trained '
          'in 10 minutes.' in page)
  # Three worst ones and three others, each with what is known and was found.
  assert page.count('data:image/jpeg;base64,') == 12
  assert '<td>disc</td>' in page and '0.312' in page
  assert 'cls_loss 0.05' in page
  for text in ('best F1', 'disc: AP50', 'class="matrix"', 'val-*.tfrecord, 4',
               'until 1970', 'a command', 'python main.py --mode=train',
               'commit abcdefabcd with changes, seed 7, on somewhere'):
    assert text in page
  assert 'train_batch_size: 2' in page


def test_page_needs_nothing_else(model_dir):
  page = make_report.build_page(str(model_dir))
  assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
  assert 'http' not in page.replace('http-equiv', '')


def test_undefined_metrics_are_no_numbers(model_dir):
  page = make_report.build_page(str(model_dir))
  assert '>-1' not in re.sub(r'(?s)<pre>.*</pre>|<svg.*?</svg>', '', page)


def test_detections_are_drawn(model_dir):
  """Of an image that has some, at least the best, whatever their scores."""
  drawn, low = [make_report.build_page(str(model_dir), min_score=score)
                for score in (.5, .95)]
  assert '1 detections with at least the score 0.5' in drawn
  assert 'none reaches the score 0.95; the best 1' in low
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
  assert '>APmax300</th>' in page and '>mask AP</th>' in page
  assert re.search('<td>mask</td>.*0.325', page)
  # The images differ from those without masks, on both sides.
  boxes = make_report.build_page(str(model_dir), num_images=4)
  images = [re.findall('base64,([^"]*)', text) for text in (page, boxes)]
  differ = [one != other for one, other in zip(*images)]
  # Detections are of one image, at any place of the records.
  assert len(differ) == 16 and any(differ[::2]) and any(differ[1::2])


def _lvis_folder(model_dir, folder):
  """An evaluation by the rules of LVIS of the records of the model_dir."""
  config, _ = factory.load_config('retinanet', extra={
      'eval.eval_file_pattern': str(model_dir / 'val-*.tfrecord'),
      'eval.type': 'lvis_box'})
  model_dir_lib.save_params(config, str(folder / 'params.yaml'))
  (folder / 'eval').mkdir()
  (folder / 'eval' / 'metrics.json').write_text(json.dumps({
      'step': 20, 'AP': .5, 'AP50': .5, 'AP75': .5, 'APs': -1., 'APm': .5,
      'APl': .5, 'APr': .125, 'APc': .5, 'APf': .5, 'AR@300': .75}))
  (folder / 'eval' / 'detections.json').write_text(json.dumps([
      {'image_id': 10001, 'category_id': 1, 'bbox': [5, 5, 40, 30],
       'score': .9}]))
  return str(folder)


def test_page_of_lvis_says_how_to_read_it(model_dir, tmp_path):
  """Its images are annotated in part; these records lack the lists."""
  page = make_report.build_page(_lvis_folder(model_dir, tmp_path))
  assert 'are not counted against the model in AP' in page
  assert 'do not have the lists' in page
  assert '>AP rare</th>' in page and '0.125' in page
  assert '300 detections per image' in page
  assert '100 best detections' not in page
  assert 'LVIS' not in make_report.build_page(str(model_dir))


def test_what_nobody_looked_for_is_left_out(tmp_path):
  """Image 1 shows a 1 and no 2; about 3 nobody knows."""
  content = {
      'images': [{'id': 1, 'height': 9, 'width': 9, 'neg_category_ids': [2],
                  'not_exhaustive_category_ids': []}],
      'categories': [{'id': i, 'name': str(i)} for i in (1, 2, 3)],
      'annotations': [{'id': 5, 'image_id': 1, 'category_id': 1,
                       'bbox': [0, 0, 4, 4], 'area': 16, 'iscrowd': 0}]}
  annotations = annotations_lib.load(content)
  detections = detections_lib.Detections(
      np.zeros([3], int), np.array([2, 1, 0]), np.tile([0., 0, 4, 4], [3, 1]),
      np.array([.9, .8, .7]), None)
  federation, note = analysis_inputs.read_federation(content, annotations)
  assert 'left out of this page' in note
  path = tmp_path / 'detections.json'
  path.write_text(json.dumps(coco_results.to_results(
      detections._replace(categories=detections.categories + 1), [1])))
  kept, _ = analysis_inputs.read_detections(
      str(path), annotations, False, federation=federation)
  assert kept.categories.tolist() == [1, 0]


def test_missing_files_name_the_command(tmp_path):
  with pytest.raises(ValueError, match=r'main.py --mode=train writes\.$'):
    make_report.build_page(str(tmp_path))


def test_the_folder_around_a_model_dir(tmp_path):
  (tmp_path / 'model').mkdir()
  (tmp_path / 'model' / 'params.yaml').write_text('type: retinanet\n')
  with pytest.raises(ValueError, match=r'writes\. The model_dir is %s\.$' % (
      tmp_path / 'model')):
    make_report.build_page(str(tmp_path))


def test_text_is_escaped():
  page = html_page.page('a<b', [
      html_page.paragraph('<script>'), html_page.headline('<u>'),
      html_page.colors([('<s>', (1, 2, 3))]), html_page.folded('<q>', '<p1>'),
      html_page.curves({'<k>': [(1, 1.)]}),
      html_page.images([html_page.Figure('<f>', [(b'', '<t>')])]),
      html_page.table(['<i>'], [['x&y', 3, .5]])], [('<n>', '<v>')], ['<w>'])
  for tag in ('script', 'u', 's', 'q', 'p1', 'k', 'f', 't', 'i', 'n', 'v', 'w'):
    assert '<%s>' % tag not in page and '&lt;%s&gt;' % tag in page
  assert 'a<b' not in page and 'x&amp;y' in page and '0.500' in page


@pytest.mark.parametrize('series', [
    {}, {'a': [(1, 0.), (2, -1.), (3, float('inf')), (4, None)]}])
def test_no_curves(series):
  assert charts.over_steps(series) is None
  assert 'no record' in html_page.curves(series).content


def _points(chart):
  """[[(x, y)] of each curve], from the paths of the drawing."""
  return [[tuple(map(float, point)) for point in
           re.findall(r'[ML] ([-\d.]+) ([-\d.]+)', path)]
          for path in re.findall(
              r'<path d="([^"]*)"[^>]*style="fill: none; stroke: #(?!888|ddd)',
              chart.svg)]


def test_curve_goes_down_when_the_loss_does():
  (first, last), = _points(charts.over_steps(
      {'loss': [(0, 10.), (100, .1)]}))
  assert first[0] < last[0] and first[1] < last[1]


def test_seven_losses_and_curves_of_one_point():
  """As many colours as losses; a single point has a marker."""
  chart = charts.over_steps({'loss_%d' % i: [(3, 10. ** -i)] for i in range(7)})
  assert [line.text for line in chart.lines][:2] == ['loss_0 1', 'loss_1 0.1']
  assert len({line.color for line in chart.lines}) == 7
  for line in chart.lines:
    assert re.search('<use [^>]*fill: %s' % line.color, chart.svg)
  assert len({charts.line_style(i) for i in range(36)}) == 36
  assert 'http' not in chart.svg


def test_pauses_are_no_training_time():
  log = [{'step': 10, 'time': 100., 'steps_per_second': .5},
         {'step': 20, 'time': 9000.,  'steps_per_second': 1.},
         {'step': 21, 'time': 9003.}]
  assert make_report._seconds_trained(log) == 20. + 10. + 3.
  assert make_report._seconds_trained([]) == 0.


def _other_model_dir(folder, model, override, metrics, predictions):
  config, _ = factory.load_config(model, extra=override)
  model_dir_lib.save_params(config, str(folder / 'params.yaml'))
  (folder / 'eval').mkdir()
  for name, content in (('metrics', dict(metrics, step=20)),
                        ('predictions', predictions)):
    (folder / 'eval' / (name + '.json')).write_text(json.dumps(content))
  return str(folder)


def _write_record(path, features):
  _write_records(path, [features])


def _write_records(path, records):
  with tf.io.TFRecordWriter(str(path)) as writer:
    for features in records:
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
  assert '<tr><td>disc</td><td class="n">1</td>' in page


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
  assert '<figcaption>a.png: 0.0 % of the pixels wrong</figcaption>' in page
  assert 'The worst images' not in page  # There is none.
  _, known, said = re.findall('base64,([^"]*)', page)
  assert known == said  # The model said what is known; ignored pixels stay.
  assert '<td>2</td><td class="n">–</td>' in page


def _class_record(name, classes):
  return {'image/encoded': _png(np.zeros(classes.shape + (3,), np.uint8)),
          'image/filename': name, 'image/segmentation/class/encoded': _png(
              classes)}


def test_the_worst_segmentation_comes_first(tmp_path):
  """By the share of wrong pixels among those that have a class."""
  known = np.zeros([10, 10], np.uint8)
  partly = np.full([10, 10], 255, np.uint8)
  partly[0, :4] = 0  # A single row has a class: 1 of 4 pixels is wrong.
  _write_records(tmp_path / 'val', [
      _class_record(b'right.png', known), _class_record(b'few.png', known),
      _class_record(b'worst.png', partly), _class_record(b'none.png', np.full(
          [10, 10], 255, np.uint8))])
  # Of 100 pixels 10 are wrong; in the third image one that counts.
  tenth, corner = np.zeros([2, 10, 10], np.uint8)
  tenth[3], corner[:, 3] = 1, 1
  folder = _other_model_dir(
      tmp_path, 'segmentation',
      {'eval.eval_file_pattern': str(tmp_path / 'val'),
       'architecture.num_classes': 2},
      {'miou': .5, 'eval/iou_class_0': .75, 'eval/iou_class_1': .25},
      [{'image_id': 40 - i, 'category_id': category,
        'segmentation': mask_utils.encode(mask)}
       for i, wrong in enumerate((0 * tenth, tenth, corner, tenth))
       for category, mask in ((0, 1 - wrong), (1, wrong))])
  page = make_report.build_page(folder)
  worst, others = page.split('Images it was not trained on')
  assert 'largest share of wrong pixels' in worst
  captions = [re.findall('<figcaption>(.*?)</figcaption>', part)
              for part in (worst, others)]
  assert captions == [
      ['worst.png: 25.0 % of the pixels wrong',
       'few.png: 10.0 % of the pixels wrong'],
      ['right.png: 0.0 % of the pixels wrong',
       'few.png: 10.0 % of the pixels wrong',
       'worst.png: 25.0 % of the pixels wrong',
       'none.png: no pixel has a class']]


def test_images_are_never_empty():
  """Of low scores the best five are drawn, and the text says so."""
  def shown(scores, images):
    number = len(scores)
    rows, text = detection_page.shown_detections(
        detections_lib.Detections(
            np.array(images), np.zeros([number], int), np.zeros([number, 4]),
            np.array(scores), None), 7, np.array([.3]), '0.3')
    return [scores[i] for i in rows], text
  low = [.01 * i for i in range(1, 9)]
  assert shown(low, [7] * 8) == (
      [.08, .07, .06, .05, .04],
      'none reaches 0.3; the best 5, of 0.08 and less')
  assert shown(low + [.5], [7] * 9) == ([.5], '1 detections with at least 0.3')
  assert shown(low + [.5], [7] * 8 + [1])[0][0] == .08
  assert shown([], []) == ([], 'no detection at all')


# What is wider than the page or has nothing in it, as short texts.
_LAYOUT = """(() => {
  const wrong = [], width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) wrong.push('page scrolls');
  for (const e of document.querySelectorAll('body *')) {
    const box = e.getBoundingClientRect(), name = e.tagName + ' ' + e.className;
    if (e.closest('details, defs, svg')) continue;
    if (!e.closest('.scroll') && box.right > width + 1)
      wrong.push(name + ' is too wide');
    if (!/^(TD|TH|BR|I)$/.test(e.tagName) && (!box.width || !box.height))
      wrong.push(name + ' is empty');
  }
  for (const e of document.querySelectorAll('svg')) {
    const box = e.getBoundingClientRect();
    if (!box.width || !box.height) wrong.push('an empty drawing');
    for (const t of e.querySelectorAll('text')) {
      const inner = t.getBoundingClientRect();
      if (inner.left < box.left - 1 || inner.right > box.right + 1 ||
          inner.top < box.top - 1 || inner.bottom > box.bottom + 1)
        wrong.push('cut: ' + t.textContent);
      if (inner.height < 9) wrong.push('too small: ' + t.textContent);
    }
  }
  for (const e of document.images)
    if (!e.naturalWidth) wrong.push('an image is broken');
  for (const e of document.querySelectorAll('.images')) {
    const widths = new Set([...e.children].map(
        c => Math.round(c.getBoundingClientRect().width)));
    if (widths.size > 1) wrong.push('columns of several widths');
  }
  return wrong.join('; ');
})()"""
_LONG = 'a_very_long_name_without_a_single_space_' * 4


def _long_page(model_dir):
  """Long names, seven losses, many columns."""
  del model_dir
  grey = np.full([40, 300, 3], 90, np.uint8)
  return html_page.page(_LONG, [
      html_page.headline(_LONG), html_page.heading(_LONG),
      html_page.table([_LONG] + ['column %d' % i for i in range(20)],
                      [[_LONG] + [.5] * 20] * 3),
      html_page.curves({'loss_%d_%s' % (i, _LONG): [(1, 2. ** i), (9, 1.)]
                        for i in range(7)}),
      html_page.images([
          html_page.figure(name, [(grey, name), (grey[:, :30], 'short')])
          for name in ('short', _LONG, 'short')]),
      html_page.images([html_page.figure(name, [(grey[:, :30], '')])
                        for name in ('short', _LONG, 'short') * 3], small=True),
      html_page.colors([(_LONG, (1, 2, 3)), ('short', (4, 5, 6))]),
      html_page.folded('params.yaml', _LONG)], [(_LONG, _LONG)], [_LONG])


def _poor_page(model_dir):
  """One point of each curve, and no detection."""
  folder = model_dir.parent / (model_dir.name + '_poor')
  shutil.copytree(str(model_dir), str(folder))
  (folder / 'eval' / 'detections.json').write_text('[]')
  (folder / 'train_metrics.jsonl').write_text(
      '{"step": 7, "time": 1.0, "cls_loss": 0.5, "box_loss": 0.4}\n')
  page = make_report.build_page(str(folder))
  assert 'no detection at all' in page
  return page


def _whole_page(model_dir):
  return make_report.build_page(str(model_dir), command='python ' + _LONG)


@pytest.mark.slow
@pytest.mark.skipif(not browser.PROGRAM, reason=browser.MISSING)
@pytest.mark.parametrize('make_page', [_long_page, _poor_page, _whole_page])
def test_layout(model_dir, tmp_path, make_page):
  """Nothing is cut, empty or wider than the page, at three widths."""
  path = tmp_path / 'page.html'
  path.write_text(make_page(model_dir), encoding='utf-8')
  with browser.open_page('file://%s' % path) as page:
    for width in (500, 1000, 1400):
      page.call('Emulation.setDeviceMetricsOverride', width=width, height=900,
                deviceScaleFactor=1, mobile=False)
      assert (width, page.evaluate(_LAYOUT)) == (width, '')
    assert page.messages == []
    assert [url for url in page.requests if not url.startswith('data:')
            ] == ['file://%s' % path]
