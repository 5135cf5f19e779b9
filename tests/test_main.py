"""main.py from end to end, on scenes of coloured squares and a tiny model."""

import json
import os
import shutil
import signal
import subprocess
import sys

from absl import flags
from absl.testing import flagsaver
import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from configs import factory
from dataloader import records as records_lib
from executor import devices
from executor import precision
from executor import usage
import main
from ops import compat
from tests import golden
from tests import nuclei_files
from tests import reference_weights
from tests import runtimes
from tests.dataloader import examples
from tests.executor import replicas
from tests.faults import kills
from tools.zoo import small_models
from utils import processors

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SIZE = 64
_COLOURS = {1: [200, 30, 30], 2: [20, 40, 220]}

_CONFIG = """
architecture: {num_classes: 3, min_level: 3, max_level: 5}
anchor: {num_scales: 1}
resnet: {resnet_depth: 10}
fpn: {fpn_feat_dims: 16}
retinanet_head: {num_convs: 1, num_filters: 16}
retinanet_parser: {output_size: [64, 64], max_num_instances: 4}
postprocess: {score_threshold: 0.0}
train:
  train_batch_size: 2
  total_steps: 5
  train_file_pattern: train-*
  save_checkpoints_steps: 3
  log_every_steps: 2
  seed: 1
  learning_rate: {warmup_steps: 0, init_learning_rate: 0.01}
eval: {eval_batch_size: 2, eval_file_pattern: val-*, min_eval_interval: 0}
"""


def _scene(seed):
  """Image, boxes and classes of a scene with seed % 3 squares."""
  rng = np.random.RandomState(seed)
  image = np.full([_SIZE, _SIZE, 3], 120, np.uint8)
  boxes, classes = [], []
  for _ in range(seed % 3):
    y, x = rng.randint(0, 40, 2)
    side, class_id = rng.randint(12, 24), rng.randint(1, 3)
    image[y:y + side, x:x + side] = _COLOURS[class_id]
    boxes.append([v / float(_SIZE) for v in (y, x, y + side, x + side)])
    classes.append(class_id)
  return image, boxes, classes


def _run(*arguments):
  """Runs main.py in this process; returns its exit code."""
  with flagsaver.flagsaver():
    flags.FLAGS.unparse_flags()
    flags.FLAGS(['main.py'] + [str(a) for a in arguments])
    tf.reset_default_graph()
    return main.run()


def _fails(capsys, *arguments, **expected):
  """Runs a job that must fail; returns its one message."""
  assert _run(*arguments) == expected.get('code', 2)
  message = capsys.readouterr().err
  assert message.count('Error: ') == 1 and 'Traceback' not in message
  return message


def _steps(model_dir):
  return sorted(int(name.split('-')[1].split('.')[0])
                for name in os.listdir(str(model_dir))
                if name.startswith('model.ckpt-') and name.endswith('.index'))


def _metric_steps(model_dir, folder='eval'):
  with open(str(model_dir / folder / 'metrics.jsonl')) as f:
    return [json.loads(line)['step'] for line in f]


@pytest.fixture(name='data', scope='session')
def _data(tmp_path_factory):
  """A folder with train-, val- and broken records and the YAML file.

  Five scenes to evaluate do not fill the batches of two; one has a text id.
  """
  folder = tmp_path_factory.mktemp('data')
  for name, seeds in (('train', range(6)), ('val', range(6, 11))):
    examples.write(folder / (name + '-0.tfrecord'), [
        examples.serialize(*_scene(seed), source_id=(
            'scene.jpg' if seed == 8 else str(seed))) for seed in seeds])
  good = examples.serialize(*_scene(1), source_id='1')
  examples.write(folder / 'undecodable', [good, examples.serialize(
      encoded=b'\xff\xd8 not a jpeg', source_id='bad')])
  examples.write(folder / 'class', [good, examples.serialize(
      _scene(2)[0], [[0., 0., .5, .5]], [7], source_id='strange')])
  examples.write(folder / 'crowded', [examples.serialize(
      _scene(2)[0], [[0., 0., .5, .5]] * 5, [1] * 5, source_id='full')])
  whole = examples.write(folder / 'truncated', [good, good])
  os.truncate(whole, os.path.getsize(whole) - 20)
  (folder / 'config.yaml').write_text(_CONFIG)
  return folder


