"""The same training on one device, on several, and in several processes.

  python -m tests.executor.replicas SPEC.json

runs one training in a process of its own; SPEC.json has the arguments of
`config_of`. TF_CONFIG may make it one of several workers. Of one worker alone,
REPLICAS_MODEL_DIR replaces the folder and REPLICAS_NAN_STEP spoils the batches
from that step on.
"""

import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from dataloader import factory as dataloader_factory
from executor import checkpoints
from executor import cluster as cluster_lib
from executor import errors
from executor import estimator as estimator_lib
from executor import loops
from executor import model_dir as model_dir_lib
from executor import watchdog
from modeling import factory
from modeling import model_fn
from modeling import storage
from ops import compat
from utils import fields
from utils import modes

GLOBAL_BATCH, STEPS, SIDE = 8, 5, 64
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
_EVERYWHERE = {
    'use_tpu': False, 'resnet.resnet_depth': 10,
    'architecture.num_classes': 4, 'architecture.use_bfloat16': False,
    'train.train_batch_size': GLOBAL_BATCH, 'train.total_steps': STEPS,
    'train.save_checkpoints_steps': 1000, 'train.log_every_steps': 1,
    'train.seed': 1, 'train.transpose_input': False,
    # Smooth: a relu whose input is zero up to rounding has either gradient.
    'batch_norm_activation.activation': 'swish',
    'train.learning_rate.warmup_steps': 0}
_OF_DETECTORS = {
    'batch_norm_activation.batch_norm_trainable': False,
    'architecture.max_level': 5, 'fpn.fpn_feat_dims': 8,
    'train.learning_rate.init_learning_rate': .01}
# Nothing is drawn: all regions are sampled, there are no more.
SMALL = {
    'classification': {
        'classification_head.dropout_rate': 0.,
        'classification_parser.output_size': [SIDE, SIDE],
        'train.learning_rate.init_learning_rate': 2e-3},
    'retinanet': dict(_OF_DETECTORS, **{
        'anchor.num_scales': 1, 'retinanet_head.num_convs': 1,
        'retinanet_head.num_filters': 8,
        'train.learning_rate.init_learning_rate': 1e-4,
        'retinanet_parser.output_size': [SIDE, SIDE]}),
    'mask_rcnn': dict(_OF_DETECTORS, **{
        'anchor.num_scales': 1, 'rpn_head.num_filters': 8,
        'frcnn_head.fc_dims': 8, 'mrcnn_head.num_convs': 1,
        'mrcnn_head.num_filters': 8,
        'maskrcnn_parser.output_size': [SIDE, SIDE],
        'maskrcnn_parser.max_num_instances': 4,
        'roi_proposal.rpn_post_nms_top_k': 12,
        'roi_sampling.num_samples_per_image': 16,
        'roi_sampling.fg_fraction': 1.,
        'mask_sampling.num_mask_samples_per_image': 16}),
}


def config_of(model, model_dir, **changes):
  """The small configuration of a model, with changes by key ('__')."""
  values = dict(_EVERYWHERE, model_dir=str(model_dir))
  values.update(SMALL[model])
  values.update({k.replace('__', '.'): v for k, v in changes.items()})
  return config_factory.load_config(model, extra=values)[0]


def batches(config):
  """(params, input_context) -> the same batches for any number of replicas.

  Each replica gets so many neighbouring images of the global batch.
  """
  spec = dataloader_factory.build_parser(config, modes.TRAIN).labels_spec()
  rng = np.random.RandomState(3)
  number = GLOBAL_BATCH * STEPS
  labels = _random_labels(spec, number, rng)
  images = rng.randn(number, SIDE, SIDE, 3).astype(np.float32)

  def input_fn(params, input_context=None):
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).repeat()
    dataset = dataset.batch(params['batch_size'], drop_remainder=True)
    if input_context:
      dataset = dataset.shard(input_context.num_input_pipelines,
                              input_context.input_pipeline_id)
    return dataset

  return input_fn


def _random_labels(spec, number, rng):
  """A nest of arrays [number, ...] that is like labels of real images."""
  if not isinstance(spec, dict):
    return rng.randint(0, 4, [number]).astype(np.int32)
  labels = tf.nest.map_structure(lambda s: _random(s, number, rng), spec)
  labels[fields.IMAGE_INFO][:] = [[SIDE, SIDE], [SIDE, SIDE], [1, 1], [0, 0]]
  if fields.NUM_POSITIVES in labels:  # Of a level of 64 anchors and so on.
    labels[fields.NUM_POSITIVES] += 30
  if fields.GT_BOXES in labels:
    corners = rng.uniform(0, 24, [number, 4, 2])
    labels[fields.GT_BOXES][..., :2] = corners
    labels[fields.GT_BOXES][..., 2:] = corners + rng.uniform(
        12, 36, [number, 4, 2])
    labels[fields.GT_CLASSES] = rng.randint(1, 4, [number, 4])
  return labels


def _random(spec, number, rng):
  shape = [number] + spec.shape.as_list()
  dtype = spec.dtype.as_numpy_dtype
  if spec.dtype.is_integer:  # Of anchors: -1 is 'ignore', 0 background.
    return rng.randint(-1, 2, shape).astype(dtype)
  return rng.uniform(0, 1, shape).astype(dtype)


