"""Tests of tools/create_coco_tfrecord.py."""

import glob
import json
import os
import subprocess
import sys

from absl import flags
import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from dataloader import example_decoder
from dataloader import file_patterns
from tests.tools import coco_sets
from tools import create_coco_tfrecord
from tools.datasets import coco_record_writer
from tools.datasets import conversion_flags
from utils import masks as mask_utils

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
_OPTIONS = coco_record_writer.Options(num_shards=2, num_processes=1)


@pytest.fixture(name='paths')
def _paths(tmp_path):
  """(annotations, folder of images)."""
  return coco_sets.write(tmp_path / 'source')


def _program(*arguments):
  """(exit status, stdout, stderr) of the program, in a process of its own."""
  process = subprocess.run(
      [sys.executable, '-m', 'tools.create_coco_tfrecord'] + list(arguments),
      cwd=_ROOT, capture_output=True, text=True)
  return process.returncode, process.stdout, process.stderr


def _run(*arguments):
  """Runs the program in this process, which is faster."""
  values = flags.FlagValues()
  create_coco_tfrecord.define_flags(values)
  rest = values(['program'] + list(arguments))[1:]
  conversion_flags.call(create_coco_tfrecord.main, values, rest)


def _decode(prefix, include_mask=True):
  """{source id: decoded record} as the reader of the models decodes it."""
  decoded = {}
  with tf.Graph().as_default(), tf.Session() as session:
    serialized = tf.placeholder(tf.string, [])
    tensors = example_decoder.ExampleDecoder(include_mask).decode(serialized)
    for path in sorted(glob.glob(prefix + '-*.tfrecord')):
      for record in tf.io.tf_record_iterator(path):
        values = session.run(tensors, {serialized: record})
        decoded[values['source_id'].decode()] = values
  return decoded


def _captions(prefix):
  """{source id: [caption]}."""
  captions = {}
  for path in glob.glob(prefix + '-*.tfrecord'):
    for record in tf.io.tf_record_iterator(path):
      features = tf.train.Example.FromString(record).features.feature
      source_id = features['image/source_id'].bytes_list.value[0].decode()
      captions[source_id] = [
          c.decode() for c in features['image/caption'].bytes_list.value]
  return captions


def _contents(folder):
  return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_reader_gets_what_was_annotated(paths, tmp_path):
  """Images, boxes, classes, crowds, areas and masks, id by id."""
  prefix = str(tmp_path / 'out')
  create_coco_tfrecord.convert(paths[0], paths[1], prefix, _OPTIONS)
  decoded = _decode(prefix)
  dataset = coco_sets.dataset()
  assert set(decoded) == {'7', 'scan/b', '12'}
  for image in dataset['images']:
    values = decoded[str(image['id'])]
    expected = [a for a in dataset['annotations']
                if a['image_id'] == image['id']]
    boxes = [[a['bbox'][1], a['bbox'][0], a['bbox'][1] + a['bbox'][3],
              a['bbox'][0] + a['bbox'][2]] for a in expected]
    np.testing.assert_allclose(
        values['groundtruth_boxes'] * (2 * coco_sets.SIZE),
        np.reshape(boxes, [-1, 4]), atol=1e-4)
    for key, field in (('classes', 'category_id'), ('is_crowd', 'iscrowd'),
                       ('area', 'area')):
      assert values['groundtruth_' + key].tolist() == [
          a[field] for a in expected], key
    masks = [mask_utils.decode(mask_utils.segmentation_to_rle(
        a['segmentation'], *coco_sets.SIZE)) for a in expected]
    np.testing.assert_array_equal(
        values['groundtruth_instance_masks'],
        np.reshape(masks, (-1,) + coco_sets.SIZE))
  # A PNG with an alpha channel, read as three channels.
  np.testing.assert_array_equal(decoded['scan/b']['image'],
                                coco_sets.pixels(1))


