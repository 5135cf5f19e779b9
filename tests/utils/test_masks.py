"""Tests of utils/masks.py."""

import numpy as np
from pycocotools import mask as coco_mask
import pytest

from tests import golden
from utils import mask_grids
from utils import masks

_INVERSES = [mask_grids.CELLS, mask_grids.corners(), mask_grids.corners(112)]
_GRIDS = _INVERSES + [mask_grids.LEGACY]


@pytest.mark.parametrize('case', golden.load_cases('mask_paste'),
                         ids=lambda case: case.name)
def test_pasting_equals_reference(case):
  height, width = case.params['height'], case.params['width']
  expected = np.unpackbits(case.outputs['v1'], axis=-1)[..., :width]
  pasted = masks.paste_masks(
      case.inputs['masks'], case.inputs['boxes_xywh'], height, width,
      mask_grids.LEGACY)
  assert pasted.dtype == np.uint8
  # Another build of OpenCV may move a few pixels of the boundary.
  assert np.count_nonzero(pasted != expected) <= 3


@pytest.mark.parametrize('grid', _GRIDS)
@pytest.mark.parametrize('case', golden.load_cases('mask_paste'),
                         ids=lambda case: case.name)
def test_direct_encoding_equals_encoding_the_pasted_image(case, grid):
  height, width = case.params['height'], case.params['width']
  arguments = (case.inputs['masks'], case.inputs['boxes_xywh'], height, width,
               grid)
  expected = [masks.encode(m) for m in masks.paste_masks(*arguments)]
  assert masks.paste_and_encode(*arguments) == expected


@pytest.mark.parametrize('grid', _GRIDS)
def test_direct_encoding_of_random_boxes(grid):
  random = np.random.RandomState(3)
  small_masks = random.uniform(size=[200, 5, 7]).astype(np.float32)
  # Beyond every side, covering everything, and wholly outside.
  boxes = np.concatenate([random.uniform(-30, 40, [200, 2]),
                          random.uniform(0, 60, [200, 2])], axis=1)
  boxes[:50, 1], boxes[:50, 3] = -20, 80
  small_masks[:25] = 1
  pasted = masks.paste_masks(small_masks, boxes, 23, 31, grid)
  rles = masks.paste_and_encode(small_masks, boxes, 23, 31, grid)
  assert not pasted.all() and pasted.any()
  for canvas, rle in zip(pasted, rles):
    assert rle == masks.encode(canvas)
    np.testing.assert_array_equal(masks.decode(rle), canvas)
    assert masks.area(rle) == canvas.sum()


def test_legacy_full_mask_fills_its_box_and_more():
  """Columns 2 to 6: as in the reference, the far border belongs to the box."""
  pasted = masks.paste_masks(np.ones([1, 4, 4]), [[2., 1., 4., 4.]], 7, 9,
                             mask_grids.LEGACY)
  expected = np.zeros([7, 9])
  expected[1:6, 2:7] = 1
  np.testing.assert_array_equal(pasted[0], expected)


@pytest.mark.parametrize('grid', _INVERSES)
@pytest.mark.parametrize('box,rows,columns', [
    ((2, 1, 4, 4), (1, 5), (2, 6)),
    ((0, 0, 9, 7), (0, 7), (0, 9)),           # all of the image
    ((7, 5, 2, 2), (5, 7), (7, 9)),           # its last pixels
    ((-3, -2, 6, 4), (0, 2), (0, 3)),         # beyond its upper left
    ((6, 4, 20, 30), (4, 7), (6, 9)),         # and lower right
    ((20, 3, 4, 4), (0, 0), (0, 0)),          # beside it
    ((3.2, 2.6, .4, .2), (2, 3), (3, 4)),     # within a pixel
    ((3.6, 2.1, .1, .1), (2, 3), (3, 4)),     # and off its middle
    ((4., 2., 0., 3.), (2, 5), (4, 5)),       # without an area
    ((-.4, 2., .2, 3.), (0, 0), (0, 0))])