def train(config, devices=(), max_steps=None, cluster=None, model=None,
          input_fn=None):
  """Trains as main.py does.

  Args:
    config: experiment.
    devices: [device name], the replicas of this process.
    max_steps: int; None: `train.total_steps`.
    cluster: executor.cluster.Cluster, if it is one of several workers.
    model: instead of the configured one.
    input_fn: instead of `batches`.
  """
  made = model_fn.make_model_fn(model or factory.build_model(config),
                                config.train, factory.settings_of(config))
  replicas = estimator_lib.num_replicas(config, list(devices), cluster)
  estimator = estimator_lib.build_estimator(
      config, made, devices=list(devices), cluster=cluster)
  loops.train(config, estimator, estimator_lib.with_batch_size(
      input_fn or batches(config), config, modes.TRAIN, replicas), max_steps,
              cluster)


def start_from(folder, start):
  """Copies the checkpoint of step 0 of a training run into a new folder."""
  os.makedirs(str(folder))
  for name in os.listdir(str(start)):
    if name.startswith('model.ckpt-0.'):
      shutil.copy(os.path.join(str(start), name), str(folder))
  tf.train.update_checkpoint_state(
      str(folder), os.path.join(str(folder), 'model.ckpt-0'))
  return folder


def weights(model_dir):
  """{variable: array} of the newest checkpoint, without counters."""
  path = checkpoints.latest(str(model_dir))
  assert checkpoints.step_of(path) == STEPS
  reader = tf.train.load_checkpoint(path)
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name != tf.GraphKeys.GLOBAL_STEP}


def losses(model_dir):
  """[total of each step] of a training run."""
  lines = storage.read_json_lines(
      model_dir_lib.train_log_path(str(model_dir)))
  return [line[fields.MODEL_LOSS] for line in lines]


def run_workers(folder, number, config_arguments, **arguments):
  """Runs a training run in processes that TF_CONFIG connects.

  Args:
    folder: for the specification and the output.
    number: int, of workers.
    config_arguments: {'model', 'model_dir' and changes} of `config_of`.
    **arguments: of `start_workers`.

  Returns:
    [(exit code, output)] of the workers.
  """
  return [(p.wait(), output(folder, i)) for i, p in enumerate(
      start_workers(folder, number, config_arguments, **arguments))]


def start_workers(folder, number, config_arguments, environments=None):
  """Starts the processes of `run_workers`; [subprocess.Popen].

  Args:
    environments: [{name: value}] for each worker, over this process's own.
  """
  path = os.path.join(str(folder), 'spec.json')
  with open(path, 'w') as f:
    json.dump(config_arguments, f)
  addresses = ['127.0.0.1:%d' % port for port in free_ports(number)]
  processes = []
  for i in range(number):
    environment = dict(os.environ, PYTHONPATH=_ROOT, TF_CONFIG=json.dumps({
        'cluster': {'worker': addresses},
        'task': {'type': 'worker', 'index': i}}))
    environment.update(environments[i] if environments else {})
    with open(_output_path(folder, i), 'w') as output:
      processes.append(subprocess.Popen(
          [sys.executable, '-m', 'tests.executor.replicas', path], cwd=_ROOT,
          env=environment, stdout=output, stderr=subprocess.STDOUT))
  return processes


def _output_path(folder, index):
  return os.path.join(str(folder), 'worker-%d.txt' % index)


def output(folder, index):
  """What a worker printed."""
  with open(_output_path(folder, index)) as f:
    return f.read()


def free_ports(number):
  """[port] of this machine that nobody uses."""
  sockets = [socket.socket() for _ in range(number)]
  for one in sockets:
    one.bind(('127.0.0.1', 0))
  ports = [one.getsockname()[1] for one in sockets]
  for one in sockets:
    one.close()
  return ports


def _spoiled(input_fn, step):
  """Its batches, NaN from a step on."""
  def spoiled_input_fn(params, input_context=None):
    dataset = input_fn(params, input_context)
    return dataset.take(step).concatenate(
        dataset.map(lambda images, labels: (images * np.nan, labels)))
  return spoiled_input_fn


def main(argv):
  with open(argv[1]) as f:
    arguments = json.load(f)
  if 'REPLICAS_MODEL_DIR' in os.environ:
    arguments['model_dir'] = os.environ['REPLICAS_MODEL_DIR']
  config = config_of(**arguments)
  input_fn = batches(config)
  if 'REPLICAS_NAN_STEP' in os.environ:
    input_fn = _spoiled(input_fn, int(os.environ['REPLICAS_NAN_STEP']))
  compat.enable_graph_mode()
  cluster = cluster_lib.read()
  watchdog._WORKER_POLL_SECONDS = 1.
  with watchdog.watching(None, {}, *(
      (cluster.workers, cluster.index) if cluster else ())):
    try:
      train(config, cluster=cluster, input_fn=input_fn)
    except errors.JobError as e:  # As main.py has it.
      sys.stderr.write('Error: %s\n' % e)
      return e.exit_code
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv))