@pytest.mark.one_runtime('tf2')
def test_both_spellings_give_the_same_files(paths, tmp_path):
  """Ours, and the command of upstream's script."""
  _run('--annotations=' + paths[0], '--images=' + paths[1],
       '--output=%s/own/val' % tmp_path, '--num_shards=2', '--num_processes=2')
  status, out, err = _program(
      '--logtostderr', '--include_masks', '--image_dir', paths[1],
      '--object_annotations_file=' + paths[0],
      '--output_file_prefix=%s/upstream/val' % tmp_path, '--num_shards=2')
  assert status == 0, err
  assert 'Wrote 3 records with 4 objects' in out
  assert '3/3' in err, 'no progress'
  own = _contents(tmp_path / 'own')
  assert own == _contents(tmp_path / 'upstream')
  assert sorted(own) == [
      'val-00000-of-00002.tfrecord', 'val-00001-of-00002.tfrecord',
      'val-annotations.json', 'val-index.json', 'val-label_map.csv']


def test_test_set_without_objects(paths, tmp_path):
  """--image_info_file alone, as upstream's script converts test-dev."""
  content = {'images': coco_sets.dataset()['images'][1:]}
  (tmp_path / 'info.json').write_text(json.dumps(content))
  index = create_coco_tfrecord.convert(
      None, paths[1], str(tmp_path / 'out'),
      _OPTIONS._replace(include_masks=True), str(tmp_path / 'info.json'))
  assert (index['num_records'], index['num_objects']) == (2, 0)
  decoded = _decode(str(tmp_path / 'out'))
  assert decoded['12']['groundtruth_boxes'].shape == (0, 4)


def test_images_of_another_file(paths, tmp_path):
  """Objects of images that are not listed there are left out and named."""
  content = {'images': coco_sets.dataset()['images'][:1]}
  (tmp_path / 'info.json').write_text(json.dumps(content))
  index = create_coco_tfrecord.convert(
      paths[0], paths[1], str(tmp_path / 'out'), _OPTIONS,
      str(tmp_path / 'info.json'))
  assert (index['num_records'], index['num_objects']) == (1, 3)
  assert [s['annotation'] for s in index['skipped']] == [3]


@pytest.mark.parametrize('with_objects', [True, False])
def test_captions(paths, tmp_path, with_objects):
  content = dict(coco_sets.dataset(), categories=[], annotations=[
      {'id': 1, 'image_id': 7, 'caption': 'a disc\n'},
      {'id': 2, 'image_id': 'scan/b', 'caption': 'no disc'},
      {'id': 3, 'image_id': 7, 'caption': 'a box'}])
  (tmp_path / 'captions.json').write_text(json.dumps(content))
  index = create_coco_tfrecord.convert(
      paths[0] if with_objects else None, paths[1], str(tmp_path / 'out'),
      _OPTIONS, None, str(tmp_path / 'captions.json'))
  assert index['num_objects'] == (4 if with_objects else 0)
  assert _captions(str(tmp_path / 'out')) == {
      '7': ['a disc', 'a box'], 'scan/b': ['no disc'], '12': []}


def test_broken_polygons_are_left_out_and_named(paths, tmp_path, capsys):
  """Two points enclose nothing; pycocotools fails on them."""
  dataset = coco_sets.dataset()
  dataset['annotations'][3].update(area=0., segmentation=[[12., 22., 24., 32.]])
  with open(paths[0], 'w') as f:
    json.dump(dataset, f)
  create_coco_tfrecord.convert(paths[0], paths[1], str(tmp_path / 'out'),
                               _OPTIONS)
  assert ('Left out 1 object (polygon of less than three points): image 7, '
          'annotation 4') in capsys.readouterr().out
  assert len(_decode(str(tmp_path / 'out'))['7']['groundtruth_classes']) == 2
  create_coco_tfrecord.convert(paths[0], paths[1], str(tmp_path / 'boxes'),
                               _OPTIONS._replace(include_masks=False))
  assert 'only the box is used' in capsys.readouterr().out
  values = _decode(str(tmp_path / 'boxes'), include_mask=False)['7']
  assert values['groundtruth_area'].tolist() == [450, 320, 120]


