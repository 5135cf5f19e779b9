"""What a graph takes, counted by hand, and what is said about it."""

import pytest
import tensorflow.compat.v1 as tf

from configs import factory
from dataloader import inputs
from executor import devices
from executor import errors
from executor import estimator as estimator_lib
from executor import loops
from executor import memory
from executor import usage
from modeling import factory as model_factory
from tests import model_kinds
from tests.executor import toy
from utils import modes

_GIB = 2**30


def _peak(build):
  """memory.peak of what `build` makes of float32 [2, 8], 64 bytes."""
  with tf.Graph().as_default() as graph:
    build(tf.placeholder(tf.float32, [2, 8]))
    return memory.peak(graph)


def test_tensors_are_held_until_their_last_use():
  """Of a chain of products two are there at once, or all, with gradients."""
  def chain(x):
    for _ in range(5):
      x = tf.matmul(x, tf.ones([8, 8]))
    return x
  assert _peak(chain).tensors == 2 * 64

  def held(x):
    return tf.matmul(chain(x), x, transpose_b=True)  # [2, 2]
  assert _peak(held).tensors == 3 * 64

  def trained(x):
    w = tf.get_variable('w', [8, 8])
    y = tf.matmul(tf.matmul(x, w), w)
    tf.train.MomentumOptimizer(.1, .9).minimize(tf.reduce_sum(y * y))
  found = _peak(trained)
  assert found.variables == 2 * 256 and found.gradients == 256
  assert found.batch == 64
  # Both gradients, 256 bytes each, their sum in the place of one of them.
  assert 2 * 256 <= found.tensors <= 2 * 256 + 6 * 64


@pytest.mark.parametrize('function, size', [
    (lambda x: tf.reshape(tf.identity(x), [4, 4]), 64),
    (tf.nn.relu, 64), (lambda x: x + tf.nn.relu(x), 2 * 64),
    (lambda x: tf.nn.relu(x) + 1., 64), (tf.transpose, 2 * 64),
    (lambda x: tf.concat([x, x], 0), 3 * 64),
    (lambda x: tf.cast(x, tf.float64), 3 * 64),
    (lambda x: tf.where(x > 0.), 64 + 16)])  # Its shape is not known.
def test_memory_that_is_used_again(function, size):
  assert _peak(function).tensors == size


def test_what_does_not_depend_on_the_batch_does_not_count():
  def build(x):
    tf.matmul(tf.random.normal([100, 100]), tf.ones([100, 100]))
    return tf.matmul(x, tf.ones([8, 8]))
  assert _peak(build).tensors == 2 * 64


def _estimate(images):
  """Of 1 GiB of variables and gradients each, 1 GiB for every image."""
  return memory.Peak(_GIB, _GIB, 0, _GIB + images * _GIB)


def test_the_largest_batch_that_fits(tmp_path):
  config = toy.config(tmp_path, train__train_batch_size=12)
  fixed = memory.needed(_estimate(0))
  of_an_image = memory.needed(_estimate(1)) - fixed
  room = int(fixed + 5.5 * of_an_image)
  assert memory.check(config, _estimate(5), room) is None
  text = memory.check(config, _estimate(12), room)
  for part in ('5 images at once', 'train.accumulation_steps: 3 ',
               'train.train_batch_size: 5;', 'train.recompute_activations',
               'retinanet_parser.output_size'):
    assert part in text, text
  config = toy.config(tmp_path, train__train_batch_size=12,
                      train__accumulation_steps=2)
  text = memory.check(config, _estimate(6), room)
  assert 'train.train_batch_size: 10;' in text, text
  assert 'train.accumulation_steps: 3 ' in text
  text = memory.check(config, _estimate(6), int(fixed + of_an_image / 2))
  assert 'No images at once' in text and 'train_batch_size:' not in text
  assert memory.check(config, _estimate(6), _GIB)
  with pytest.raises(errors.SetupError, match='The weights .* take 1.0 GiB'):
    memory.check(config, _estimate(6), _GIB - 1)
  # Records that are kept take the room of images.
  config = toy.config(tmp_path, train__train_batch_size=5)
  assert '4 images at once' in memory.check(config, _estimate(5), room, _GIB)


def test_a_large_number_of_classes_is_named(tmp_path):
  """It is refused where a batch cannot fit; before, TensorFlow gave up."""
  config = toy.config(tmp_path, architecture__num_classes=10**6)

  def text(of_variables, of_tensors, room):
    estimate = memory.Peak(4 * _GIB, _GIB, 0, 20 * _GIB, of_variables * _GIB,
                           of_tensors * _GIB)
    try:
      return memory.check(config, estimate, int(room * _GIB)) or ''
    except errors.SetupError as e:
      return 'Refused. %s' % e
  wanted = 4 + 20 * 1.15 + .5
  refused = text(3, 12, wanted / 1.3)
  for part in ('Refused. Training is going to take about 27.5 GiB',
               '15.0 GiB of it are due to architecture.num_classes: 1000000'):
    assert part in refused
  # Nearly enough, and not mainly the classes: as for any other model.
  near = text(3, 12, wanted / 1.2)
  assert near.startswith('Training is') and 'num_classes' in near
  other = text(3, 8, wanted / 4)
  assert other.startswith('Training is') and 'num_classes' not in other
  assert not text(3, 12, wanted)
  weights = text(3, 0, 3.9)
  assert weights.startswith('Refused. The weights') and 'num_classes' in weights
  assert 'num_classes' not in text(1, 0, 3.9)


