"""The table of augmentation policies.

A policy is a list of sub-policies; for an image one of them is drawn, and its
steps (operation, probability, level 0 to 10) follow one another.

Source: v0 to v3 and test as in upstream's autoaugment_utils.py (v1 is the
one of arXiv:1906.11172); imagenet: AutoAugment (arXiv:1805.09501), table 9.
"""

from typing import Tuple

from configs import base

_V0 = (
    (('TranslateX_BBox', 0.6, 4), ('Equalize', 0.8, 10)),
    (('TranslateY_Only_BBoxes', 0.2, 2), ('Cutout', 0.8, 8)),
    (('Sharpness', 0.0, 8), ('ShearX_BBox', 0.4, 0)),
    (('ShearY_BBox', 1.0, 2), ('TranslateY_Only_BBoxes', 0.6, 6)),
    (('Rotate_BBox', 0.6, 10), ('Color', 1.0, 6)),
)
_V1 = _V0 + (
    (('Color', 0.0, 0), ('ShearX_Only_BBoxes', 0.8, 4)),
    (('ShearY_Only_BBoxes', 0.8, 2), ('Flip_Only_BBoxes', 0.0, 10)),
    (('Equalize', 0.6, 10), ('TranslateX_BBox', 0.2, 2)),
    (('Color', 1.0, 10), ('TranslateY_Only_BBoxes', 0.4, 6)),
    (('Rotate_BBox', 0.8, 10), ('Contrast', 0.0, 10)),
    (('Cutout', 0.2, 2), ('Brightness', 0.8, 10)),
    (('Color', 1.0, 6), ('Equalize', 1.0, 2)),
    (('Cutout_Only_BBoxes', 0.4, 6), ('TranslateY_Only_BBoxes', 0.8, 2)),
    (('Color', 0.2, 8), ('Rotate_BBox', 0.8, 10)),
    (('Sharpness', 0.4, 4), ('TranslateY_Only_BBoxes', 0.0, 4)),
    (('Sharpness', 1.0, 4), ('SolarizeAdd', 0.4, 4)),
    (('Rotate_BBox', 1.0, 8), ('Sharpness', 0.2, 8)),
    (('ShearY_BBox', 0.6, 10), ('Equalize_Only_BBoxes', 0.6, 8)),
    (('ShearX_BBox', 0.2, 6), ('TranslateY_Only_BBoxes', 0.2, 10)),
    (('SolarizeAdd', 0.6, 8), ('Brightness', 0.8, 10)),
)
_V2 = (
    (('Color', 0.0, 6), ('Cutout', 0.6, 8), ('Sharpness', 0.4, 8)),
    (('Rotate_BBox', 0.4, 8), ('Sharpness', 0.4, 2), ('Rotate_BBox', 0.8, 10)),
    (('TranslateY_BBox', 1.0, 8), ('AutoContrast', 0.8, 2)),
    (('AutoContrast', 0.4, 6), ('ShearX_BBox', 0.8, 8),
     ('Brightness', 0.0, 10)),
    (('SolarizeAdd', 0.2, 6), ('Contrast', 0.0, 10), ('AutoContrast', 0.6, 0)),
    (('Cutout', 0.2, 0), ('Solarize', 0.8, 8), ('Color', 1.0, 4)),
    (('TranslateY_BBox', 0.0, 4), ('Equalize', 0.6, 8), ('Solarize', 0.0, 10)),
    (('TranslateY_BBox', 0.2, 2), ('ShearY_BBox', 0.8, 8),
     ('Rotate_BBox', 0.8, 8)),
    (('Cutout', 0.8, 8), ('Brightness', 0.8, 8), ('Cutout', 0.2, 2)),
    (('Color', 0.8, 4), ('TranslateY_BBox', 1.0, 6), ('Rotate_BBox', 0.6, 6)),
    (('Rotate_BBox', 0.6, 10), ('BBox_Cutout', 1.0, 4), ('Cutout', 0.2, 8)),
    (('Rotate_BBox', 0.0, 0), ('Equalize', 0.6, 6), ('ShearY_BBox', 0.6, 8)),
    (('Brightness', 0.8, 8), ('AutoContrast', 0.4, 2), ('Brightness', 0.2, 2)),
    (('TranslateY_BBox', 0.4, 8), ('Solarize', 0.4, 6),
     ('SolarizeAdd', 0.2, 10)),
    (('Contrast', 1.0, 10), ('SolarizeAdd', 0.2, 8), ('Equalize', 0.2, 4)),
)
_V3 = (
    (('Posterize', 0.8, 2), ('TranslateX_BBox', 1.0, 8)),
    (('BBox_Cutout', 0.2, 10), ('Sharpness', 1.0, 8)),
    (('Rotate_BBox', 0.6, 8), ('Rotate_BBox', 0.8, 10)),
    (('Equalize', 0.8, 10), ('AutoContrast', 0.2, 10)),
    (('SolarizeAdd', 0.2, 2), ('TranslateY_BBox', 0.2, 8)),
    (('Sharpness', 0.0, 2), ('Color', 0.4, 8)),
    (('Equalize', 1.0, 8), ('TranslateY_BBox', 1.0, 8)),
    (('Posterize', 0.6, 2), ('Rotate_BBox', 0.0, 10)),
    (('AutoContrast', 0.6, 0), ('Rotate_BBox', 1.0, 6)),
    (('Equalize', 0.0, 4), ('Cutout', 0.8, 10)),
    (('Brightness', 1.0, 2), ('TranslateY_BBox', 1.0, 6)),
    (('Contrast', 0.0, 2), ('ShearY_BBox', 0.8, 0)),
    (('AutoContrast', 0.8, 10), ('Contrast', 0.2, 10)),
    (('Rotate_BBox', 1.0, 10), ('Cutout', 1.0, 10)),
    (('SolarizeAdd', 0.8, 6), ('Equalize', 0.8, 8)),
)
_TEST = (
    (('TranslateX_BBox', 1.0, 4), ('Equalize', 1.0, 10)),
)
_IMAGENET = (
    (('Posterize', 0.4, 8), ('Rotate', 0.6, 9)),
    (('Solarize', 0.6, 5), ('AutoContrast', 0.6, 5)),
    (('Equalize', 0.8, 8), ('Equalize', 0.6, 3)),
    (('Posterize', 0.6, 7), ('Posterize', 0.6, 6)),
    (('Equalize', 0.4, 7), ('Solarize', 0.2, 4)),
    (('Equalize', 0.4, 4), ('Rotate', 0.8, 8)),
    (('Solarize', 0.6, 3), ('Equalize', 0.6, 7)),
    (('Posterize', 0.8, 5), ('Equalize', 1.0, 2)),
    (('Rotate', 0.2, 3), ('Solarize', 0.6, 8)),
    (('Equalize', 0.6, 8), ('Posterize', 0.4, 6)),
    (('Rotate', 0.8, 8), ('Color', 0.4, 0)),
    (('Rotate', 0.4, 9), ('Equalize', 0.6, 2)),
    (('Equalize', 0.0, 7), ('Equalize', 0.8, 8)),
    (('Invert', 0.6, 4), ('Equalize', 1.0, 8)),
    (('Color', 0.6, 4), ('Contrast', 1.0, 8)),
    (('Rotate', 0.8, 8), ('Color', 1.0, 2)),
    (('Color', 0.8, 8), ('Solarize', 0.8, 7)),
    (('Sharpness', 0.4, 7), ('Invert', 0.6, 8)),
    (('ShearX', 0.6, 5), ('Equalize', 1.0, 9)),
    (('Color', 0.4, 0), ('Equalize', 0.6, 3)),
    (('Equalize', 0.4, 7), ('Solarize', 0.2, 4)),
    (('Solarize', 0.6, 5), ('AutoContrast', 0.6, 5)),
    (('Invert', 0.6, 4), ('Equalize', 1.0, 8)),
    (('Color', 0.6, 4), ('Contrast', 1.0, 8)),
    (('Equalize', 0.8, 8), ('Equalize', 0.6, 3)),
)

