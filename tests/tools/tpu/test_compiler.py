"""The compiler of Cloud TPUs, where `make tpu-check` has installed it."""

import os

import pytest

from configs import factory
from tests.modeling import test_labels_spec
from tools.tpu import check
from tools.tpu import environments

SIZE = 128
PYTHON = os.path.join(environments.ROOT, '.venv-tpu', 'bin', 'python')
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists(PYTHON), reason='the TPU compiler is '
                       'not installed; make tpu-check installs it')]


def _compiled(tmp_path, cores, **kwargs):
  """Result of a small RetinaNet whose images `cores` cores share."""
  config, _ = factory.load_config(
      'retinanet', None, dict(test_labels_spec.SMALL['retinanet']), {'train': {
          'num_cores_per_replica': cores,
          'input_partition_dims': [[1, cores, 1, 1], [1, cores, 1, 1]]}})
  one = check.Check(check.for_tpu(config, SIZE), str(tmp_path / str(cores)),
                    **kwargs)
  return one.compile(one.lower('train', 2, True), 'v3:2x2', 2)


def test_cores_share_the_work_of_an_image(tmp_path):
  alone, shared = _compiled(tmp_path, 1), _compiled(tmp_path, 2)
  assert alone['program']['exchanges'] == [0, 0]
  opcodes = shared['program']['opcodes']
  # Rows at the borders, and sums of the statistics and gradients.
  assert opcodes['collective-permute'] > 10 and opcodes['all-reduce'] > 10
  assert .5 < shared['cost']['flops'] / alone['cost']['flops'] < .6
  # Temporaries of so small a step do not shrink; its inputs do.
  assert shared['memory']['arguments'] < alone['memory']['arguments']
  figures = shared['figures']['infeed_bytes'], alone['figures']['infeed_bytes']
  assert .5 < figures[0] / figures[1] < .51


def test_replicas_of_cores_that_share(tmp_path):
  result = _compiled(tmp_path, 2, replicas=2)
  assert result['figures']['fits']
  assert result['replicas'] == result['partitions'] == 2


def test_more_devices_than_a_slice_has(tmp_path):
  with pytest.raises(environments.ToolError, match='v3:2x2 has 8 devices; 5 '
                     'replicas of 2 devices make 10'):
    _compiled(tmp_path, 2, replicas=5)
