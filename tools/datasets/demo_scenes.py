"""Draws the scenes of the demo: shapes of six classes that hide each other.

Everything about a scene follows from its seed. NumPy and OpenCV only. As in
photographs, objects of a class look alike: each class has its shape and a range
of hues. Shapes of any colour would take a network without prior knowledge
longer than a demo may last.
"""

import collections
import colorsys
import math
from typing import List, NamedTuple, Tuple

import cv2
import numpy as np


class SceneObject(NamedTuple):
  """An object of a scene.

  Attributes:
    class_id: from 1.
    is_crowd: the mask covers many objects of the class.
    mask: bool [height, width], the visible part.
    whole_area: pixels of the mask before anything was painted over it.
  """
  class_id: int
  is_crowd: bool
  mask: np.ndarray
  whole_area: int


MIN_SIZE, MAX_SIZE = 8, 100  # pixels of an object's longer side
MIN_OBJECTS, MAX_OBJECTS = 2, 12
MIN_SCENE = 16  # pixels of a side; the members of a crowd fit into it
IMAGE_OBJECT = (0.4, 0.8)  # size of the object of an image, share of it
EMPTY_SCENES = 0.10  # share of the scenes that show no object
CROWDED_SCENES = 0.08  # share with a crowd
CROWD_MEMBERS = (14, 30)  # objects in a crowd, fewest and most
CROWD_MEMBER_SIZE = (8, 14)  # pixels
# An object of which less can be seen would be a matter of luck.
MIN_VISIBLE = 0.75
MAX_TURN = math.radians(25)  # from the upright shape, to either side
MIN_CONTRAST = 90.  # distance in RGB from what lies below
HUE_DEVIATION = 8.  # degrees; the hues of two classes are 60 apart
_SUPERSAMPLING = 4  # subpixels, for smooth edges
_ATTEMPTS = 20  # to place an object before it is left out


def _regular(num_corners, inner_radius=None, first_angle=-90.):
  """Corners on the unit circle, the first one above; with a radius a star.

  Returns:
    float64 [corners, 2], (x, y).
  """
  count = num_corners * (1 if inner_radius is None else 2)
  angles = np.radians(first_angle + 360. * np.arange(count) / count)
  radii = np.ones(count)
  if inner_radius is not None:
    radii[1::2] = inner_radius
  return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _cross(arm=0.36):
  """A plus sign; `arm` is half the width of its arms."""
  quarter = np.array([[1., -arm], [1., arm], [arm, arm]])
  turns = [np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
           for a in np.pi / 2 * np.arange(4)]
  return np.concatenate([quarter.dot(turn) for turn in turns])


_CIRCLE = _regular(48)
# Outlines of every class; what an odd number of outlines surrounds is inside.
_OUTLINES = collections.OrderedDict([
    ('disc', [_CIRCLE]),
    ('square', [_regular(4, first_angle=45.)]),
    ('triangle', [_regular(3)]),
    ('star', [_regular(5, inner_radius=0.42)]),
    ('ring', [_CIRCLE, 0.55 * _CIRCLE]),
    ('cross', [_cross()]),
])
CLASS_NAMES = tuple(_OUTLINES)
LABEL_MAP = {i + 1: name for i, name in enumerate(CLASS_NAMES)}


def draw_scene(seed: int, size: int) -> Tuple[np.ndarray, List[SceneObject]]:
  """Draws one scene.

  Args:
    seed: int or list of ints.
    size: height and width, pixels.

  Returns:
    image: uint8 [size, size, 3], RGB.
    objects: [SceneObject], those behind first.
  """
  rng = np.random.RandomState(seed)
  canvas = _background(rng, size)
  _add_distractors(rng, canvas)
  objects = []
  if rng.uniform() >= EMPTY_SCENES:
    if rng.uniform() < CROWDED_SCENES:
      objects.append(_add_crowd(rng, canvas))
    for _ in range(rng.randint(MIN_OBJECTS, MAX_OBJECTS + 1)):
      _add_object(rng, canvas, objects)
  return _photograph(rng, canvas), objects


def draw_image(seed: int, class_id: int, size: int) -> np.ndarray:
  """Draws one large object, for classification.

  Args:
    seed: int or list of ints.
    class_id: int, from 1.
    size: height and width, pixels.

  Returns:
    uint8 [size, size, 3], RGB.
  """
  rng = np.random.RandomState(seed)
  canvas = _background(rng, size)
  _add_distractors(rng, canvas)
  coverage = _coverage(rng, class_id, size * rng.uniform(*IMAGE_OBJECT))
  y, x = (rng.randint(0, size - side + 1) for side in coverage.shape)
  color = _color_unlike(rng, class_id, _mean_color(canvas, coverage, y, x))
  _paint(rng, canvas, coverage, y, x, color)
  return _photograph(rng, canvas)


