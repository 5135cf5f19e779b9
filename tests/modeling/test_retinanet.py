"""RetinaNet against the reference: predictions, losses, gradients, steps."""

import pytest

from tests.modeling import reference_checks

pytestmark = pytest.mark.usefixtures('unoptimized')

# Each member of a family costs as much again; the smallest shows the code.
PREDICTIONS = reference_checks.cases(
    'retinanet', slow='retinanet_spinenet49$',
    tf1=['retinanet_resnet50', 'retinanet_no_head_bn', 'retinanet_nasfpn',
         'retinanet_spinenet49S'],
    tf2=['retinanet_fpn_separable', 'retinanet_sync_bn_clip',
         'retinanet_efficientnet-b0', 'retinanet_spinenet_mbconv49'])
TRAINING = reference_checks.cases(
    'retinanet', slow='.*(spinenet|efficientnet)',
    tf1=['retinanet_resnet50', 'retinanet_no_head_bn',
         'retinanet_fpn_separable'],
    tf2=['retinanet_sync_bn_clip', 'retinanet_nasfpn'])


@pytest.mark.parametrize('folder', PREDICTIONS, scope='module')
def test_predictions(folder):
  reference_checks.check_predictions(folder)


@pytest.mark.parametrize('folder', TRAINING, scope='module')
def test_training(folder):
  reference_checks.check_training(folder)
