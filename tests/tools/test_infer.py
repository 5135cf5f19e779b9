"""Tests of tools/infer.py, the whole command."""

import csv
from html import parser as html_parser
import json
import os

import cv2
import numpy as np
from PIL import Image
import pytest

from serving import networks
from serving import predictor
from tests.serving import small_models
from tests.tools.inference import hostile
from tests.tools.inference import stand_in
from tools import infer
from tools.inference import command


@pytest.fixture(name='model')
def _model(monkeypatch):
  """The model that sees red, in place of a trained one."""
  model = stand_in.SeesRed()
  monkeypatch.setattr(command, 'load', lambda _: model)
  return model


def _run(tmp_path, *flags, **kwargs):
  inputs = kwargs.pop('inputs', [str(tmp_path / 'in')])
  return infer.main(['--model_dir=unused', '--quiet', '--output=%s' % (
      tmp_path / 'out'), '--input'] + inputs + list(flags))


def _json(tmp_path):
  return json.loads((tmp_path / 'out' / 'detections.json').read_text())


def _rows(tmp_path):
  with open(str(tmp_path / 'out' / 'detections.csv'), newline='',
            encoding='utf-8') as f:
    return list(csv.DictReader(f))


class _Page(html_parser.HTMLParser):
  """Elements and attributes of a page."""

  def __init__(self, path):
    super().__init__()
    self.elements, self.text = [], ''
    self.feed(path.read_text(encoding='utf-8'))

  def handle_starttag(self, tag, attributes):
    self.elements.append((tag, dict(attributes)))

  def handle_data(self, data):
    self.text += data

  def named(self, tag):
    return [attributes for name, attributes in self.elements if name == tag]


def test_images_of_every_kind_are_seen_right(model, tmp_path):
  files = hostile.good()
  hostile.write(tmp_path / 'in', files)
  assert _run(tmp_path, '--min_score=0.5') == 0
  entries = {e['image_id']: e for e in _json(tmp_path)}
  assert set(entries) == set(files) and model.is_closed
  y0, x0, y1, x1 = hostile.BOX
  for name, entry in entries.items():
    np.testing.assert_allclose(entry['bbox'], [x0, y0, x1 - x0, y1 - y0],
                               atol=1.01, err_msg=name)
  assert {row['image'] for row in _rows(tmp_path)} == set(files)
  assert len(os.listdir(str(tmp_path / 'out' / 'drawn'))) == len(files)


def test_the_note_of_cameras_can_be_ignored(model, tmp_path, monkeypatch):
  monkeypatch.setattr(command, 'load', lambda arguments: stand_in.SeesRed(
      follow_exif=not arguments.ignore_exif))
  hostile.write(tmp_path / 'in', {'a.jpg': hostile.turned(6)})
  assert _run(tmp_path, '--ignore_exif') == 0
  assert int(_rows(tmp_path)[0]['image_height']) == hostile.SIZE[1]


def test_hardly_any_pixels(model, tmp_path):
  files = hostile.small()
  hostile.write(tmp_path / 'in', files)
  assert _run(tmp_path, '--drawn=png') == 0
  sizes = {row['image']: (int(row['image_height']), int(row['image_width']))
           for row in _rows(tmp_path)}
  assert sizes == {name: size for name, (_, size) in files.items()}
  for name in files:
    drawn = Image.open(str(tmp_path / 'out' / 'drawn' / name))
    assert max(drawn.size) >= 512


def test_bad_files_are_named_and_skipped(model, tmp_path, capsys):
  bad = hostile.bad()
  hostile.write(tmp_path / 'in', bad)
  hostile.write(tmp_path / 'in', {'good.png': hostile.encoded(hostile.scene(),
                                                              'PNG')})
  assert _run(tmp_path, '--min_score=0.5') == command.SKIPPED
  captured = capsys.readouterr()
  skipped = [line for line in captured.err.splitlines()
             if line.startswith('Skipped: ')]
  assert len(skipped) == len(bad)
  for name, (_, words) in bad.items():
    assert [line for line in skipped if name in line and words in line], name
  assert 'Traceback' not in captured.err
  assert '%d skipped' % len(bad) in captured.out
  assert [e['image_id'] for e in _json(tmp_path)] == ['good.png']
  page = _Page(tmp_path / 'out' / 'index.html')
  assert 'Not read: %d' % len(bad) in page.text


def test_nothing_but_bad_files(model, tmp_path):
  hostile.write(tmp_path / 'in', hostile.bad())
  assert _run(tmp_path) == command.SKIPPED
  assert _json(tmp_path) == [] and _rows(tmp_path) == []


def test_the_page_is_harmless(model, tmp_path):
  hostile.write(tmp_path / 'in', hostile.bad())
  hostile.write(tmp_path / 'in', hostile.good())
  _run(tmp_path)
  page = _Page(tmp_path / 'out' / 'index.html')
  assert len(page.named('script')) == 1 and not page.named('b')
  assert not [a for _, attributes in page.elements for a in attributes
              if a.startswith('on')]
  assert len(page.named('img')) == len(hostile.good())
  assert all(a['src'].startswith('data:image/jpeg;base64,')
             for a in page.named('img'))
  for link in page.named('a'):
    assert link['href'].startswith('drawn/')
    assert (tmp_path / 'out' / link['href'].replace('%', '_')).exists() or (
        '%' in link['href'])
  assert not page.named('link')
  assert hostile.EVIL in [a['data-name'] for a in page.named('article')]
  policy, = [a['content'] for a in page.named('meta') if 'http-equiv' in a]
  assert policy.startswith("default-src 'none'")