def test_full_mask_fills_its_box(grid, box, rows, columns):
  pasted = masks.paste_masks(np.ones([1, 6, 6]), [box], 7, 9, grid)
  expected = np.zeros([7, 9])
  expected[rows[0]:rows[1], columns[0]:columns[1]] = 1
  np.testing.assert_array_equal(pasted[0], expected)


@pytest.mark.parametrize('shift,width', [(0., 5), (.4, 5), (.6, 5), (-.6, 5)])
def test_a_pixel_is_inside_where_its_middle_is(shift, width):
  """Cells: pixel 2 + k reaches from 2 + k to 3 + k."""
  pasted = masks.paste_masks(np.ones([1, 3, 3]), [[2. + shift, 0, width, 1.]],
                             1, 12)
  first = 2 + int(np.round(shift))
  assert np.flatnonzero(pasted[0, 0]).tolist() == list(
      range(first, first + width))


def test_cells_by_hand():
  """Two cells over eight pixels: 1 at 2 pixels from the left, 0 at 6."""
  pasted = masks.paste_masks([[[1., 0.]]], [[1., 0., 8., 1.]], 1, 10)
  # Middle of pixel 4, 3.5 from the left, is .625; of pixel 5 it is .375.
  assert pasted[0, 0].tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 0, 0]


def test_corners_by_hand():
  """Pixels 0 to 10 lie at 0, 1.1, ... 11 then; five samples on 0 to 11."""
  mask = [[[1., .75, .5, .25, 0.]]]
  def paste(grid):
    return masks.paste_masks(mask, [[0., 0., 11., 1.]], 1, 11, grid)[0, 0]
  assert paste(mask_grids.corners()).tolist() == [1] * 6 + [0] * 5
  # A crop of two: u reads sample 2.5 * u - .5, which is 2 at u = 1.
  assert paste(mask_grids.corners(2)).all()
  # Of a hundred nearly as cells: 2 at u = .505, pixel 5 is at .5.
  assert paste(mask_grids.corners(100)).tolist() == [1] * 6 + [0] * 5


def test_no_masks():
  assert masks.paste_masks(np.zeros([0, 4, 4]), [], 6, 9).shape == (0, 6, 9)
  assert masks.paste_and_encode(np.zeros([0, 4, 4]), [], 6, 9) == []


def test_encode_of_255_masks():
  mask = np.zeros([5, 6], np.uint8)
  mask[1:3, 2:5] = 255
  rle = masks.encode(mask)
  assert isinstance(rle['counts'], str)
  assert rle['size'] == [5, 6]
  assert masks.area(rle) == 6
  assert masks.bounding_box(rle) == [2, 1, 3, 2]
  np.testing.assert_array_equal(masks.decode(rle), mask > 0)


def test_polygons_and_rle_become_rle():
  square = [2., 1., 6., 1., 6., 4., 2., 4.]
  line = [0., 0., 5., 5.]
  rle = masks.segmentation_to_rle([square], 8, 9)
  assert masks.area(rle) == 12
  assert masks.segmentation_to_rle([line, square], 8, 9) == rle
  assert masks.segmentation_to_rle(rle, 0, 0) == rle
  as_bytes = {'size': [8, 9], 'counts': rle['counts'].encode()}
  assert masks.segmentation_to_rle(as_bytes, 0, 0) == rle
  plain = {'size': [2, 3], 'counts': [1, 2, 3]}
  np.testing.assert_array_equal(
      coco_mask.decode(masks.segmentation_to_rle(plain, 0, 0)),
      [[0, 1, 0], [1, 0, 0]])


def test_two_point_polygons_are_nothing():
  assert masks.segmentation_to_rle([[0., 0., 5., 5.]], 8, 9) is None
  assert masks.segmentation_to_rle([], 8, 9) is None


