"""The devices of a job, and the line that says which are used."""

import os

import tensorflow.compat.v1 as tf

_NVIDIA_DRIVER = '/proc/driver/nvidia/version'


def gpu_names():
  """The GPUs that TensorFlow can use, such as ['/gpu:0']."""
  gpus = tf.config.experimental.list_physical_devices('GPU')
  return ['/gpu:%d' % i for i in range(len(gpus))]


def has_unused_gpu():
  """Whether the machine has a GPU that nobody hid, but TensorFlow sees none."""
  return (os.path.exists(_NVIDIA_DRIVER) and not gpu_names()
          and 'CUDA_VISIBLE_DEVICES' not in os.environ)


def describe(config, num_replicas):
  """One sentence about the devices.

  Args:
    config: experiment; its use_tpu and platform are read.
    num_replicas: int, copies of the model in training.

  Returns:
    str.
  """
  if config.use_tpu:
    name = config.platform.tpu or 'found through the environment'
    return 'Devices: TPU (%s), %s cores.' % (name, config.train.num_shards)
  gpus = gpu_names()
  if num_replicas > 1:
    used = '%d replicas' % num_replicas + (
        ', one on each GPU' if len(gpus) == num_replicas else '')
    return 'Devices: %s; evaluation and prediction use one.' % used
  if gpus:
    return 'Devices: one GPU (%s).' % gpus[0]
  line = 'Devices: CPU (%d cores), no GPU and no TPU.' % (os.cpu_count() or 1)
  if has_unused_gpu():
    line += (' This machine has an NVIDIA GPU that TensorFlow %s does not '
             'use: `python -m tools.env` says why.' % tf.__version__)
  return line
