"""TPUs: found, checked, and what their Estimator is asked to do."""

import types

import pytest
import tensorflow.compat.v1 as tf

from executor import errors
from executor import estimator as estimator_lib
from executor import tpu
from ops import compat
from tests.executor import toy
from utils import modes


def _build(config, mode, cluster):
  return tpu.build_estimator(config, toy.model_fn, mode,
                             {'save_checkpoints_secs': 60}, cluster)


def _config(tmp_path, model='retinanet', **changes):
  changes = dict(dict(
      use_tpu=True, platform__tpu='my-tpu', platform__tpu_zone='z',
      platform__gcp_project='p', train__num_shards=8,
      train__iterations_per_loop=20), **changes)
  return toy.config(tmp_path, model, **changes)


def _fake_resolver(calls):
  def make(tpu, zone, project):
    calls.append((tpu, zone, project))
    # What RunConfig reads of a resolver.
    return types.SimpleNamespace(
        master=lambda *args, **kwargs: 'grpc://1.2.3.4:8470',
        cluster_spec=lambda: None, get_master=lambda: 'grpc://1.2.3.4:8470',
        get_job_name=lambda: 'worker', task_type=None, task_id=None)
  return make


def test_tpu_estimator(tmp_path):
  calls = []
  config = _config(
      tmp_path, train__num_cores_per_replica=2, tpu_job_name='job',
      eval__eval_batch_size=16, predict__predict_batch_size=24,
      train__input_partition_dims=[[1, 2, 1, 1], None],
      train__train_batch_size=64)
  cluster = tpu.find(config.platform, _fake_resolver(calls))
  estimator = _build(config, 'train', cluster)
  assert calls == [('my-tpu', 'z', 'p')]
  assert isinstance(estimator, tf.estimator.tpu.TPUEstimator)
  tpu_config = estimator.config.tpu_config
  assert tpu_config.iterations_per_loop == 20
  assert tpu_config.num_cores_per_replica == 2
  # NHWC as configured; the batch travels as HWCN.
  assert tpu_config.input_partition_dims == [[2, 1, 1, 1], None]
  assert tpu_config.tpu_job_name == 'job'
  assert tpu_config.per_host_input_for_training == (
      tf.estimator.tpu.InputPipelineConfig.PER_HOST_V2)
  assert estimator_lib.num_replicas(config) == 4
  with estimator._ctx.with_mode('infer') as context:
    assert context.global_batch_size == 16
  estimator = _build(config, 'predict', cluster)
  with estimator._ctx.with_mode('infer') as context:
    assert context.global_batch_size == 24
  assert estimator_lib.with_batch_size(toy.input_fn, config,
                                       modes.TRAIN) is toy.input_fn


def test_partition_of_plain_layout(tmp_path):
  config = _config(tmp_path, train__transpose_input=False,
                   train__num_cores_per_replica=2,
                   train__input_partition_dims=[[1, 2, 1, 1], 'None'])
  assert tpu.partition_dims(config) == [[1, 2, 1, 1], None]


def test_partition_of_labels(tmp_path):
  """Maps are cut as the images are, before these are transposed."""
  config = _config(
      tmp_path, train__num_cores_per_replica=4, architecture__max_level=5,
      train__input_partition_dims=[[1, 4, 1, 1], [1, 4, 1, 1]],
      retinanet_parser__output_size=[192, 64])
  cut, whole = [1, 4, 1, 1], None
  # 24, 12 and 6 rows.
  levels = {3: cut, 4: cut, 5: whole}
  assert tpu.partition_dims(config) == [[4, 1, 1, 1], {
      'cls_targets': levels, 'box_targets': levels, 'num_positives': None,
      'image_info': None}]
  config = _config(
      tmp_path, 'mask_rcnn', train__num_cores_per_replica=4,
      train__input_partition_dims=[[1, 4, 1, 1], [1, 4, 1, 1]],
      maskrcnn_parser__output_size=[128, 128])
  dims = tpu.partition_dims(config)[1]
  # Masks of objects are no map of the image.
  assert dims['gt_masks'] is None and dims['rpn_score_targets'][2] == cut


def test_tpu_that_does_not_exist(tmp_path):
  def make(name, zone, project):
    raise ValueError('Please provide a TPU Name to connect to.')
  with pytest.raises(errors.SetupError, match='no TPU my-tpu: Please.*--tpu'):
    tpu.find(_config(tmp_path).platform, make)


@pytest.mark.skipif(not compat.HAS_TPU_VMS, reason='TPU VMs need TF 2.15')
def test_tpu_vm(tmp_path):
  """TensorFlow's resolver: no address to connect to, and no TPU here."""
  config = _config(tmp_path, platform__tpu='local', platform__tpu_zone=None,
                   platform__gcp_project=None)
  cluster = tpu.find(config.platform)
  assert cluster.master() == '' and cluster.cluster_spec().jobs == []
  with pytest.raises(errors.SetupError, match='finds no TPU core at local'):
    tpu.check_cores(config, cluster)


@pytest.mark.skipif(compat.HAS_TPU_VMS, reason='TF 2.15 drives TPU VMs')
def test_tpu_vm_of_an_old_runtime(tmp_path):
  with pytest.raises(errors.SetupError, match='RUNTIME=tf2'):
    tpu.find(_config(tmp_path, platform__tpu='local').platform)


def test_cores_of_the_slice(tmp_path):
  config = _config(tmp_path)
  tpu.check_cores(config, None, lambda _: 8)
  with pytest.raises(errors.SetupError, match='is 8, .*my-tpu has 32 cores'):
    tpu.check_cores(config, None, lambda _: 32)


def test_cores_are_asked_for(tmp_path):
  """A server without a TPU, and an address where none is."""
  server = tf.train.Server.create_local_server()
  cluster = types.SimpleNamespace(master=lambda: server.target,
                                  cluster_spec=lambda: None)
  with pytest.raises(errors.SetupError, match='finds no TPU core at my-tpu'):
    tpu.check_cores(_config(tmp_path), cluster)


def test_tpu_that_does_not_answer(tmp_path):
  def count(cluster):
    raise tf.errors.DeadlineExceededError(None, None, 'Deadline Exceeded')
  with pytest.raises(errors.SetupError, match='my-tpu does not answer: Dead'):
    tpu.check_cores(_config(tmp_path), None, count)


def test_a_pod_does_not_evaluate():
  config = toy.config('/m', use_tpu=True, platform__tpu='pod')
  resolver = tf.distribute.cluster_resolver.TPUClusterResolver
  one = resolver('grpc://10.0.0.1:8470')
  tpu.check_one_host(config, one)
  two = resolver('grpc://10.0.0.1:8470,grpc://10.0.0.2:8470')
  with pytest.raises(errors.SetupError, match='pod has 2 hosts'):
    tpu.check_one_host(config, two)