def test_what_grows_with_the_classes():
  """Logits of one and of two values for each class, and 999 features."""
  def found(num_classes):
    with tf.Graph().as_default() as graph:
      x = tf.placeholder(tf.float32, [2, 8])
      one = tf.matmul(x, tf.get_variable('one', [8, 2000]))
      two = tf.matmul(x, tf.get_variable('two', [8, 4000]))
      features = tf.matmul(x, tf.get_variable('features', [8, 999]))
      tf.concat([one, two, features], 1)
      return memory.peak(graph, num_classes)
  of_2000 = found(2000)
  assert of_2000.class_variables == 4 * 8 * (2000 + 4000)
  assert of_2000.class_tensors == 4 * 2 * (2000 + 4000)
  assert of_2000.tensors == 4 * 2 * 2 * (2000 + 4000 + 999)
  without = of_2000._replace(class_variables=0, class_tensors=0)
  assert found(0) == without
  assert found(8) == without  # Any layer may have 8 features.


@pytest.mark.parametrize('kind', [
    'retinanet',
    pytest.param('mask_rcnn', marks=pytest.mark.one_runtime('tf2')),
    pytest.param('segmentation', marks=pytest.mark.one_runtime('tf1'))])
def test_the_graph_of_a_million_classes(tmp_path, kind):
  """It can be built, and its outputs are what the estimate is made of."""
  with tf.python_io.TFRecordWriter(str(tmp_path / 'train')) as writer:
    for i in range(4):
      pixels = model_kinds.image(64, 64, seed=i)
      writer.write(model_kinds.record(str(i + 1), pixels, model_kinds.objects(
          64, 64, 3, seed=i)))
  sections = {'segmentation_loss': {'class_weights': []}} if (
      kind == 'segmentation') else {}
  config = factory.load_config(kind, config_file=str(model_kinds.write_config(
      tmp_path / 'c.yaml', kind, architecture={'num_classes': 10**6},
      train={'train_file_pattern': str(tmp_path / 'train')}, **sections)))[0]
  with tf.Graph().as_default() as graph:
    tf.train.get_or_create_global_step()
    batches = estimator_lib.with_batch_size(inputs.build_input_fn(
        config, modes.TRAIN), config, modes.TRAIN)({})
    features, labels = tf.data.make_initializable_iterator(batches).get_next()
    model_factory.build_model_fn(config)(
        features, labels, tf.estimator.ModeKeys.TRAIN, {})
    found = memory.peak(graph, 10**6)
  assert 2 * (found.class_variables + found.class_tensors) > (
      found.variables + found.tensors)
  with pytest.raises(errors.SetupError,
                     match='due to architecture.num_classes: 1000000'):
    memory.check(config, found, int((found.variables + found.tensors) / 2))


def test_a_training_run_says_what_it_takes(tmp_path, monkeypatch):
  said = []
  monkeypatch.setattr(memory.tf.logging, 'info',
                      lambda text, *args: said.append(text % args))

  monkeypatch.setattr(devices, 'gpu_names', lambda: [])
  config = toy.config(tmp_path)

  def train(room):
    monkeypatch.setattr(usage, 'available', lambda: room)
    hooks = memory.make_hooks(config, cluster=None)
    for steps in (2, 4):  # It is told once.
      loops.train(config, estimator_lib.build_estimator(config, toy.model_fn),
                  estimator_lib.with_batch_size(toy.input_fn, config,
                                                modes.TRAIN),
                  max_steps=steps, make_hooks=hooks)

  with pytest.raises(errors.SetupError, match='of memory are available'):
    train(10)
  assert not list(tmp_path.glob('model.ckpt*'))
  train(_GIB)
  lines = [line for line in said if line.startswith('Memory: training is')]
  assert len(lines) == 1 and 'take about 0.5 GiB' in lines[0]
  assert not memory.make_hooks(toy.config(tmp_path, use_tpu=True), None)
  assert not memory.make_hooks(config, cluster=object())


def _write(path, text):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)


def test_available_memory(tmp_path):
  """The least of the machine, and of the groups of the process."""
  root = str(tmp_path)
  assert usage.available(root) is None
  _write(tmp_path / 'proc/meminfo',
         'MemTotal: 9 kB\nMemAvailable: 990 kB\nSwapFree: 10 kB\n')
  assert usage.available(root) == 1000 * 1024
  group = tmp_path / 'sys/fs/cgroup/a'
  _write(tmp_path / 'proc/self/cgroup', '0::/a/b\n')
  for name, text in (('memory.max', '5000\n'), ('memory.current', '3000\n'),
                     ('memory.stat', 'anon 1\ninactive_file 400\n'
                                     'active_file 30\n')):
    _write(group / name, text)
  _write(group / 'b/memory.max', 'max\n')
  assert usage.available(root) == 5000 - 3000 + 430
  _write(tmp_path / 'proc/self/cgroup', '5:cpu:/c\n4:memory,x:/c\n')
  group = tmp_path / 'sys/fs/cgroup/memory'
  for name, text in (('memory.limit_in_bytes', '700'),
                     ('memory.usage_in_bytes', '900'),
                     ('memory.stat', 'inactive_file 1\n'
                                     'total_inactive_file 300\n')):
    _write(group / name, text)
  assert usage.available(root) == 100
  # That of this machine.
  assert usage.available() is None or usage.available() > 0