POLICIES = {'v0': _V0, 'v1': _V1, 'v2': _V2, 'v3': _V3, 'test': _TEST,
            'imagenet': _IMAGENET}

# The operations that RandAugment (arXiv:1909.13719) draws from.
_RANDAUGMENT_COLORS = (
    'AutoContrast', 'Equalize', 'Invert', 'Posterize', 'Solarize',
    'SolarizeAdd', 'Color', 'Contrast', 'Brightness', 'Sharpness', 'Cutout')
RANDAUGMENT_WITH_BOXES = _RANDAUGMENT_COLORS + (
    'Rotate_BBox', 'ShearX_BBox', 'ShearY_BBox', 'TranslateX_BBox',
    'TranslateY_BBox')
RANDAUGMENT = _RANDAUGMENT_COLORS + (
    'Rotate', 'ShearX', 'ShearY', 'TranslateX', 'TranslateY')

# Ranges of the random scale of an image, as multiples of the network input.
# Source: Copy-Paste (arXiv:2012.07177), section 3.
SCALE_RANGES = {'standard': (0.8, 1.25), 'large': (0.1, 2.0)}


def scale_range(section: base.Section) -> Tuple[float, float]:
  """(smallest, largest) random scale that the section of a parser asks for."""
  if section.aug_scale_preset:
    return SCALE_RANGES[section.aug_scale_preset]
  return section.aug_scale_min, section.aug_scale_max
