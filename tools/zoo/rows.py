"""The rows of the published model zoo, as data.

The figures are those printed in MODEL_ZOO.md and the project pages of
`models/official/detection` of tensorflow/tpu; they were measured there, not
here.
"""

from typing import NamedTuple


class Row(NamedTuple):
  """A row of the model zoo.

  Attributes:
    section: section of the page, where the row stands.
    name: name of the row.
    config_file: below configs/experiments.
    epochs: published length of training.
    params: published, in millions, as printed ('' where nothing is printed).
    flops: published, in billions of multiply-adds, likewise.
    accuracy: published.
    fits: whether the published figures are those of this configuration; where
      not, another row has them.
    flops_tolerance: relative, where the printed digits differ.
    params_tolerance: relative, where the printed digits differ.
    unused_params: number that the published one includes and this model lacks.
  """
  section: str
  name: str
  config_file: str
  epochs: str
  params: str
  flops: str
  accuracy: str
  fits: bool
  flops_tolerance: float
  params_tolerance: float
  unused_params: int


RETINANET = 'RetinaNet, COCO'
MASK_RCNN = 'Mask R-CNN, COCO'
IMAGENET = 'Classification, ImageNet'
COPY_PASTE = 'Copy-paste (Cascade) Mask R-CNN, COCO'
PASCAL = 'Segmentation, Pascal VOC'
SECTIONS = (RETINANET, MASK_RCNN, IMAGENET, COPY_PASTE, PASCAL)


def _row(section, name, config_file, epochs, params, flops, accuracy,
         fits=True, flops_tolerance=3e-3, params_tolerance=0., unused_params=0):
  return Row(section, name, config_file + '.yaml', epochs, params, flops,
             accuracy, fits, flops_tolerance, params_tolerance, unused_params)


def _retinanet(*args, **kwargs):
  return _row(RETINANET, *args, **kwargs)


def _mask_rcnn(*args, **kwargs):
  return _row(MASK_RCNN, *args, **kwargs)


def _imagenet(*args):
  return _row(IMAGENET, *args, flops_tolerance=1.5e-2)


def _copy_paste(*args):
  return _row(COPY_PASTE, *args)


