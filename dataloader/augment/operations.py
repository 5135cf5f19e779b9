"""The table of operations that policies are made of.

Source: AutoAugment (arXiv:1805.09501), and for boxes Zoph et al.
(arXiv:1906.11172), table 6. Arguments are those of
upstream's autoaugment_utils.py.
"""

import collections
import functools

import tensorflow.compat.v1 as tf

from dataloader.augment import annotated_image
from ops import color
from ops import warps

MAX_LEVEL = 10.

# The values at the highest level, in pixels of the image or fractions of a
# side of a box.
Limits = collections.namedtuple(
    'Limits', 'translate translate_in_boxes cutout cutout_in_boxes '
    'box_fraction')
DETECTION_LIMITS = Limits(250., 120., 100., 50., 0.75)
# RandAugment of upstream's classification models: for images of 224 pixels.
SMALL_LIMITS = DETECTION_LIMITS._replace(translate=100., cutout=40.)

# argument: function of a level (0 to 10) and Limits to a number, or None where
# there is nothing to choose. is_signed: whether the number gets a random sign.
# is_per_box: whether each box is changed, or not, independently. apply:
# function (annotated, argument, fractions, legacy) -> AnnotatedImage; argument
# float32 []; fractions float32 [3] in [0, 1), the place; legacy: see
# autoaugment.augment. For an operation per box, the image is the content of
# the box.
Operation = collections.namedtuple(
    'Operation', 'argument is_signed is_per_box apply')


def _of_colors(change, argument=None, has_legacy=False):
  """An operation on the colours of an image."""
  def apply(annotated, value, fractions, legacy):
    del fractions
    arguments = [] if argument is None else [value]
    options = {'legacy': legacy} if has_legacy else {}
    return annotated_image.change_image(
        annotated, lambda image: change(image, *arguments, **options))
  return Operation(argument, False, False, apply)


def _of_places(move, move_boxes, argument):
  """An operation that moves pixels, and the boxes with them."""
  def apply(annotated, value, fractions, legacy):
    del fractions
    boxes = annotated.boxes
    if boxes is not None:
      boxes = move_boxes(boxes, value, _size(annotated), legacy)
    moved = annotated_image.warp(
        annotated, lambda pixels, fill: move(pixels, value, fill))
    return moved._replace(boxes=boxes)
  return Operation(argument, True, False, apply)


def _in_boxes(operation, argument=None):
  """The same operation on the content of each box."""
  return operation._replace(argument=argument or operation.argument,
                            is_per_box=True)


def _size(annotated):
  return tf.cast(tf.shape(annotated.image)[:2], tf.float32)


def _flip(annotated, value, fractions, legacy):
  del value, fractions, legacy
  return annotated_image.warp(
      annotated, lambda pixels, fill: tf.reverse(pixels, [1]))


def _cut_out(annotated, value, fractions, legacy):
  """A square anywhere in the image."""
  del legacy
  center = tf.cast(tf.floor(fractions[1:] * _size(annotated)), tf.int32)
  return annotated_image.cut_out(annotated, center,
                                 tf.fill([2], tf.cast(value, tf.int32)))


def _cut_out_of_a_box(annotated, value, fractions, legacy):
  """A rectangle as a fraction of one of the boxes, around a point in it."""
  del legacy
  count = tf.cast(tf.shape(annotated.boxes)[0], tf.float32)
  def cut():
    box = annotated.boxes[tf.cast(tf.floor(fractions[0] * count), tf.int32)]
    pixels = tf.cast(box * tf.tile(_size(annotated), [2]), tf.int32)
    first, last = pixels[:2], pixels[2:]
    sides = tf.cast(last - first + 1, tf.float32)
    center = first + tf.cast(tf.floor(fractions[1:] * sides), tf.int32)
    return annotated_image.cut_out(
        annotated, center, tf.cast(value * sides / 2., tf.int32)).image
  return annotated._replace(
      image=tf.cond(count > 0., cut, lambda: annotated.image))


def _scaled(name):
  """Level to a number of pixels, up to one of the Limits."""
  return lambda level, limits: level / MAX_LEVEL * getattr(limits, name)


def _whole(scaled):
  return lambda level, limits: float(int(scaled(level, limits)))


def _up_to(highest, whole=False):
  """Level to a number, up to the highest."""
  def scaled(level, limits):
    del limits
    return level / MAX_LEVEL * highest
  return _whole(scaled) if whole else scaled


def _enhancement(level, limits):
  """0.1 to 1.9; 1, the level 5, changes nothing."""
  del limits
  return level / MAX_LEVEL * 1.8 + 0.1


_CUTOUT = Operation(_whole(_scaled('cutout')), False, False, _cut_out)
_FLIP = Operation(None, False, False, _flip)
_EQUALIZE = _of_colors(color.equalize)
_SOLARIZE = _of_colors(color.solarize, _up_to(256, whole=True),
                       has_legacy=True)
_TRANSLATE_X = _of_places(warps.shift_x, warps.shift_boxes_x,
                          _scaled('translate'))
_TRANSLATE_Y = _of_places(warps.shift_y, warps.shift_boxes_y,
                          _scaled('translate'))
