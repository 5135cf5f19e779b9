"""Exports of one runtime in the other."""

import os
import subprocess
import sys

import pytest

from serving import export
from serving import parity
from serving import sources
from tests.serving import small_models

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def _other_python():
  """The interpreter of the other runtime, if `make setup` has made it."""
  name = '.venv-tf1' if sys.version_info >= (3, 11) else '.venv-tf2'
  path = os.path.join(_ROOT, name, 'bin', 'python')
  if not os.path.exists(path):
    pytest.skip('The other runtime is not installed: %s.' % path)
  return path


def _export_with(python, checkpoint, folder):
  subprocess.run(
      [python, '-m', 'tools.export_saved_model', '--checkpoint_path',
       checkpoint, '--export_dir', str(folder)], cwd=_ROOT, check=True,
      stdout=subprocess.DEVNULL, env=dict(os.environ, CUDA_VISIBLE_DEVICES=''))


@pytest.mark.slow
def test_exports_of_the_older_runtime_are_read_by_both(tmp_path):
  older = (_other_python() if sys.version_info >= (3, 11) else sys.executable)
  newer = (sys.executable if sys.version_info >= (3, 11) else _other_python())
  checkpoint = small_models.make(tmp_path / 'm', 'mask_rcnn')
  _export_with(older, checkpoint, tmp_path / 'v1')
  source = sources.find_checkpoint(tmp_path / 'm')
  the_plan = export.plan(source.config, source.checkpoint)
  images = parity.made_images(the_plan)
  answers = [parity.answers_of_export(str(tmp_path / 'v1'), images, python)
             for python in (older, newer)]
  differences = parity.compare(*answers)
  # Detections, as trained models have them, differ by less.
  assert differences and all(
      d.greatest <= 10 * d.allowed for d in differences), differences


@pytest.mark.slow
def test_exports_of_the_newer_runtime_say_so_to_the_older(tmp_path):
  older = (_other_python() if sys.version_info >= (3, 11) else sys.executable)
  newer = (sys.executable if sys.version_info >= (3, 11) else _other_python())
  checkpoint = small_models.make(tmp_path / 'm', 'retinanet')
  _export_with(newer, checkpoint, tmp_path / 'v1')
  with pytest.raises(parity.ParityError,
                     match='written by TensorFlow 2.* cannot read'):
    parity.answers_of_export(str(tmp_path / 'v1'), [b''], older)
