"""The devices of a job, and the line that says which are used."""

import glob
import os
from typing import List, Optional

import tensorflow.compat.v1 as tf

from configs import base
from executor import cluster as cluster_lib
from utils import processors

_NVIDIA_DRIVER = '/proc/driver/nvidia/version'
_NVIDIA_GPUS = '/proc/driver/nvidia/gpus/*'


def gpu_names() -> List[str]:
  """The GPUs that TensorFlow can use, such as ['/gpu:0']."""
  gpus = tf.config.experimental.list_physical_devices('GPU')
  return ['/gpu:%d' % i for i in range(len(gpus))]


def warnings() -> List[str]:
  """Sentences about visible GPUs that are not used.

  Returns:
    [str].
  """
  if 'CUDA_VISIBLE_DEVICES' in os.environ or not os.path.exists(_NVIDIA_DRIVER):
    return []
  used = len(gpu_names())
  # The driver has a folder for each GPU, which containers may lack.
  installed = max(1, len(glob.glob(_NVIDIA_GPUS)))
  if used >= installed:
    return []
  return ['!!! This machine has %d NVIDIA GPU(s), of which TensorFlow %s uses '
          '%s. `python -m tools.env` reports why; CUDA_VISIBLE_DEVICES="" '
          'declares that this is intended.' % (
              installed, tf.__version__, used or 'none')]


def describe(config: base.Config, num_replicas: int,
             cluster: Optional[cluster_lib.Cluster] = None) -> str:
  """One sentence about the devices.

  Args:
    config: experiment; its use_tpu and platform are read.
    num_replicas: int, copies of the model in training.
    cluster: executor.cluster.Cluster, if this is one of several workers.

  Returns:
    str.
  """
  if config.use_tpu:
    name = config.platform.tpu or 'found through the environment'
    return 'Devices: TPU (%s), %s cores.' % (name, config.train.num_shards)
  gpus = gpu_names()
  if cluster:
    return ('Devices: %d workers with %d replicas together; this one is worker '
            '%d%s.' % (cluster.num_workers, num_replicas, cluster.index,
                       ', the chief' if cluster.is_chief else ''))
  if num_replicas > 1:
    used = '%d replicas' % num_replicas + (
        ', one on each GPU' if len(gpus) == num_replicas else '')
    return 'Devices: %s; evaluation and prediction use one.' % used
  if gpus:
    return 'Devices: one GPU (%s).' % gpus[0]
  return 'Devices: CPU (%d cores), no GPU and no TPU.' % processors.available()
