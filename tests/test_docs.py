"""Runs the commands of the documents, small; docs_blocks.py has the tags.

`make test` runs the shorter of the documents, each on one runtime, and `make
test-all` all of them on both. That every command of every document is one that
its program takes, tests/test_docs_commands.py says of all.
"""

import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

from absl import flags
from absl.testing import flagsaver
import pytest
import tensorflow.compat.v1 as tf

from executor import estimator
from executor import job_config
import main
from modeling import factory as model_factory
from tests import docs_blocks
from tests import nuclei_files
from tests import voc_files
from tools import make_demo_data

_DOCUMENTS = ['README.md'] + sorted(
    os.path.relpath(p, docs_blocks.ROOT)
    for p in glob.glob(os.path.join(docs_blocks.ROOT, 'docs', '*.md')))
_COMMANDS = ('run', 'flags', 'syntax', 'make')
_of_texts = pytest.mark.one_runtime('tf2')

# What is too large for a test, or depends on the place, and what replaces it.
_SMALL_STARTED = {
    'make env': 'python -m tools.env',
    '=coco_retinanet.yaml': '=$HOME/coco_retinanet.yaml',
    '--num_shards=256': '--num_shards=2',
    '--num_shards=32': '--num_shards=1',
    'tools.create_imagenet_tfrecord':
        'tools.create_imagenet_tfrecord --num_train_shards=2 '
        '--num_validation_shards=1',
    'resnet_depth: 50': 'resnet_depth: 10',
    'output_size: [640, 640]': 'output_size: [128, 128]',
    'output_size: [256, 256]': 'output_size: [128, 128]',
    'train_batch_size: 64': 'train_batch_size: 2',
    'total_steps: 22500': 'total_steps: 2',
    'train_batch_size: 8, total_steps: 20000':
        'train_batch_size: 2, total_steps: 2',
    'train_batch_size: 8, total_steps: 180000':
        'train_batch_size: 2, total_steps: 2',
    "resnet50/model.ckpt-112603', prefix: resnet50/":
        "backbone/model.ckpt', prefix: resnet10/",
    'min_eval_interval: 60, eval_timeout: 3600':
        'min_eval_interval: 0, eval_timeout: 5',
}
_SMALL_CUSTOM = {
    'BCCD_Dataset/BCCD': '$HOME/voc',
    '=data/bccd': '=$HOME/data/bccd',
    ' data/bccd': ' $HOME/data/bccd',
    'runs/bccd': '$HOME/runs/bccd',
    '{train: {train_file_pattern':
        '{fpn: {fpn_feat_dims: 16}, retinanet_parser: {output_size: [64, 64]}, '
        'train: {train_batch_size: 2, total_steps: 2, train_file_pattern',
}
_SMALL_INSTANCES = {
    '=nuclei/': '=$HOME/nuclei/',
    '=data/nuclei': '=$HOME/data/nuclei',
    ' data/nuclei': ' $HOME/data/nuclei',
    'runs/nuclei': '$HOME/runs/nuclei',
    '{train: {train_file_pattern':
        '{fpn: {fpn_feat_dims: 16}, rpn_head: {num_filters: 16}, '
        'mrcnn_head: {num_filters: 16}, frcnn_head: {fc_dims: 16}, '
        'maskrcnn_parser: {output_size: [64, 64]}, '
        'roi_proposal: {test_rpn_post_nms_top_k: 50}, '
        'postprocess: {max_total_size: 20, score_threshold: 0.0}, '
        'train: {train_batch_size: 2, total_steps: 2, train_file_pattern',
}
_SMALL_SHAPEMASK = {
    "'data/nuclei/train-*.tfrecord'": '"$HOME/data/nuclei/train-*.tfrecord"',
    '=data/nuclei': '=$HOME/data/nuclei',
    ' data/nuclei': ' $HOME/data/nuclei',
    'runs/nuclei': '$HOME/runs/nuclei',
    '{shapemask_head: {':
        '{fpn: {fpn_feat_dims: 16}, retinanet_head: {num_filters: 16}, '
        'shapemask_parser: {output_size: [64, 64], num_sampled_masks: 4}, '
        'postprocess: {max_total_size: 20, score_threshold: 0.0}, '
        'shapemask_head: {num_downsample_channels: 8, ',
    'train: {train_file_pattern':
        'train: {train_batch_size: 2, total_steps: 2, train_file_pattern',
}