@pytest.mark.parametrize('wrong', ['text', 3, None, {'size': [2, 2]}])
def test_other_segmentations_are_refused(wrong):
  with pytest.raises(ValueError, match='run-length code'):
    masks.segmentation_to_rle(wrong, 8, 9)


@pytest.mark.parametrize('wrong', [
    [0, 100], [3], [], [-1, 17], [8, 'a'], None, '', '04@!!zz', '0T3', '3',
    'ooooooooooooo0', '\u20ac', 'n'])
def test_damaged_runs_are_refused(wrong):
  """pycocotools reads foreign memory, or fails, where runs are too few."""
  with pytest.raises(ValueError, match='run-length code'):
    masks.segmentation_to_rle({'size': [4, 4], 'counts': wrong}, 0, 0)


@pytest.mark.parametrize('size', ['ab', [4], [4, 4, 1], [4.5, 4], None])
def test_size_of_runs_is_two_integers(size):
  with pytest.raises(ValueError, match='size of a run-length code'):
    masks.segmentation_to_rle({'size': size, 'counts': [0, 16]}, 0, 0)


def test_compressed_runs_of_any_mask_are_accepted():
  """The check reads the compression right: nothing intact is refused."""
  random = np.random.RandomState(1)
  for density in (0, .02, .3, .98, 1):
    for shape in ((1, 1), (7, 300), (640, 480)):
      rle = masks.encode(random.uniform(size=shape) < density)
      assert masks.segmentation_to_rle(rle, 0, 0) == rle
      with pytest.raises(ValueError, match='add up'):
        masks.segmentation_to_rle(dict(rle, size=[shape[0], shape[1] + 1]),
                                  0, 0)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 1e9, -1e9, 'x',
                                   None, {}, [1.]])
def test_impossible_points_are_refused(value):
  """pycocotools takes all memory for a point that is NaN or far away."""
  with pytest.raises(ValueError, match='polygon has points'):
    masks.segmentation_to_rle([[1., 1., 5., 1., 5., value]], 8, 9)


def test_polygons_are_lists():
  """One polygon may stand without the list around it."""
  points = [1., 1., 5., 1., 5., 5.]
  assert masks.segmentation_to_rle(points, 8, 9) == (
      masks.segmentation_to_rle([points], 8, 9))
  with pytest.raises(ValueError, match='each a list'):
    masks.segmentation_to_rle([points, 1.], 8, 9)


@pytest.mark.parametrize('grid', _GRIDS, ids=str)
def test_crops_are_the_pasted_masks(grid):
  rng = np.random.RandomState(3)
  small = rng.uniform(size=[4, 14, 14])
  boxes = [[3.2, 5.1, 30, 20.5], [-8, -9, 25, 30], [40, 20, 50, 50],
           [200, 3, 5, 5]]
  crops = masks.Crops(small, boxes, 50, 60, grid)
  whole = masks.paste_masks(small, boxes, 50, 60, grid)
  assert len(crops) == 4
  for crop, mask in zip(crops, whole):
    canvas = np.zeros([50, 60], bool)
    height, width = crop.mask.shape
    canvas[crop.y:crop.y + height, crop.x:crop.x + width] = crop.mask
    np.testing.assert_array_equal(canvas, mask)
    assert crop.size == (50, 60) and height * width <= 50 * 60


@pytest.mark.parametrize('grid', _GRIDS, ids=str)
def test_portions_of_masks_equal_all_at_once(grid, monkeypatch):
  """Each portion ends at another mask: sizes differ."""
  random = np.random.RandomState(3)
  boxes = random.uniform(-4, 20, [12, 4])
  arguments = random.uniform(size=[12, 5, 6]), boxes, 17, 23, grid
  expected = masks.paste_and_encode(*arguments)
  monkeypatch.setattr(masks, '_PORTION', 100)
  assert masks.paste_and_encode(*arguments) == expected
  assert len({rle['counts'] for rle in expected}) > 6
