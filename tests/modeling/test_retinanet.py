"""RetinaNet against the reference: predictions, losses, gradients, steps."""

import pytest

from tests.modeling import reference_checks


@pytest.mark.parametrize('folder', reference_checks.cases('retinanet'))
def test_predictions(folder):
  reference_checks.check_predictions(folder)


@pytest.mark.parametrize('folder', reference_checks.cases('retinanet'))
def test_training(folder):
  reference_checks.check_training(folder)