_SMALL_CLASSES = {
    '=images ': '=$HOME/images ',
    '=images.yaml': '=$HOME/images.yaml',
    '=data/images': '=$HOME/data/images',
    '=runs/images': '=$HOME/runs/images',
    'train_shards=16': 'train_shards=1',
    'resnet_depth: 50': 'resnet_depth: 10',
    'output_size: [224, 224]': 'output_size: [32, 32]',
    'train_batch_size: 64': 'train_batch_size: 2',
    'eval_batch_size: 64': 'eval_batch_size: 4',
    'total_steps: 20000': 'total_steps: 2',
}
_SMALL_SEGMENTS = {
    '=scenes/': '=$HOME/scenes/',
    '=scenes.yaml': '=$HOME/scenes.yaml',
    '=data/scenes': '=$HOME/data/scenes',
    '=runs/scenes': '=$HOME/runs/scenes',
    'resnet_depth: 50': 'resnet_depth: 10',
    'output_size: [512, 512]': 'output_size: [64, 64]',
    'train_batch_size: 16': 'train_batch_size: 2',
    'total_steps: 10000': 'total_steps: 2',
}


@pytest.fixture
def home(tmp_path):
  """A home folder, and a program `python` that is this one."""
  program = tmp_path / 'bin' / 'python'
  program.parent.mkdir()
  program.write_text('#!/bin/sh\nexec "%s" "$@"\n' % sys.executable)
  program.chmod(0o755)
  return tmp_path


def _bash(script, home):
  """Runs a script as a reader would, in the folder of the clone."""
  environment = dict(os.environ, HOME=str(home), TF_CPP_MIN_LOG_LEVEL='2',
                     PATH='%s:%s' % (home / 'bin', os.environ['PATH']))
  return subprocess.run(
      ['bash', '-euo', 'pipefail', '-c', script], cwd=docs_blocks.ROOT,
      env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
      text=True)


def _run_document(path, substitutions, home):
  """Runs the blocks of a document; every substitution must be of use.

  Returns:
    What was printed.
  """
  used, script = set(), []
  for block in docs_blocks.read(path):
    text = docs_blocks.substitute(block.text, substitutions, used)
    if block.tag == 'file':
      (home / block.argument).write_text(text)
    elif block.tag == 'run':
      script += ['echo "=== %s, line %d"' % (path, block.line), text]
  assert not set(substitutions) - used
  result = _bash('\n'.join(script), home)
  assert result.returncode == 0, result.stdout[-6000:]
  return result.stdout


def _run_blocks(path, substitutions, home, numbers):
  """Runs some of the blocks of a document that are to be run, from 0 on."""
  blocks = [b for b in docs_blocks.read(path) if b.tag == 'run']
  script = '\n'.join(
      docs_blocks.substitute(blocks[i].text, substitutions, set())
      for i in numbers)
  result = _bash(script, home)
  assert result.returncode == 0, result.stdout[-6000:]


def _all_blocks(tags):
  return [pytest.param(block, id='%s:%d' % (path, block.line))
          for path in _DOCUMENTS for block in docs_blocks.read(path)
          if block.tag in tags]


@_of_texts
@pytest.mark.parametrize('path', _DOCUMENTS)
def test_every_block_says_how_it_is_checked(path):
  for block in docs_blocks.read(path):
    assert block.tag in _COMMANDS + ('file',), '%s:%d' % (path, block.line)


@_of_texts
@pytest.mark.parametrize('path', _DOCUMENTS)
def test_links_lead_somewhere(path):
  """Files and headings of this clone that a document points to."""
  with open(os.path.join(docs_blocks.ROOT, path), encoding='utf-8') as f:
    text = re.sub(r'(?s)```.*?```', '', f.read())
  for target in re.findall(r'\]\(([^)\s]+)\)', text):
    if '://' in target:
      continue
    name, _, anchor = target.partition('#')
    file_path = os.path.join(docs_blocks.ROOT, os.path.dirname(path), name)
    if not name:
      file_path = os.path.join(docs_blocks.ROOT, path)
    assert os.path.exists(file_path), target
    if anchor:
      with open(file_path, encoding='utf-8') as f:
        headings = re.findall(r'(?m)^#+ (.*)$', f.read())
      anchors = [re.sub(r'[^\w -]', '', h.lower()).replace(' ', '-')
                 for h in headings]
      assert anchor in anchors, target