_SHEAR_X = _of_places(warps.shear_x, warps.shear_boxes_x, _up_to(0.3))
_SHEAR_Y = _of_places(warps.shear_y, warps.shear_boxes_y, _up_to(0.3))
_ROTATE = _of_places(warps.rotate, warps.rotate_boxes, _up_to(30.))

OPERATIONS = {
    'AutoContrast': _of_colors(color.autocontrast),
    'BBox_Cutout': Operation(_scaled('box_fraction'), False, False,
                             _cut_out_of_a_box),
    'Brightness': _of_colors(color.brightness, _enhancement),
    'Color': _of_colors(color.color, _enhancement),
    'Contrast': _of_colors(color.contrast, _enhancement, has_legacy=True),
    'Cutout': _CUTOUT,
    'Cutout_Only_BBoxes': _in_boxes(_CUTOUT,
                                    _whole(_scaled('cutout_in_boxes'))),
    'Equalize': _EQUALIZE,
    'Equalize_Only_BBoxes': _in_boxes(_EQUALIZE),
    'Flip_Only_BBoxes': _in_boxes(_FLIP),
    'Invert': _of_colors(color.invert),
    'Posterize': _of_colors(color.posterize, _up_to(4, whole=True)),
    'Rotate': _ROTATE,  # Names without _BBox: of classification.
    'Rotate_BBox': _ROTATE,
    'Rotate_Only_BBoxes': _in_boxes(_ROTATE),
    'Sharpness': _of_colors(color.sharpness, _enhancement, has_legacy=True),
    'ShearX': _SHEAR_X,
    'ShearX_BBox': _SHEAR_X,
    'ShearX_Only_BBoxes': _in_boxes(_SHEAR_X),
    'ShearY': _SHEAR_Y,
    'ShearY_BBox': _SHEAR_Y,
    'ShearY_Only_BBoxes': _in_boxes(_SHEAR_Y),
    'Solarize': _SOLARIZE,
    'SolarizeAdd': _of_colors(color.solarize_add, _up_to(110, whole=True)),
    'Solarize_Only_BBoxes': _in_boxes(_SOLARIZE),
    'TranslateX': _TRANSLATE_X,
    'TranslateX_BBox': _TRANSLATE_X,
    'TranslateX_Only_BBoxes': _in_boxes(_TRANSLATE_X,
                                        _scaled('translate_in_boxes')),
    'TranslateY': _TRANSLATE_Y,
    'TranslateY_BBox': _TRANSLATE_Y,
    'TranslateY_Only_BBoxes': _in_boxes(_TRANSLATE_Y,
                                        _scaled('translate_in_boxes')),
}


def argument(name, level, limits=DETECTION_LIMITS):
  """The number that an operation gets at a level; 0 where it takes none."""
  function = OPERATIONS[name].argument
  return 0. if function is None else function(level, limits)


def apply(name, annotated, value, probability, draws, legacy=False):
  """Applies an operation.

  Args:
    name: one of OPERATIONS.
    annotated: AnnotatedImage.
    value: float32 [], its argument with its sign.
    probability: float32 [], of changing a box; operations that are not per box
      do not use it.
    draws: dataloader.draws.Draws of the image.
    legacy: see `autoaugment.augment`.

  Returns:
    AnnotatedImage.
  """
  operation = OPERATIONS[name]
  if not operation.is_per_box:
    return operation.apply(annotated, value,
                           draws.uniform('position', [3]), legacy)
  return _apply_per_box(operation, annotated, value, probability, draws, legacy)


# An operation on boxes changes each of them this many times less often.
_RARER_IN_BOXES = 3.


def _apply_per_box(operation, annotated, value, probability, draws, legacy):
  """Changes the content of some of the boxes, one after the other."""
  count = tf.shape(annotated.boxes)[0]
  order = tf.argsort(draws.uniform('order', [count]))
  is_changed = tf.floor(
      draws.uniform('apply', [count]) + probability / _RARER_IN_BOXES) >= 1.
  fractions = draws.uniform('position', [count, 3])
  chosen = tf.boolean_mask(order, tf.gather(is_changed, order))
  size = tf.shape(annotated.image)[:2]
  windows = _windows(tf.gather(annotated.boxes, chosen), size)
  fractions = tf.gather(fractions, chosen)
  has_origins = annotated.origins is not None

  def step(i, image, *origins):
    changed = annotated_image.change_window(
        annotated_image.AnnotatedImage(
            image, None, origins[0] if origins else None),
        windows[i], functools.partial(
            operation.apply, value=value, fractions=fractions[i],
            legacy=legacy))
    return (i + 1, changed.image) + ((changed.origins,) if has_origins else ())

  state = (tf.constant(0), annotated.image)
  if has_origins:
    state += (annotated.origins,)
  state = tf.while_loop(
      lambda i, *_: i < tf.size(chosen), step, state,
      parallel_iterations=1, back_prop=False)
  return annotated._replace(image=state[1],
                            origins=state[2] if has_origins else None)


def _windows(boxes, size):
  """int32 [K, 4] windows of boxes 0..1; the last pixel is inside."""
  pixels = tf.cast(boxes * tf.cast(tf.tile(size, [2]), tf.float32), tf.int32)
  return tf.concat([pixels[:, :2], tf.minimum(pixels[:, 2:], size - 1) + 1],
                   axis=1)
