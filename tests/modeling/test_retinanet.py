"""RetinaNet against the reference: predictions, losses, gradients, steps."""

import pytest

from tests.modeling import reference_checks

# Each member of a family costs as much again; the smallest shows the code.
PREDICTIONS = reference_checks.cases('retinanet', slow='retinanet_spinenet49$')
TRAINING = reference_checks.cases('retinanet', slow='.*(spinenet|efficientnet)')


@pytest.mark.parametrize('folder', PREDICTIONS)
def test_predictions(folder):
  reference_checks.check_predictions(folder)


@pytest.mark.parametrize('folder', TRAINING)
def test_training(folder):
  reference_checks.check_training(folder)