@_of_texts
def test_every_page_answers_a_question():
  with open(os.path.join(docs_blocks.ROOT, 'docs', 'questions.md'),
            encoding='utf-8') as f:
    linked = set(re.findall(r'\]\((\w+\.md)', f.read()))
  pages = {os.path.basename(path) for path in _DOCUMENTS
           if path.startswith('docs/')}
  assert pages - linked == {'questions.md'}


@_of_texts
@pytest.mark.parametrize('block', _all_blocks(_COMMANDS))
def test_syntax(block):
  text = block.text.replace('<this repository>', 'repository')
  result = subprocess.run(['bash', '-n', '-c', text], stderr=subprocess.PIPE,
                          text=True)
  assert result.returncode == 0, result.stderr
  for target in re.findall(r'(?m)^make ([a-z-]+)', text):
    subprocess.run(['make', '-n', target], cwd=docs_blocks.ROOT, check=True,
                   stdout=subprocess.PIPE)


@pytest.mark.parametrize('block', _all_blocks(['flags']))
def test_tpu_commands_resolve(block, tmp_path):
  """The configuration of the job; what needs no TPU is built."""
  for file_block in docs_blocks.read('docs/getting_started.md'):
    if file_block.tag == 'file':
      (tmp_path / file_block.argument).write_text(file_block.text)
  words = shlex.split(block.text.replace('=coco_', '=%s/coco_' % tmp_path))
  assert words[:2] == ['python', 'main.py']
  with flagsaver.flagsaver():
    flags.FLAGS.unparse_flags()
    flags.FLAGS(words[1:])
    config, _ = job_config.resolve(main._given_flags(), flags.FLAGS.mode)
  replicas = estimator.num_replicas(config)
  estimator.replica_batch_size(config, replicas)
  model_factory.build_model_fn(config)
  cores = re.search(r'--num_cores=(\d+)', block.text).group(1)
  assert config.use_tpu and replicas == int(cores)
  assert config.train.train_file_pattern == (
      'gs://my-bucket/coco/records/train-*.tfrecord')


def _write_coco(folder):
  """Small sets in the places of COCO's."""
  for split, name in (('train', 'train2017'), ('val', 'val2017')):
    make_demo_data.make_split(str(folder / 'made'), split, 4, 128, seed=3,
                              num_shards=1, num_processes=1)
    shutil.copytree(str(folder / 'made' / 'images' / split),
                    str(folder / name))
    (folder / 'annotations').mkdir(exist_ok=True)
    shutil.copy(str(folder / 'made' / ('instances_%s.json' % split)),
                str(folder / 'annotations' / ('instances_%s.json' % name)))


def _write_imagenet(coco, folder):
  """The same images in the places of ImageNet's."""
  shutil.copytree(str(coco / 'train2017'), str(folder / 'train' / 'n01440764'))
  shutil.copytree(str(coco / 'val2017'), str(folder / 'validation'))
  (folder / 'synset_labels.txt').write_text('n01440764\n' * 4)


def _write_backbone(path):
  """A checkpoint of a backbone's stem, under the names of a published one."""
  with tf.Graph().as_default(), tf.Session() as session:
    tf.get_variable('conv2d/kernel', [7, 7, 3, 64])
    tf.get_variable('batch_normalization/gamma', [64])
    session.run(tf.global_variables_initializer())
    os.makedirs(os.path.dirname(path))
    tf.train.Saver().save(session, path)


@pytest.mark.slow
def test_getting_started(home):
  _write_coco(home / 'data' / 'coco')
  _write_imagenet(home / 'data' / 'coco', home / 'data' / 'imagenet')
  _write_backbone(str(home / 'data' / 'backbone' / 'model.ckpt'))
  output = _run_document('docs/getting_started.md', _SMALL_STARTED, home)
  runs = home / 'runs'
  for name in ('cpu', 'gpu', 'warm'):
    assert (runs / name / 'model.ckpt-2.index').exists(), name
  for name in ('cpu/eval', 'cpu/eval_sidecar', 'gpu/eval'):
    metrics = json.loads((runs / name / 'metrics.json').read_text())
    assert metrics['step'] == 2 and 'AP' in metrics
  assert json.loads((runs / 'cpu' / 'val_detections.json').read_text()) is not (
      None)
  assert (runs / 'cpu' / 'report.html').exists()
  assert 'Devices: CPU' in output