@pytest.fixture(name='trained', scope='session')
def _trained(data, tmp_path_factory):
  """model_dir of five steps of training."""
  model_dir = tmp_path_factory.mktemp('trained') / 'run'
  assert _run('--mode=train', '--model_dir=%s' % model_dir,
              '--data_dir=%s' % data,
              '--config_file=%s' % (data / 'config.yaml')) == 0
  return model_dir


@pytest.fixture(name='copy')
def _copy(trained, tmp_path):
  """A copy of `trained` to change."""
  shutil.copytree(str(trained), str(tmp_path / 'copy'))
  return tmp_path / 'copy'


def test_flags_are_those_of_the_reference():
  with open(os.path.join(golden.REFERENCE_DIR, 'config', 'flags.json')) as f:
    reference = json.load(f)
  program = reference['programs']['models/official/detection/main.py']
  expected = program['flags'] + [
      flag for group in program['groups']
      for flag in reference['groups'][group]]
  for flag in expected:
    ours = flags.FLAGS[flag['name']]
    assert ours.default == flag['default'], flag['name']
    kind = 'string enum' if flag['name'] == 'mode' else flag['type']
    assert ours.flag_type() == kind, flag['name']


def test_wrong_mode():
  with flagsaver.flagsaver():
    with pytest.raises(flags.IllegalFlagValueError,
                       match='train|eval|train_and_eval|predict'):
      flags.FLAGS(['main.py', '--mode=trian'])


@pytest.mark.one_runtime('tf2')
def test_program_speaks_to_people():
  """As a process of its own: help, and a mistake with exit code 2."""
  def run(*arguments):
    return subprocess.run(
        [sys.executable, 'main.py'] + list(arguments), cwd=_ROOT,
        capture_output=True)
  assert b'train_and_eval' in run('--help').stdout
  failed = run('--params_override=train.total_step=5', '--model_dir=/x')
  assert failed.returncode == 2 and not failed.stdout
  lines = failed.stderr.decode().strip().splitlines()
  assert len(lines) == 1 and 'train.total_steps' in lines[0]


@pytest.mark.parametrize('override', [
    'anchor.num_scales=1', 'train.learning_rate.init_learning_rate=0'])
def test_all_mistakes_are_told_at_once(tmp_path, data, capsys, override):
  """Files of both jobs, and keys that contradict each other."""
  message = _fails(
      capsys, '--mode=train_and_eval', '--model_dir=%s' % (tmp_path / 'run'),
      '--config_file=%s' % (data / 'config.yaml'),
      '--data_dir=%s' % (tmp_path / 'empty'), '--params_override=%s,'
      'eval.label_map=%s' % (override, tmp_path / 'names.csv'))
  for words in ('train.train_file_pattern', 'eval.eval_file_pattern',
                'eval.label_map: there is no file'):
    assert message.count(words) == 1
  is_wrong = 'learning_rate' in override
  assert ('init_learning_rate (0)' in message) == is_wrong
  assert ('%d things are wrong with this job' % (3 + is_wrong)) in message
  assert not (tmp_path / 'run').exists()


def test_training_leaves_its_results(trained):
  assert _steps(trained) == [0, 3, 5]
  config, _ = factory.load_config(None, str(trained / 'params.yaml'))
  assert config.architecture.num_classes == 3 and not config.use_tpu
  assert config.train.train_file_pattern.endswith('/train-*')
  assert json.loads((trained / 'training_finished.json').read_text())[
      'step'] == 5
  with open(str(trained / 'train_metrics.jsonl')) as f:
    records = [json.loads(line) for line in f]
  assert [r['step'] for r in records] == [2, 4, 5]
  assert {'cls_loss', 'box_loss', 'model_loss', 'learning_rate',
          'l2_regularization_loss', 'images_per_second'} <= set(records[1])
  events = [event for name in os.listdir(str(trained)) if 'tfevents' in name
            for event in tf.train.summary_iterator(str(trained / name))]
  assert len([e for e in events if e.HasField('graph_def')]) == 1
  tags = {value.tag for event in events for value in event.summary.value}
  assert {'loss', 'cls_loss', 'box_loss', 'model_loss', 'learning_rate',
          'l2_regularization_loss', 'global_step/sec'} <= tags