def _photograph(rng, canvas):
  """Adds noise; uint8 of the canvas."""
  canvas = canvas + rng.normal(0., rng.uniform(1., 6.), canvas.shape)
  return np.clip(np.round(canvas), 0, 255).astype(np.uint8)


def _background(rng, size):
  """A texture: noise of several scales between two or three colours.

  Returns:
    float64 [size, size, 3], RGB, 0..255.
  """
  mixture = np.zeros([size, size])
  for cells in (2, 5, 12, 40):
    weight = rng.uniform() * (1. if cells < 12 else .35)
    noise = rng.uniform(-1., 1., [cells, cells])
    mixture += weight * cv2.resize(noise, (size, size),
                                   interpolation=cv2.INTER_CUBIC)
  if rng.uniform() < .3:  # stripes
    angle, period = rng.uniform(0, np.pi), rng.uniform(8, 60)
    y, x = np.mgrid[:size, :size]
    mixture += rng.uniform(.2, .6) * np.sin(
        2 * np.pi * (x * math.cos(angle) + y * math.sin(angle)) / period)
  mixture = (mixture - mixture.min()) / (np.ptp(mixture) + 1e-6)
  dark, bright = rng.uniform(20, 235, [2, 3])
  # Half the distance: loud textures would be objects of their own.
  bright = dark + .6 * (bright - dark)
  return dark + mixture[:, :, np.newaxis] * (bright - dark)


def _add_distractors(rng, canvas):
  """Draws what belongs to no class: lines, scribbles, soft blobs, noise."""
  size = canvas.shape[0]
  for _ in range(rng.randint(0, 5)):
    color = tuple(rng.uniform(0, 255, 3))
    kind = rng.randint(4)
    if kind == 0:
      start, end = (tuple(int(v) for v in p)
                    for p in rng.uniform(0, size, [2, 2]))
      cv2.line(canvas, start, end, color, rng.randint(1, 5), cv2.LINE_AA)
    elif kind == 1:
      steps = rng.normal(0, size / 14., [rng.randint(4, 10), 2])
      points = rng.uniform(0, size, 2) + np.cumsum(steps, axis=0)
      cv2.polylines(canvas, [points.astype(np.int32)], False, color,
                    rng.randint(1, 4), cv2.LINE_AA)
    else:
      _add_blob(rng, canvas, np.array(color), is_noise=kind == 2)


def _add_blob(rng, canvas, color, is_noise):
  """Blends a patch without an edge into the canvas, coloured or of noise."""
  size = canvas.shape[0]
  y, x = np.mgrid[:size, :size]
  center_y, center_x = rng.uniform(0, size, 2)
  height, width = rng.uniform(size / 20., size / 7., 2)
  alpha = rng.uniform(.5, .9) * np.exp(
      -((y - center_y) / height) ** 2 - ((x - center_x) / width) ** 2)
  if is_noise:
    color = rng.uniform(0, 255, [size, size, 3])
  canvas += alpha[:, :, np.newaxis] * (color - canvas)


def _coverage(rng, class_id, size):
  """Draws one shape, turned a little.

  Args:
    rng: RandomState.
    class_id: int.
    size: longer side of its box, pixels.

  Returns:
    float64 [h, w], 0..1, how much of each pixel it covers.
  """
  angle = rng.uniform(-MAX_TURN, MAX_TURN)
  turn = np.array([[math.cos(angle), math.sin(angle)],
                   [-math.sin(angle), math.cos(angle)]])
  outlines = [o.dot(turn) for o in _OUTLINES[CLASS_NAMES[class_id - 1]]]
  low, high = outlines[0].min(axis=0), outlines[0].max(axis=0)
  scale = _SUPERSAMPLING * size / (high - low).max()
  width, height = np.ceil((high - low) * scale / _SUPERSAMPLING).astype(int)
  canvas = np.zeros([height * _SUPERSAMPLING, width * _SUPERSAMPLING],
                    np.uint8)
  cv2.fillPoly(canvas, [np.round((o - low) * scale).astype(np.int32)
                        for o in outlines], 255)
  return cv2.resize(canvas, (int(width), int(height)),
                    interpolation=cv2.INTER_AREA) / 255.