def test_names_that_are_not_text(model, tmp_path):
  folder = tmp_path / 'in'
  folder.mkdir()
  name = os.path.join(os.fsencode(str(folder)), b'b\xff\xfe.jpg')
  for ending, content in ((b'', hostile.encoded(hostile.scene())),
                          (b'.jpg', b'')):
    with open(name + ending, 'wb') as f:
      f.write(content)
  assert _run(tmp_path) == command.SKIPPED
  assert {row['image'] for row in _rows(tmp_path)} == {'b\ufffd\ufffd.jpg'}


@pytest.mark.parametrize('task, columns', [
    (networks.CLASSIFICATION, 'score'), (networks.SEGMENTATION, 'pixels')])
def test_other_tasks(task, columns, tmp_path, monkeypatch):
  monkeypatch.setattr(command, 'load', lambda _: stand_in.SeesRed(task))
  hostile.write(tmp_path / 'in', {'a.png': hostile.encoded(hostile.scene(),
                                                           'PNG')})
  assert _run(tmp_path) == 0
  rows = _rows(tmp_path)
  assert rows and all(row[columns] for row in rows)
  if task == networks.SEGMENTATION:
    y0, x0, y1, x1 = hostile.BOX
    assert {row['class_id']: int(row['pixels']) for row in rows}['1'] == (
        (y1 - y0) * (x1 - x0))
  assert len(_json(tmp_path)) == len(rows)
  assert os.listdir(str(tmp_path / 'out' / 'drawn')) == ['a.jpg']


def test_score_number_and_classes_are_limited(model, tmp_path):
  hostile.write(tmp_path / 'in', {'a.jpg': hostile.encoded(hostile.scene())})
  for flags, found in (([], {1, 2}), (['--min_score=0.5'], {1}),
                       (['--max_boxes=1'], {1}),
                       (['--classes', 'owl, barn'], {2}),
                       (['--classes=1,2'], {1, 2}),
                       (['--min_score=0.95'], set())):
    assert _run(tmp_path, *flags) == 0
    assert {e['category_id'] for e in _json(tmp_path)} == found


def test_errors_are_sentences(model, tmp_path, capsys):
  hostile.write(tmp_path / 'in', {'a.jpg': hostile.encoded(hostile.scene())})
  (tmp_path / 'file').write_text('')
  for args, words in (
      (dict(inputs=[str(tmp_path / 'none')]), 'There is no'),
      (dict(inputs=[str(tmp_path / 'in' / '*.bmp')]), 'a pattern such as')):
    assert _run(tmp_path, **args) == 1
    assert words in capsys.readouterr().err
  assert _run(tmp_path, '--classes=owl barn') == 1
  assert 'Did you mean owl, barn?' in capsys.readouterr().err
  assert _run(tmp_path, '--image_ids=%s' % (tmp_path / 'none')) == 1
  assert infer.main(['--model_dir=unused', '--input', str(tmp_path / 'in'),
                     '--output', str(tmp_path / 'file')]) == 1
  assert capsys.readouterr().err.count('Error: ') == 2


def test_a_model_that_is_not_there(tmp_path, capsys):
  hostile.write(tmp_path / 'in', {'a.jpg': hostile.encoded(hostile.scene())})
  assert _run(tmp_path) == 1
  assert 'unused' in capsys.readouterr().err


def test_ctrl_c_keeps_what_was_answered(model, tmp_path, monkeypatch):
  def stop_after_two(images):
    images = iter(images)
    yield model._answer(cv2.imread(next(images))[:, :, ::-1])
    yield model._answer(cv2.imread(next(images))[:, :, ::-1])
    raise KeyboardInterrupt
  monkeypatch.setattr(model, 'stream', stop_after_two)
  hostile.write(tmp_path / 'in', {
      '%d.png' % i: hostile.encoded(hostile.scene(), 'PNG') for i in range(5)})
  assert _run(tmp_path, '--min_score=0.5') == command.INTERRUPTED
  assert [e['image_id'] for e in _json(tmp_path)] == ['0.png', '1.png']


def _write_video(path, num_frames=5):
  writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10.,
                           (64, 48))
  for _ in range(num_frames):
    writer.write(np.ascontiguousarray(hostile.scene()[:, :, ::-1]))
  writer.release()