@pytest.mark.one_runtime('tf1')
def test_resume_keeps_the_old_configuration(copy, data):
  assert _run('--mode=train', '--model_dir=%s' % copy, '--data_dir=%s' % data,
              '--config_file=%s' % (data / 'config.yaml'),
              '--train_steps=6') == 0
  assert _steps(copy)[-1] == 6
  old, _ = factory.load_config(None, str(copy / 'params.5.yaml'))
  new, _ = factory.load_config(None, str(copy / 'params.yaml'))
  assert (old.train.total_steps, new.train.total_steps) == (5, 6)


_KILLING_PLUGIN = """
import os, signal
import tensorflow.compat.v1 as tf
from executor import extra_hooks

class Kill(tf.train.SessionRunHook):
  def begin(self):
    self._step = tf.convert_to_tensor(tf.train.get_global_step())
  def after_run(self, run_context, run_values):
    if run_context.session.run(self._step) == 4:
      os.kill(os.getpid(), signal.SIGKILL)

extra_hooks.HOOKS['kill'] = lambda config: Kill()
"""


@pytest.mark.one_runtime('tf2')
def test_killed_and_started_again_is_unbroken(data, tmp_path):
  """Killed at step 4, on from step 3: each value of step 5 to the last bit.

  All in processes of their own: in this one, an earlier test may have decided
  with how many threads operations compute, and so about the last bits.
  """
  (tmp_path / 'kill.py').write_text(_KILLING_PLUGIN)
  run = tmp_path / 'run'
  def train(folder, *more):
    return subprocess.run(
        [sys.executable, 'main.py', '--mode=train', '--model_dir=%s' % folder,
         '--data_dir=%s' % data, '--config_file=%s' % (data / 'config.yaml')]
        + list(more), cwd=_ROOT, capture_output=True)

  killed = train(run, '--plugins=%s' % (tmp_path / 'kill.py'))
  assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
  on_cpu_of_linux = usage.available() and not devices.gpu_names()
  assert (b' Memory: training is going to take about 0.' in killed.stderr) == (
      bool(on_cpu_of_linux)), killed.stderr
  assert _steps(run) == [0, 3]
  assert train(run).returncode == 0
  assert train(tmp_path / 'unbroken').returncode == 0
  assert not kills.differing(tmp_path / 'unbroken', run)


def _written_by_training(model_dir):
  return {name: (model_dir / name).read_bytes()
          for name in ('params.yaml', 'training_finished.json', 'checkpoint')}


@pytest.mark.parametrize('changes, words', [
    runtimes.only('tf2', 'train.moving_average_decay=0.9', [
        'train.moving_average_decay', 'restore_optimizer_state']),
    ('anchor.anchor_size=3', ['anchor.anchor_size is 4.0 in params.yaml',
                              '3.0 here']),
    ('retinanet_parser.output_size=[32,32]', ['[64, 64] in params.yaml'])])
def test_refused_start_leaves_the_folder(copy, data, capsys, changes, words):
  """The next plain evaluation scores the model that was trained."""
  before = _written_by_training(copy)
  message = _fails(
      capsys, '--mode=train', '--model_dir=%s' % copy, '--data_dir=%s' % data,
      '--config_file=%s' % (data / 'config.yaml'), '--train_steps=6',
      '--params_override=' + changes)
  assert all(word in message for word in words), message
  assert _written_by_training(copy) == before