def _color_unlike(rng, class_id, ground):
  """A colour of a class, far enough from the colours it is painted on."""
  color = _class_color(rng, class_id)
  for _ in range(_ATTEMPTS):
    if np.linalg.norm(color - ground) >= MIN_CONTRAST:
      break
    color = _class_color(rng, class_id)
  return color


def _class_color(rng, class_id):
  """RGB, 0..255, of a hue that is usual for the class."""
  hue = 360. * (class_id - 1) / len(CLASS_NAMES) + rng.normal(0, HUE_DEVIATION)
  return 255. * np.array(colorsys.hsv_to_rgb(
      hue / 360. % 1., rng.uniform(.4, 1.), rng.uniform(.35, 1.)))


def _paint(rng, canvas, coverage, y, x, color):
  """Paints a shape with its upper left corner at (y, x), shaded.

  Returns:
    bool [height, width], its mask.
  """
  height, width = coverage.shape
  window = canvas[y:y + height, x:x + width]
  shade = (np.linspace(-1, 1, height)[:, np.newaxis] * rng.uniform(-20, 20)
           + np.linspace(-1, 1, width) * rng.uniform(-20, 20))
  paint = np.clip(color + shade[:, :, np.newaxis], 0, 255)
  window += coverage[:, :, np.newaxis] * (paint - window)
  mask = np.zeros(canvas.shape[:2], bool)
  mask[y:y + height, x:x + width] = coverage >= .5
  return mask


def _mean_color(canvas, coverage, y, x):
  """Mean colour of the ground below a shape."""
  height, width = coverage.shape
  return canvas[y:y + height, x:x + width].reshape([-1, 3]).mean(axis=0)


def _add_object(rng, canvas, objects):
  """Paints one object over the scene, if it hides no other too much.

  Args:
    rng: RandomState.
    canvas: float64 [size, size, 3], changed.
    objects: [SceneObject], extended; masks below the new object shrink.
  """
  size = canvas.shape[0]
  class_id = rng.randint(len(CLASS_NAMES)) + 1
  # Half of them are below 43 pixels. The smallest are drawn a pixel larger:
  # half-covered pixels at the border do not count.
  longest = rng.uniform(math.sqrt(MIN_SIZE + 1), math.sqrt(MAX_SIZE)) ** 2
  # In a small scene, one that fits into it, its half-covered pixels included.
  longest = min(longest, size - 1.)
  coverage = _coverage(rng, class_id, longest)
  height, width = coverage.shape
  for _ in range(_ATTEMPTS):
    y, x = (rng.randint(0, size - side + 1) for side in (height, width))
    placed = np.zeros([size, size], bool)
    placed[y:y + height, x:x + width] = coverage >= .5
    if not all(_stays_visible(o, placed) for o in objects):
      continue
    color = _color_unlike(rng, class_id,
                          _mean_color(canvas, coverage, y, x))
    mask = _paint(rng, canvas, coverage, y, x, color)
    objects[:] = [o._replace(mask=o.mask & ~mask) for o in objects]
    objects.append(SceneObject(class_id, False, mask, np.count_nonzero(mask)))
    return


def _stays_visible(scene_object, placed):
  """Whether enough of an object is visible next to what is placed over it."""
  visible = scene_object.mask & ~placed
  if np.count_nonzero(visible) < MIN_VISIBLE * scene_object.whole_area:
    return False
  rows, columns = (np.flatnonzero(visible.any(axis)) for axis in (1, 0))
  return max(np.ptp(rows), np.ptp(columns)) + 1 >= MIN_SIZE


def _add_crowd(rng, canvas):
  """Paints many small objects of one class close together.

  Returns:
    SceneObject of all of them.
  """
  size = canvas.shape[0]
  class_id = rng.randint(len(CLASS_NAMES)) + 1
  center = rng.uniform(.25 * size, .75 * size, 2)
  color = _color_unlike(rng, class_id, canvas.reshape([-1, 3]).mean(axis=0))
  crowd = np.zeros([size, size], bool)
  for _ in range(rng.randint(*CROWD_MEMBERS)):
    coverage = _coverage(rng, class_id, rng.uniform(*CROWD_MEMBER_SIZE))
    limit = size - np.array(coverage.shape)
    y, x = np.clip(rng.normal(center, size / 12.), 0, limit).astype(int)
    shade = np.clip(color + rng.normal(0, 15, 3), 0, 255)
    crowd |= _paint(rng, canvas, coverage, y, x, shade)
  return SceneObject(class_id, True, crowd, np.count_nonzero(crowd))