@pytest.mark.one_runtime('tf2')
def test_custom_data(home):
  voc_files.write(home / 'voc')
  _run_document('docs/custom_data.md', _SMALL_CUSTOM, home)
  metrics = json.loads(
      (home / 'runs' / 'bccd' / 'eval' / 'metrics.json').read_text())
  assert metrics['step'] == 2
  page = (home / 'runs' / 'bccd' / 'report.html').read_text()
  assert 'Platelets' in page
  assert len(os.listdir(str(home / 'runs' / 'bccd' / 'seen' / 'drawn'))) == 7


@pytest.mark.slow
def test_instance_segmentation(home):
  nuclei_files.write(home / 'nuclei' / 'stage1_train', num_images=4)
  output = _run_document('docs/instance_segmentation.md', _SMALL_INSTANCES,
                         home)
  runs = home / 'runs' / 'nuclei'
  metrics = json.loads((runs / 'eval' / 'metrics.json').read_text())
  assert metrics['step'] == 2
  assert {'AP', 'mask_AP', 'mask_APmax400'} <= set(metrics)
  found = json.loads((runs / 'found.json').read_text())
  assert found[0]['segmentation']['size'] == list(nuclei_files.SIZE)
  assert 'nucleus' in (runs / 'report.html').read_text()
  assert '"mask_AP50max400"' in output


@pytest.mark.one_runtime('tf1')
def test_classification(home):
  for split in make_demo_data.SPLITS:
    make_demo_data.make_images(str(home / 'images'), split, 6, 48, seed=3,
                               num_processes=1)
  output = _run_document('docs/classification.md', _SMALL_CLASSES, home)
  runs = home / 'runs' / 'images'
  metrics = json.loads((runs / 'eval' / 'metrics.json').read_text())
  assert metrics['step'] == 2 and 0 <= metrics['top_1_accuracy'] <= 1
  assert 'eval/accuracy_class_6' in metrics and 'triangle' in output
  found = json.loads((runs / 'found.json').read_text())
  assert len(found) == 6 * 5
  # In the order of the records, which is random.
  assert 'cross/010001.jpg' in {f['image_id'] for f in found}
  assert 'triangle' in (runs / 'report.html').read_text()


@pytest.mark.slow
def test_segmentation(home):
  for split in make_demo_data.SPLITS:
    make_demo_data.make_label_maps(str(home / 'scenes'), split, 3, 112, seed=3,
                                   num_processes=1)
  output = _run_document('docs/segmentation.md', _SMALL_SEGMENTS, home)
  runs = home / 'runs' / 'scenes'
  metrics = json.loads((runs / 'eval' / 'metrics.json').read_text())
  assert metrics['step'] == 2 and 'eval/iou_class_6' in metrics
  found = json.loads((runs / 'found.json').read_text())
  assert found[0]['segmentation']['size'] == [112, 112]
  assert {r['image_id'] for r in found} == {'010001', '010002', '010003'}
  assert 'mean IoU' in output and 'background' in output
  assert 'triangle' in (runs / 'report.html').read_text()


@pytest.mark.slow
def test_shapemask(home):
  """On the records that the page about instance segmentation makes."""
  nuclei_files.write(home / 'nuclei' / 'stage1_train', num_images=4)
  _run_blocks('docs/instance_segmentation.md', _SMALL_INSTANCES, home, [0, 1])
  _run_document('docs/shapemask.md', _SMALL_SHAPEMASK, home)
  runs = home / 'runs' / 'nuclei_shapemask'
  metrics = json.loads((runs / 'eval' / 'metrics.json').read_text())
  assert metrics['step'] == 2 and 'mask_APmax400' in metrics
  assert (home / 'data' / 'nuclei' / 'shape_priors.npy.png').exists()
  assert 'nucleus' in (runs / 'report.html').read_text()