def test_start_with_nothing_to_do_leaves_the_folder(copy, data):
  before = _written_by_training(copy)
  assert _run('--mode=train', '--model_dir=%s' % copy, '--data_dir=%s' % data,
              '--config_file=%s' % (data / 'config.yaml'),
              '--params_override=postprocess.score_threshold=0.9') == 0
  after = _written_by_training(copy)
  for name in ('params.yaml', 'checkpoint'):
    assert after[name] == before[name]
  assert json.loads(after['training_finished.json'].decode())['step'] == 5


@pytest.mark.slow
def test_evaluation_that_is_started_first(data, tmp_path, monkeypatch):
  """As manifests start both; relative paths, and averages to evaluate."""
  os.symlink(str(data), str(tmp_path / 'data'))

  def start(*arguments):
    return subprocess.Popen(
        [sys.executable, os.path.join(_ROOT, 'main.py'), '--model_dir=run',
         '--data_dir=data'] + list(arguments), cwd=str(tmp_path),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        universal_newlines=True)

  jobs = [
      start('--mode=eval', '--params_override={eval: {eval_timeout: 300, '
            'eval_every_checkpoint: true, min_eval_interval: 0}}'),
      start('--mode=train', '--config_file=data/config.yaml',
            '--params_override={train: {moving_average_decay: 0.9}, '
            'anchor: {anchor_size: 3.0}}')]
  evaluation, training = [job.communicate()[0] for job in jobs]
  assert [job.returncode for job in jobs] == [0, 0], evaluation + training
  assert 'Waiting for a training run in run' in evaluation
  assert 'The configuration is read from run/params.yaml' in evaluation
  assert 'Evaluation and prediction compute in float32' in evaluation
  run = tmp_path / 'run'
  assert _metric_steps(run) == [3, 5]
  # One that is started afterwards, elsewhere, finds the same.
  monkeypatch.chdir(run)
  assert _run('--mode=eval', '--eval_once', '--model_dir=.',
              '--params_override=eval.suffix=_after') == 0
  beside, after = (json.loads((run / name / 'metrics.json').read_text())
                   for name in ('eval', 'eval_after'))
  assert beside.pop('time') < after.pop('time')
  assert set(beside) == set(after)
  np.testing.assert_allclose(*(
      np.array([values[name] for name in sorted(values)], np.float64)
      for values in (beside, after)), rtol=1e-5, atol=1e-6)