ROWS = (
    _retinanet('ResNet-50-FPN', 'zoo/retinanet_resnet50_fpn_640', '350',
               '34.0', '97.0', 'AP 40.4'),
    _retinanet('ResNet-101-FPN', 'zoo/retinanet_resnet101_fpn_1024', '350',
               '53.1', '326.3', 'AP 43.9'),
    _retinanet('ResNet-152-FPN', 'zoo/retinanet_resnet152_fpn_1280', '350',
               '68.7', '630.5', 'AP 45.2'),
    _retinanet('ResNet-50-NAS-FPN, 7 cells',
               'zoo/retinanet_resnet50_nasfpn_7cells_640_72ep', '72',
               '60.3', '140.6', 'AP 37.3', params_tolerance=4e-3),
    _retinanet('ResNet-50-NAS-FPN, 7 cells',
               'zoo/retinanet_resnet50_nasfpn_7cells_640_350ep', '350',
               '60.3', '140.6', 'AP 42.4', params_tolerance=4e-3),
    _retinanet('ResNet-50-NAS-FPN, 5 cells',
               'zoo/retinanet_resnet50_nasfpn_640_72ep', '72',
               '60.3', '140.6', 'AP 37.3', fits=False),
    _retinanet('ResNet-50-NAS-FPN, 5 cells',
               'zoo/retinanet_resnet50_nasfpn_640_350ep', '350',
               '60.3', '140.6', 'AP 42.4', fits=False),
    _retinanet('SpineNet-49', 'zoo/retinanet_spinenet49_72ep', '72',
               '28.5', '85.4', 'AP 37.7'),
    _retinanet('SpineNet-49S, width 256',
               'zoo/retinanet_spinenet49S_endpoints256_350ep', '350',
               '11.9', '33.8', 'AP 39.5'),
    _retinanet('SpineNet-49S, width 128', 'zoo/retinanet_spinenet49S_350ep',
               '350', '11.9', '33.8', 'AP 39.5', fits=False),
    _retinanet('SpineNet-49', 'zoo/retinanet_spinenet49_350ep', '350',
               '28.5', '85.4', 'AP 42.8'),
    _retinanet('SpineNet-96', 'zoo/retinanet_spinenet96_350ep', '350',
               '43.0', '265.4', 'AP 46.7'),
    _retinanet('SpineNet-143', 'zoo/retinanet_spinenet143_350ep', '350',
               '67.0', '524.0', 'AP 48.0'),
    _retinanet('SpineNet-49S, width 256, swish, stochastic depth',
               'zoo/retinanet_spinenet49S_endpoints256', '500',
               '11.9', '33.8', 'AP 41.5'),
    _retinanet('SpineNet-49S, width 128, swish, stochastic depth',
               'spinenet/spinenet49S_retinanet', '500',
               '11.9', '33.8', 'AP 41.5', fits=False),
    _retinanet('SpineNet-49, swish, stochastic depth',
               'spinenet/spinenet49_retinanet', '500',
               '28.5', '85.4', 'AP 44.3'),
    _retinanet('SpineNet-96, swish, stochastic depth',
               'spinenet/spinenet96_retinanet', '500',
               '43.0', '265.4', 'AP 48.5'),
    _retinanet('SpineNet-143, swish, stochastic depth',
               'spinenet/spinenet143_retinanet', '500',
               '67.0', '524.0', 'AP 50.6'),
    _retinanet('SpineNet-190, swish, stochastic depth',
               'spinenet/spinenet190_retinanet', '400',
               '163.6', '1885.0', 'AP 52.0'),
    _retinanet('SpineNet-MBConv-49', 'spinenet/spinenet-mbconv49_retinanet',
               '600', '2.34', '1.0', 'AP 28.6', flops_tolerance=5e-3),
    _mask_rcnn('SpineNet-49', 'spinenet/spinenet49_mrcnn', '350',
               '40.8', '215.7', 'box AP 42.8, mask AP 37.8'),
    _mask_rcnn('SpineNet-96', 'spinenet/spinenet96_mrcnn', '350',
               '55.2', '314.6', 'box AP 46.8, mask AP 41.2'),
    _mask_rcnn('SpineNet-143', 'spinenet/spinenet143_mrcnn', '350',
               '79.2', '498.4', 'box AP 48.7, mask AP 42.6'),
    _mask_rcnn('SpineNet-190, 1 RPN convolution',
               'zoo/mask_rcnn_spinenet190_rpn1conv', '400',
               '168.2', '1685.7', 'box AP 52.0, mask AP 45.9'),
    _mask_rcnn('SpineNet-190, 7 RPN convolutions', 'spinenet/spinenet190_mrcnn',
               '400', '168.2', '1685.7', 'box AP 52.0, mask AP 45.9',
               fits=False),
    _imagenet('ResNet-34', 'zoo/classification_resnet34', '200',
              '21.8', '3.7', 'top-1 74.4 %'),
    _imagenet('ResNet-50', 'zoo/classification_resnet50', '200',
              '25.6', '4.1', 'top-1 77.1 %'),
    _imagenet('ResNet-101', 'zoo/classification_resnet101', '200',
              '44.6', '7.8', 'top-1 78.2 %'),
    _imagenet('ResNet-152', 'zoo/classification_resnet152', '200',
              '60.2', '11.5', 'top-1 78.4 %'),
    _imagenet('SpineNet-49', 'zoo/classification_spinenet49', '200',
              '22.1', '3.5', 'top-1 77.0 %'),
    _imagenet('SpineNet-96', 'zoo/classification_spinenet96', '200',
              '36.5', '5.7', 'top-1 78.2 %'),
    _imagenet('SpineNet-143', 'zoo/classification_spinenet143', '200',
              '60.5', '9.1', 'top-1 79.0 %'),
    _imagenet('SpineNet-49, swish, stochastic depth',
              'spinenet/spinenet49_classification', '200',
              '22.1', '3.5', 'top-1 78.1 %'),
    _imagenet('SpineNet-96, swish, stochastic depth',
              'spinenet/spinenet96_classification', '200',
              '36.5', '5.7', 'top-1 79.4 %'),
    _imagenet('SpineNet-143, swish, stochastic depth',
              'spinenet/spinenet143_classification', '200',
              '60.5', '9.1', 'top-1 80.1 %'),
    _imagenet('SpineNet-190, swish, stochastic depth',
              'spinenet/spinenet190_classification', '200',
              '127.1', '19.1', 'top-1 80.8 %'),
    _copy_paste('ResNet-50-FPN', 'copy_paste/maskrcnn_resnet50_1024', '',
                '', '', 'box AP 48.3, mask AP 42.4'),
    _copy_paste('ResNet-101-FPN', 'copy_paste/maskrcnn_resnet101_1024', '',
                '', '', 'box AP 49.8, mask AP 43.5'),
    _copy_paste('ResNet-101-FPN', 'copy_paste/maskrcnn_resnet101_1280', '',
                '', '', 'box AP 50.3, mask AP 44.1'),
    _copy_paste('EfficientNet-B7-FPN', 'copy_paste/maskrcnn_effb7_640', '',
                '', '', 'box AP 50.0, mask AP 43.7'),
    _copy_paste('EfficientNet-B7-FPN', 'copy_paste/maskrcnn_effb7_1024', '',
                '', '', 'box AP 51.9, mask AP 45.1'),
    _copy_paste('EfficientNet-B7-FPN', 'copy_paste/maskrcnn_effb7_1280', '',
                '', '', 'box AP 52.5, mask AP 45.8'),
    _copy_paste('Cascade EfficientNet-B7-FPN',
                'copy_paste/cascade_maskrcnn_effb7_1280', '', '118', '',
                'box AP 54.0, mask AP 46.3'),
    _copy_paste('Cascade EfficientNet-B7-NAS-FPN, without copy-paste',
                'copy_paste/cascade_maskrcnn_effb7_nasfpn_vanilla_1280', '',
                '', '', 'box AP 54.4, mask AP 46.6'),
    _copy_paste('Cascade EfficientNet-B7-NAS-FPN',
                'copy_paste/cascade_maskrcnn_effb7_nasfpn_1280', '', '', '',
                'box AP 55.8, mask AP 47.1; with self-training box AP 57.0, '
                'mask AP 48.8'),
    _row(PASCAL, 'EfficientNet-B7-NAS-FPN',
         'self_training/pascal_seg_efficientnet-b7-nasfpn', '', '71', '',
         'mIoU 85.2; with self-training 86.7', unused_params=4204520),
    _row(PASCAL, 'EfficientNet-L2-NAS-FPN',
         'self_training/pascal_seg_efficientnet-l2-nasfpn', '', '485', '',
         'mIoU 88.7; with self-training 90.0', unused_params=13089512),
)
