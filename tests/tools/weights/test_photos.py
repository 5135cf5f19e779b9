"""Real weights on photographs, against what PyTorch computes with them."""

import os

import numpy as np
from PIL import Image
import pytest

from serving import predictor
from tests.tools.weights import test_layouts
from tools.weights import registry

_NAME = 'efficientnet-lite0'
# What is right for a photograph.
RIGHT = {'banana': {'banana'}, 'bike': {'mountain bike'}, 'car': {'sports car'},
         'cat': {'tabby', 'tiger cat'}, 'pizza': {'pizza'}, 'pug': {'pug'}}


@pytest.fixture(scope='module')
def model_dir(tmp_path_factory):
  """That of `make weights`; it is brought where it is not there."""
  folder = os.path.join('weights', _NAME)
  if os.path.exists(os.path.join(folder, 'import.json')):
    return folder
  output = tmp_path_factory.mktemp('weights')
  try:
    registry.bring(_NAME, str(output / _NAME))
  except ValueError as e:
    if 'pip could not bring' not in str(e):
      raise
    pytest.skip(str(e))
  return str(output / _NAME)


@pytest.mark.slow
def test_photographs(model_dir):
  detect = predictor.load(model_dir)
  with np.load(os.path.join(test_layouts.FOLDER, 'photos.npz')) as file:
    names, theirs = file['names'], file['logits']
  right = 0
  for name, logits in zip(names, theirs):
    path = os.path.join(test_layouts.FOLDER, 'photos', name)
    answer = detect(np.asarray(Image.open(path)))
    expected = RIGHT[name.split('.')[0]]
    right += bool({detect.class_names[i] for i in answer.classes} & expected)
    odds = np.exp(logits - logits.max())
    # Of the edge, see test_layouts; measured: .22 for the cat, below .1 for
    # the others.
    assert answer.scores[0] == pytest.approx(
        odds[answer.classes[0] - 1] / odds.sum(), abs=.25)
  detect.close()
  assert right == len(RIGHT)