@pytest.mark.one_runtime('tf1')
def test_evaluation_waits_for_its_training_run(data, tmp_path):
  """The smallest part of the above: two processes, one checkpoint."""
  run = tmp_path / 'run'
  evaluation = subprocess.Popen(
      [sys.executable, 'main.py', '--mode=eval', '--model_dir=%s' % run,
       '--params_override=eval.eval_timeout=300'], cwd=_ROOT,
      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
  assert _run('--mode=train', '--model_dir=%s' % run, '--data_dir=%s' % data,
              '--config_file=%s' % (data / 'config.yaml'),
              '--train_steps=1') == 0
  output = evaluation.communicate()[0]
  assert evaluation.returncode == 0, output
  assert 'Evaluation at step 1: 5 images' in output
  assert _metric_steps(run) == [1]


def _share(model_dir, *flags):
  """Evaluates once by one process, once by two; returns both.

  Returns:
    Two of ({name: value} of metrics.json without its time, the text of
    detections.json), and the output of the process that merges.
  """
  assert _run('--mode=eval', '--eval_once', '--model_dir=%s' % model_dir,
              *flags) == 0
  jobs = [subprocess.Popen(
      [sys.executable, 'main.py', '--mode=eval', '--eval_once',
       '--model_dir=%s' % model_dir] + list(flags) + [
           '--params_override={eval: {suffix: _two, num_parts: 2, part: %d, '
           'eval_timeout: 300}}' % part], cwd=_ROOT, stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT, universal_newlines=True) for part in (1, 0)]
  outputs = [job.communicate()[0] for job in jobs]
  assert [job.returncode for job in jobs] == [0, 0], ''.join(outputs)
  found = []
  for folder in ('eval', 'eval_two'):
    metrics = json.loads((model_dir / folder / 'metrics.json').read_text())
    del metrics['time']
    found.append((metrics,
                  (model_dir / folder / 'detections.json').read_text()))
  return found[0], found[1], outputs[1]


@pytest.mark.slow
def test_two_processes_share_an_evaluation(copy):
  """Nothing but the folder connects them; equal digits to one process."""
  one, two, output = _share(copy)
  assert one == two
  assert 'Evaluation at step 5: 5 images' in output


@pytest.mark.slow
def test_two_processes_share_an_evaluation_of_masks(tmp_path):
  """A model that has learnt, on cuts of real nuclei: masks, of two stages."""
  nuclei_files.write(tmp_path / 'images', num_images=4)
  nuclei = Image.open(os.path.join(_ROOT, 'docs', 'notebooks', 'nuclei.png'))
  for i in range(4):
    path = str(tmp_path / 'images' / ('image_%d' % i) / 'images'
               / ('image_%d.png' % i))
    width, height = Image.open(path).size
    nuclei.convert('RGBA').crop(
        (40 * i, 30 * i, 40 * i + width, 30 * i + height)).save(path)
  for arguments in (
      ['-m', 'tools.create_mask_annotations', '--class_name=nucleus',
       '--images=%s' % (tmp_path / 'images'), '--val_every=0',
       '--output=%s' % (tmp_path / 'objects')],
      ['-m', 'tools.create_coco_tfrecord',
       '--images=%s' % (tmp_path / 'images'),
       '--annotations=%s' % (tmp_path / 'objects.json'),
       '--output=%s' % (tmp_path / 'val')]):
    subprocess.check_call([sys.executable] + arguments, cwd=_ROOT)
  run = tmp_path / 'run'
  shutil.copytree(small_models.resolve('nuclei'), str(run))
  override = tmp_path / 'eval.yaml'
  override.write_text(json.dumps({'eval': {
      'eval_file_pattern': str(tmp_path / 'val-*.tfrecord'),
      'eval_batch_size': 1}}))
  one, two, output = _share(run, '--config_file=%s' % override)
  assert one == two
  assert '4 images' in output
  found = json.loads(one[1])
  assert len(found) > 4 and all(d['segmentation']['counts'] for d in found)


@pytest.mark.one_runtime('tf1')
def test_evaluation_needs_the_model_dir_only(copy, capsys):
  assert _run('--mode=eval', '--eval_once', '--model_dir=%s' % copy) == 0
  table = capsys.readouterr().out
  assert 'Evaluation at step 5: 5 images' in table and 'AP50' in table
  metrics = json.loads((copy / 'eval' / 'metrics.json').read_text())
  assert metrics['step'] == 5
  assert {'AP', 'ARl', 'cls_loss', 'box_loss', 'model_loss',
          'Precision mAP ByCategory/2'} <= set(metrics)
  results = json.loads((copy / 'eval' / 'detections.json').read_text())
  assert results and {r['image_id'] for r in results} <= {
      6, 7, 'scene.jpg', 9, 10}
  # The last checkpoint has its result, so the worker ends.
  assert _run('--mode=eval', '--model_dir=%s' % copy) == 0
  assert _metric_steps(copy) == [5]
  # A training run that is to go on: the worker waits for it, in vain.
  message = _fails(
      capsys, '--mode=eval', '--model_dir=%s' % copy,
      '--params_override={train: {total_steps: 9}, eval: {eval_timeout: 0}}',
      code=3)
  assert 'No new checkpoint' in message and str(copy) in message


@pytest.mark.one_runtime('tf2')
def test_annotation_file_and_records_agree(copy, data):
  """The same figures from the records alone and from a JSON file."""
  annotations = records_lib.read_groundtruth(str(data / 'val-*'))
  path = copy / 'val.json'
  path.write_text(json.dumps(annotations))
  for suffix, json_file in (('_records', ''), ('_json', path)):
    assert _run('--mode=eval', '--eval_once', '--model_dir=%s' % copy,
                '--params_override={eval: {suffix: %s, val_json_file: "%s"}}'
                % (suffix, json_file)) == 0
  of_records, of_json = (
      json.loads((copy / folder / 'metrics.json').read_text())
      for folder in ('eval_records', 'eval_json'))
  of_records.pop('time')
  of_json.pop('time')
  assert of_records == of_json


@pytest.mark.one_runtime('tf2')
def test_train_and_eval_with_a_remainder(data, tmp_path):
  arguments = ['--mode=train_and_eval', '--model_dir=%s' % (tmp_path / 'run'),
               '--data_dir=%s' % data, '--train_steps=3',
               '--config_file=%s' % (data / 'config.yaml'),
               '--params_override=eval.num_steps_per_eval=2']
  assert _run(*arguments) == 0
  assert _steps(tmp_path / 'run')[-1] == 3
  assert _metric_steps(tmp_path / 'run') == [2, 3]
  # Everything is done: a restart trains and evaluates nothing.
  assert _run(*arguments) == 0
  assert _metric_steps(tmp_path / 'run') == [2, 3]


def _formats_of_convolutions(path):
  """The number formats in the graph that was saved with a checkpoint."""
  with open('%s.meta' % path, 'rb') as f:
    meta = tf.MetaGraphDef.FromString(f.read())
  return {node.attr['T'].type for node in meta.graph_def.node
          if node.op == 'Conv2D'}


def test_auto_on_one_machine_and_on_another(data, tmp_path, monkeypatch):
  """Trained and evaluated in bfloat16, where there are units for it, and not.

  On TensorFlow 1.15, which has none, auto is float32 throughout.
  """
  arguments = ['--mode=train_and_eval', '--model_dir=%s' % tmp_path,
               '--data_dir=%s' % data,
               '--config_file=%s' % (data / 'config.yaml'),
               '--params_override={train: {mixed_precision: auto}, eval: {'
               'precision: auto, num_steps_per_eval: 2}}']
  monkeypatch.setattr(processors, 'has_bfloat16_products', lambda: True)
  told, describe = [], precision.describe_evaluation
  monkeypatch.setattr(precision, 'describe_evaluation', lambda config: (
      told.append(describe(config)) or told[-1]))
  assert _run('--train_steps=2', *arguments) == 0
  half = tf.bfloat16 if compat.HAS_BFLOAT16_ON_CPUS else tf.float32
  path = tf.train.latest_checkpoint(str(tmp_path))
  assert _formats_of_convolutions(path) == {half.as_datatype_enum}
  reader = tf.train.load_checkpoint(path)
  assert set(reader.get_variable_to_dtype_map().values()) == {
      tf.float32, tf.int64}
  assert told[-1].startswith('Evaluation and prediction compute in %s '
                             '(eval.precision: auto, ' % half.name)
  monkeypatch.setattr(processors, 'has_bfloat16_products', lambda: False)
  assert _run('--train_steps=4', *arguments) == 0
  assert _metric_steps(tmp_path) == [2, 4]
  assert _formats_of_convolutions(tf.train.latest_checkpoint(
      str(tmp_path))) == {tf.float32.as_datatype_enum}


@pytest.mark.one_runtime('tf1')
def test_predict_without_groundtruth(trained, tmp_path):
  records = examples.write(tmp_path / 'new.tfrecord', [
      examples.serialize(_scene(2)[0], source_id=name)
      for name in ('3', 'b.png', 'c.png')])
  output = tmp_path / 'results.json'
  assert _run('--mode=predict', '--model_dir=%s' % trained,
              '--params_override={predict: {predict_batch_size: 2, '
              'predict_file_pattern: %s, output_file: %s}}'
              % (records, output)) == 0
  results = json.loads(output.read_text())
  assert {r['image_id'] for r in results} == {3, 'b.png', 'c.png'}
  assert {'image_id', 'category_id', 'bbox', 'score'} == set(results[0])


@pytest.fixture(name='foreign', scope='session')
def _foreign(trained, tmp_path_factory):
  """Weights under the public names, written by plain TensorFlow."""
  reader = tf.train.load_checkpoint(str(trained / 'model.ckpt-5'))
  shapes = {name: shape
            for name, shape in reader.get_variable_to_shape_map().items()
            if name != 'global_step' and not name.endswith('/Momentum')}
  with tf.Graph().as_default(), tf.Session() as session:
    for name, shape in shapes.items():
      tf.get_variable(name, initializer=reference_weights.weight(name, shape))
    session.run(tf.global_variables_initializer())
    return tf.train.Saver().save(
        session, str(tmp_path_factory.mktemp('foreign') / 'weights.ckpt'))


@pytest.mark.one_runtime('tf1')
def test_foreign_checkpoint_is_evaluated(trained, foreign, tmp_path):
  shutil.copy(str(trained / 'params.yaml'), str(tmp_path))
  assert _run('--mode=eval', '--model_dir=%s' % tmp_path,
              '--checkpoint_path=%s' % foreign) == 0
  assert json.loads((tmp_path / 'eval' / 'metrics.json').read_text())[
      'step'] == 0


@pytest.mark.one_runtime('tf1')
def test_foreign_checkpoint_warm_starts(data, foreign, tmp_path):
  assert _run('--mode=train', '--model_dir=%s' % tmp_path,
              '--data_dir=%s' % data, '--train_steps=1',
              '--config_file=%s' % (data / 'config.yaml'),
              '--params_override=train.checkpoint.path=%s' % foreign) == 0
  start = tf.train.load_checkpoint(str(tmp_path / 'model.ckpt-0'))
  given = tf.train.load_checkpoint(foreign)
  for name in given.get_variable_to_shape_map():
    np.testing.assert_array_equal(start.get_tensor(name),
                                  given.get_tensor(name), err_msg=name)


@pytest.mark.parametrize('arguments, words', [
    (['--params_override=train.totl_steps=5'],
     ['train.totl_steps', 'train.total_steps']),
    (['--params_override=train.total_steps=many'],
     ['train.total_steps', 'integer', 'many']),
    (['--config_file=missing.yaml'], ['missing.yaml']),
    (['--train_steps=5', '--params_override=train.total_steps=6'],
     ['--train_steps', '5', '6']),
    (['--params_override=train.train_file_pattern=/nowhere/a-*'],
     ['train.train_file_pattern', '/nowhere/a-*']),
    ([], ['train.train_file_pattern is not set']),
    (['--mode=eval'], ['There is no checkpoint', 'eval.eval_timeout']),
    (['--mode=eval', '--params_override=eval.val_json_file=/nowhere.json'],
     ['eval.val_json_file', '/nowhere.json']),
    (['--model=mask_rcnn', '--params_override=type=retinanet'],
     ['mask_rcnn', 'retinanet']),
    (['--use_tpu', '--precision=half'], ['--precision', 'bfloat16']),
])
def test_mistakes_before_the_start(data, tmp_path, capsys, arguments, words):
  if '--mode=eval' in arguments:
    arguments = arguments + ['--eval_once', '--data_dir=%s' % data]
    if len(arguments) == 3:
      arguments.append('--params_override=eval.eval_file_pattern=val-*')
  message = _fails(capsys, '--model_dir=%s' % (tmp_path / 'run'), *arguments)
  assert all(word in message for word in words), message


def test_model_dir_is_not_given(capsys):
  assert '--model_dir' in _fails(capsys, '--mode=train')


def test_model_dir_of_another_model(copy, data, capsys):
  arguments = ['--model_dir=%s' % copy, '--data_dir=%s' % data,
               '--config_file=%s' % (data / 'config.yaml')]
  message = _fails(capsys, '--params_override=architecture.num_classes=9',
                   *arguments)
  assert 'architecture.num_classes is 3 in params.yaml, 9' in message
  # Without params.yaml the variables tell.
  os.remove(str(copy / 'params.yaml'))
  message = _fails(capsys, '--params_override=retinanet_head.num_filters=8',
                   '--mode=eval', '--eval_once', *arguments)
  assert 'another model' in message
  assert '16] in the checkpoint' in message and '8] in the model' in message


@pytest.mark.parametrize('mode, name, code, words', [
    runtimes.only('tf1', 'predict', 'truncated', 1, [
        'truncated: record 1', 'truncated record']),
    runtimes.only('tf2', 'predict', 'undecodable', 1,
                  ['undecodable: record 1', 'bad']),
    ('eval', 'class', 2, ['strange', 'class 7',
                          'architecture.num_classes is 3']),
    ('eval', 'crowded', 2, ['full', '5 objects', 'max_num_instances is 4']),
])
def test_broken_records_are_named(copy, data, capsys, mode, name, code, words):
  message = _fails(
      capsys, '--mode=' + mode, '--eval_once', '--model_dir=%s' % copy,
      '--params_override={eval: {eval_file_pattern: %s, eval_batch_size: 1}}'
      % (data / name), code=code)
  assert all(word in message for word in words), message


@pytest.mark.parametrize('mode', [['--mode=train_and_eval'],
                                  ['--mode=train', '--eval_after_training']])
def test_an_evaluation_that_cannot_end_begins_no_training(
    data, tmp_path, capsys, mode):
  message = _fails(
      capsys, '--model_dir=%s' % (tmp_path / 'run'), '--data_dir=%s' % data,
      '--config_file=%s' % (data / 'config.yaml'),
      '--params_override=eval.eval_file_pattern=crowded', *mode)
  assert 'retinanet_parser.max_num_instances to at least 5' in message
  assert not (tmp_path / 'run').exists()


@pytest.mark.one_runtime('tf1')
def test_undecodable_image_in_training(data, tmp_path, capsys):
  message = _fails(
      capsys, '--model_dir=%s' % tmp_path,
      '--config_file=%s' % (data / 'config.yaml'),
      '--params_override=train.train_file_pattern=%s'
      % (data / 'undecodable'), code=1)
  assert 'undecodable: record 1' in message and 'bad' in message


def _tf_config(ports, index):
  return json.dumps({
      'cluster': {'worker': ['127.0.0.1:%d' % port for port in ports]},
      'task': {'type': 'worker', 'index': index}})


def test_workers_that_cannot(data, tmp_path, capsys, monkeypatch):
  arguments = ('--model_dir=%s' % tmp_path, '--data_dir=%s' % data,
               '--config_file=%s' % (data / 'config.yaml'))
  monkeypatch.setenv('TF_CONFIG', '{"cluster"')
  assert 'TF_CONFIG is not JSON' in _fails(capsys, '--mode=train', *arguments)
  monkeypatch.setenv('TF_CONFIG', _tf_config([1, 2, 3], 1))
  assert '3 replicas' in _fails(capsys, '--mode=train', *arguments)
  assert 'worker 1 of 3' in _fails(capsys, '--mode=eval', *arguments)
  assert not os.listdir(str(tmp_path))


@pytest.mark.slow
def test_two_workers(data, tmp_path):
  """The chief writes and evaluates; the other one only trains."""
  ports = replicas.free_ports(2)
  workers = [subprocess.Popen(
      [sys.executable, 'main.py', '--mode=train', '--eval_after_training',
       '--model_dir=%s' % (tmp_path / 'run'), '--data_dir=%s' % data,
       '--config_file=%s' % (data / 'config.yaml')], cwd=_ROOT,
      env=dict(os.environ, TF_CONFIG=_tf_config(ports, i)),
      stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
      universal_newlines=True) for i in range(2)]
  outputs = [worker.communicate()[0] for worker in workers]
  assert [w.returncode for w in workers] == [0, 0], outputs[0][-3000:]
  assert 'worker 0, the chief' in outputs[0] and 'Evaluation at' in outputs[0]
  assert 'worker 1.' in outputs[1] and 'Evaluation at' not in outputs[1]
  assert _steps(tmp_path / 'run') == [0, 3, 5]
  assert _metric_steps(tmp_path / 'run') == [5]
  assert json.loads((tmp_path / 'run' / 'training_finished.json').read_text())[
      'step'] == 5