def test_large_photograph_names_stay(paths, tmp_path):
  """Folders in file_name, and an image of another format."""
  os.makedirs(os.path.join(paths[1], 'deep'))
  Image.fromarray(coco_sets.pixels(4)).save(
      os.path.join(paths[1], 'deep', 'd.bmp'))
  dataset = coco_sets.dataset()
  dataset['images'][2]['file_name'] = 'deep/d.bmp'
  with open(paths[0], 'w') as f:
    json.dump(dataset, f)
  index = create_coco_tfrecord.convert(paths[0], paths[1],
                                       str(tmp_path / 'out'), _OPTIONS)
  assert '1 image: BMP re-encoded as PNG (deep/d.bmp)' in index['notes']
  np.testing.assert_array_equal(_decode(str(tmp_path / 'out'))['12']['image'],
                                coco_sets.pixels(4))


@pytest.mark.parametrize('name', ['../outside.png', 'deep/../../outside.png',
                                  '{parent}/outside.png'])
def test_images_outside_of_the_folder_are_not_read(paths, tmp_path, name):
  """Annotations are data: they do not choose which files are read."""
  parent = os.path.dirname(paths[1])
  Image.fromarray(coco_sets.pixels(4)).save(os.path.join(parent, 'outside.png'))
  dataset = coco_sets.dataset()
  dataset['images'][2]['file_name'] = name.format(parent=parent)
  with open(paths[0], 'w') as f:
    json.dump(dataset, f)
  index = create_coco_tfrecord.convert(paths[0], paths[1],
                                       str(tmp_path / 'out'), _OPTIONS)
  skip, = [s for s in index['skipped'] if s['kind'] == 'image']
  assert 'outside.png leads out of the folder' in skip['detail']
  assert '12' not in _decode(str(tmp_path / 'out'))


@pytest.mark.parametrize('content, message', [
    ('{"images": [', 'is not valid JSON'),
    ('[{"image_id": 1, "score": 0.5}]', 'as a file of detections does'),
    ('{"images": [], "annotations": []}', "no list 'categories'"),
])
def test_files_that_are_no_annotations(paths, tmp_path, content, message):
  with open(paths[0], 'w') as f:
    f.write(content)
  with pytest.raises(ValueError, match=message):
    create_coco_tfrecord.convert(paths[0], paths[1], str(tmp_path / 'out'),
                                 _OPTIONS)


@pytest.mark.parametrize('content', [
    {}, {'annotations': []}, {'annotations': [{'image_id': 7}]},
    {'annotations': [{'image_id': 7, 'caption': 3}]}, {'annotations': 'x'}])
def test_files_that_have_no_captions(paths, tmp_path, content):
  path = tmp_path / 'captions.json'
  path.write_text(json.dumps(dict({'images': []}, **content)))
  with pytest.raises(ValueError, match='captions.json .*without a caption'):
    create_coco_tfrecord.convert(paths[0], paths[1], str(tmp_path / 'out'),
                                 _OPTIONS, None, str(path))


def test_missing_folder(paths, tmp_path):
  with pytest.raises(ValueError, match='no folder .*nowhere'):
    create_coco_tfrecord.convert(paths[0], str(tmp_path / 'nowhere'),
                                 str(tmp_path / 'out'), _OPTIONS)