@pytest.mark.parametrize('ending', ['mp4', 'webm'])
def test_videos(model, tmp_path, ending):
  (tmp_path / 'in').mkdir()
  _write_video(tmp_path / 'in' / 'clip.mp4')
  assert _run(tmp_path, '--frame_step=2', '--min_score=0.5',
              '--video=' + ending) == 0
  assert [e['image_id'] for e in _json(tmp_path)] == [
      'clip.mp4#0', 'clip.mp4#2', 'clip.mp4#4']
  assert os.listdir(str(tmp_path / 'out' / 'drawn')) == ['clip.' + ending]
  video = cv2.VideoCapture(str(tmp_path / 'out' / 'drawn' / ('clip.' + ending)))
  assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 3
  assert video.get(cv2.CAP_PROP_FPS) == 5.
  page = _Page(tmp_path / 'out' / 'index.html')
  assert len(page.named('article')) == 1 and 'video, 3 frames' in page.text


def test_videos_that_are_not(model, tmp_path, capfd):
  (tmp_path / 'in').mkdir()
  _write_video(tmp_path / 'in' / 'cut.mp4', 50)
  content = (tmp_path / 'in' / 'cut.mp4').read_bytes()
  (tmp_path / 'in' / 'cut.mp4').write_bytes(content[:len(content) // 2])
  (tmp_path / 'in' / 'empty.mp4').write_bytes(b'')
  hostile.write(tmp_path / 'in', {'good.png': hostile.encoded(hostile.scene(),
                                                              'PNG')})
  assert _run(tmp_path) == command.SKIPPED
  error = capfd.readouterr().err
  assert error.count('cannot be read as a video') == 2
  assert {row['image'] for row in _rows(tmp_path)} == {'good.png'}


def test_ids_of_annotations(model, tmp_path):
  hostile.write(tmp_path / 'in', {
      name: hostile.encoded(hostile.scene()) for name in (
          '000139.jpg', '0a1b.jpg', 'new.jpg')})
  (tmp_path / 'a.json').write_text(json.dumps({'images': [
      {'id': 139, 'file_name': '000139.jpg'},
      {'id': '0a1b', 'file_name': 'val/0a1b.jpg'}]}))
  assert _run(tmp_path, '--min_score=.5',
              '--image_ids=%s' % (tmp_path / 'a.json')) == 0
  assert [e['image_id'] for e in _json(tmp_path)] == [139, '0a1b', 'new.jpg']


@pytest.fixture(name='trained', scope='module')
def _trained(tmp_path_factory):
  folder = tmp_path_factory.mktemp('model')
  small_models.make(folder, 'retinanet')
  return folder


def test_a_trained_model(trained, tmp_path):
  hostile.write(tmp_path / 'in', {
      'a.png': hostile.encoded(small_models.image(50, 80), 'PNG')})
  assert infer.main([
      '--model_dir=%s' % trained, '--input=%s' % (tmp_path / 'in'),
      '--output=%s' % (tmp_path / 'out'), '--min_score=0']) == 0
  expected = predictor.load(trained)(small_models.image(50, 80))
  assert len(expected)
  np.testing.assert_allclose([e['score'] for e in _json(tmp_path)],
                             expected.scores, atol=1e-5)


def test_what_the_predictor_is_told(tmp_path, monkeypatch):
  told = []
  monkeypatch.setattr(predictor, 'load', lambda *args, **kwargs: told.append(
      (args, kwargs)) or stand_in.SeesRed())
  hostile.write(tmp_path / 'in', {'a.jpg': hostile.encoded(hostile.scene())})
  files = ['--input=%s' % (tmp_path / 'in'), '--output=%s' % (tmp_path / 'out')]
  assert infer.main(['--saved_model=export', '--batch_size=2'] + files) == 0
  assert infer.main(['--model_dir=m', '--checkpoint_path=c', '--config_file=f',
                     '--model=retinanet', '--params_override=p',
                     '--image_size=64,96', '--label_map=l',
                     '--precision=auto'] + files) == 0
  assert told == [
      (('export',), dict(follow_exif=True, label_map=None, batch_size=2)),
      (('m', 'c', 'retinanet', 'f', 'p'), dict(
          follow_exif=True, label_map='l', batch_size=None,
          image_size=(64, 96), precision='auto'))]


@pytest.mark.one_runtime('tf1')
def test_flags_of_upstream(trained, tmp_path):
  """Those of inference.py: a page and nothing else."""
  hostile.write(tmp_path / 'in', {
      'a.png': hostile.encoded(small_models.image(50, 80), 'PNG')})
  (tmp_path / 'names.csv').write_text('1:owl\n2:fox\n3:cat\n')
  assert infer.main([
      '--model=retinanet', '--image_size=96',
      '--checkpoint_path=%s' % (trained / 'model.ckpt-7'), '--config_file=',
      '--params_override=', '--label_map_file=%s' % (tmp_path / 'names.csv'),
      '--label_map_format=csv',
      '--image_file_pattern=%s' % (tmp_path / 'in' / '*.png'),
      '--output_html=%s' % (tmp_path / 'page' / 'test.html'),
      '--max_boxes_to_draw=3', '--min_score_threshold=0.01']) == 0
  assert os.listdir(str(tmp_path / 'page')) == ['test.html']
  page = _Page(tmp_path / 'page' / 'test.html')
  card, = page.named('article')
  assert len(json.loads(card['data-items'])) == 3
  assert {'owl', 'fox', 'cat'} & set(page.text.split())
