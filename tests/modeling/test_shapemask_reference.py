"""ShapeMask against the reference."""

import pytest

from tests.modeling import reference_checks

pytestmark = pytest.mark.usefixtures('unoptimized')

CASES = reference_checks.cases('shapemask')


@pytest.mark.parametrize('folder', CASES, scope='module')
def test_predictions(folder):
  reference_checks.check_predictions(folder)


@pytest.mark.parametrize('folder', CASES, scope='module')
def test_training(folder):
  reference_checks.check_training(folder)