@pytest.mark.parametrize('arguments, message', [
    ([], 'Give --annotations=FILE --images=FOLDER --output=PREFIX.'),
    (['--annotations=/none.json', '--images=/', '--output=x'], '/none.json'),
    (['--images=/', '--output=x', '--label_map=/none.csv',
      '--annotations=x'], '/none.csv'),
    (['--images=a', '--image_dir=b'], 'given for --images and --image_dir'),
    (['--images', 'a', 'b'], "Unexpected argument 'b'"),
])
def test_wrong_command_is_one_message(arguments, message):
  with pytest.raises(SystemExit) as error:
    _run(*arguments)
  assert error.value.code.startswith('Error: ') and message in error.value.code


@pytest.mark.one_runtime('tf1')
def test_message_is_all_there_is(tmp_path):
  status, out, err = _program('--images=%s' % tmp_path, '--output=x')
  assert (status, out) == (1, '')
  assert err == 'Error: Give --annotations=FILE.\n'


def test_help_is_for_newcomers():
  _, out, err = _program('--help')
  for part in ('python -m tools.create_coco_tfrecord', '--annotations',
               '--output: ', '--[no]include_masks', '--num_shards',
               '--label_map', '--image_dir: Same as --images'):
    assert part in out + err


def test_names_of_files_from_another_computer(paths, tmp_path):
  """The records tell the names of the files as they are here."""
  content = coco_sets.dataset()
  for image, name in zip(content['images'], ('sub\\a 1.jpg', 'b%2Epng',
                                             'D:\\x\\c.jpg')):
    image['file_name'] = name
  os.makedirs(os.path.join(paths[1], 'sub'))
  os.rename(os.path.join(paths[1], 'a.jpg'),
            os.path.join(paths[1], 'sub', 'a 1.jpg'))
  with open(paths[0], 'w', encoding='utf-8-sig') as f:
    json.dump(content, f)
  index = create_coco_tfrecord.convert(paths[0], paths[1],
                                       str(tmp_path / 'out'), _OPTIONS)
  assert index['num_records'] == 3
  assert [n.partition(' names')[2] for n in index['notes'][:3]] == [
      ' do not exist as they are written; %s' % how for how in (
          "backslashes are read as /: 'sub\\\\a 1.jpg' is 'sub/a 1.jpg'.",
          "percent escapes are decoded: 'b%2Epng' is 'b.png'.",
          'the folders in front of the name are left out: '
          "'D:\\\\x\\\\c.jpg' is 'c.jpg'.")]
  written = json.loads((tmp_path / 'out-annotations.json').read_text())
  assert sorted(i['file_name'] for i in written['images']) == [
      'b.png', 'c.jpg', 'sub/a 1.jpg']


def test_brackets_in_every_name(paths, tmp_path):
  """Twice: old shards are found under their prefix, and no others."""
  os.rename(paths[1], paths[1] + ' [v2]')
  folder = tmp_path / 'out [v2]'
  for num_shards in (3, 2):
    create_coco_tfrecord.convert(
        paths[0], paths[1] + ' [v2]', str(folder / 't [1]'),
        coco_record_writer.Options(num_shards, num_processes=1))
  assert sorted(p.name for p in folder.iterdir()) == [
      't [1]-%s' % end for end in (
          '00000-of-00002.tfrecord', '00001-of-00002.tfrecord',
          'annotations.json', 'index.json', 'label_map.csv')]
  assert len(file_patterns.expand(str(folder / 't [1]-*'), 'key')) == 2


@pytest.mark.parametrize('name', ['a\nb', 'a\r\nb', 'a\u2028b', ' ', None, []])
def test_class_names_are_checked_before_images_are_read(paths, tmp_path, name,
                                                        monkeypatch):
  content = coco_sets.dataset()
  content['categories'][1]['name'] = name
  with open(paths[0], 'w') as f:
    json.dump(content, f)
  monkeypatch.setattr(create_coco_tfrecord, '_load_image',
                      lambda *unused: 1 / 0)
  with pytest.raises(ValueError, match=r"categories\[1\]: 'name'"):
    create_coco_tfrecord.convert(paths[0], paths[1], str(tmp_path / 'out'),
                                 _OPTIONS)
