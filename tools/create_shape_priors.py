"""Makes the shape priors of ShapeMask: the usual masks of each class.

  python -m tools.create_shape_priors --input_file_pattern='data/train-*' \\
      --num_classes=7 --output=data/shape_priors.npy
  python -m tools.create_shape_priors --annotations=instances_train.json \\
      --class_agnostic --output=data/shape_priors.npy

The masks of a data set, TFRecord or COCO JSON, are cut out of their boxes,
brought to one size and grouped by k-means; the priors are the means of the
groups. Set `shapemask_head.shape_prior_path` to the file. It holds an array
float32 [classes, priors, size, size] in NumPy's format; an image OUTPUT.png
next to it shows the priors, a row for every class.

--num_classes is architecture.num_classes, the background included. With
--class_agnostic all classes share the priors, which suits
`shapemask_head.use_category_for_mask: false`, where classes without masks are
segmented too: name the others in --classes.
"""

import argparse
import collections
from typing import Dict, Iterable, Mapping, Optional, Sequence, Tuple

import cv2
import numpy as np

from ops import tensorflow_later as tf
from tools.common import numbers
from tools.common import reasons
from tools.datasets import mask_clusters
from tools.datasets import mask_shapes
from utils import files
from utils import shape_priors

_IMAGE_MARGIN = 2  # pixels around each prior


def collect(shapes: Iterable[Tuple[int, np.ndarray]],
            classes: Optional[Sequence[int]] = None, max_masks: int = 2000,
            seed: int = 0) -> Dict[int, np.ndarray]:
  """Keeps some masks of each class, each mask as likely as any other.

  Args:
    shapes: iterable of (class id, float32 [S, S]).
    classes: ids of the classes that count; None: all.
    max_masks: int, most masks of a class.
    seed: int.

  Returns:
    {class id: float32 [N, S * S]}.
  """
  rng = np.random.RandomState(seed)
  kept, counts = collections.defaultdict(list), collections.Counter()
  for class_id, mask in shapes:
    if classes is not None and class_id not in classes:
      continue
    counts[class_id] += 1
    if len(kept[class_id]) < max_masks:
      kept[class_id].append(mask.ravel())
      continue
    # Reservoir sampling (Vitter, 1985).
    place = rng.randint(counts[class_id])
    if place < max_masks:
      kept[class_id][place] = mask.ravel()
  return {class_id: np.stack(masks) for class_id, masks in kept.items()}


def make_priors(masks: Mapping[int, np.ndarray], num_classes: int,
                num_priors: int, seed: int = 0) -> np.ndarray:
  """Clusters of the masks of each class.

  Args:
    masks: result of `collect`.
    num_classes: int, M, background included; 1: all classes share the priors.
    num_priors: int, K.
    seed: int.

  Returns:
    float32 [M, K, S, S]. A class without masks has the priors of all masks,
    row 0 of several classes, the background, has zeros.

  Raises:
    ValueError: if there is no mask, or a class id is beyond M.
  """
  if not masks:
    raise ValueError('There is no mask of these classes in the data set.')
  if num_classes > 1 and max(masks) >= num_classes:
    raise ValueError('There are masks of class %d; with --num_classes=%d '
                     'classes are 1 to %d, and 0 is the background.' % (
                         max(masks), num_classes, num_classes - 1))
  shared = mask_clusters.cluster(
      np.concatenate([masks[i] for i in sorted(masks)]), num_priors, seed)
  if num_classes == 1:
    priors = shared[np.newaxis]
  else:
    priors = np.stack(
        [np.zeros_like(shared)] +
        [mask_clusters.cluster(masks[i], num_priors, seed) if i in masks
         else shared for i in range(1, num_classes)])
  size = int(np.sqrt(priors.shape[2]))
  return np.clip(priors, 0., 1.).reshape([num_classes, num_priors, size, size])


def image(priors: np.ndarray, scale: int = 2) -> np.ndarray:
  """The priors side by side, a row for every class that has any.

  Args:
    priors: float32 [M, K, S, S].
    scale: int, pixels of the image for a pixel of a prior.

  Returns:
    uint8 [h, w].
  """
  rows = []
  for of_class in priors:
    if of_class.any():
      rows.append(np.concatenate(
          [np.pad(prior, _IMAGE_MARGIN, mode='constant', constant_values=.5)
           for prior in of_class], axis=1))
  image = (255. * np.concatenate(rows, axis=0)).round().astype(np.uint8)
  return np.kron(image, np.ones([scale, scale], np.uint8))


def run(arguments: argparse.Namespace) -> np.ndarray:
  """Makes and writes the priors of a command line; returns them."""
  size = arguments.mask_crop_size
  shapes = (mask_shapes.of_coco(arguments.annotations, size)
            if arguments.annotations else
            mask_shapes.of_records(arguments.input_file_pattern, size))
  masks = collect(shapes, arguments.classes, arguments.max_masks,
                  arguments.seed)
  priors = make_priors(
      masks, 1 if arguments.class_agnostic else arguments.num_classes,
      arguments.num_priors, arguments.seed)
  files.write_atomically(arguments.output, shape_priors.to_bytes(priors))
  files.write_atomically(
      arguments.output + '.png',
      cv2.imencode('.png', image(priors))[1].tobytes())
  print('%s: %d priors of %s, from %s masks; %s.png shows them.' % (
      arguments.output, arguments.num_priors, 'all classes together'
      if arguments.class_agnostic else 'each of %d classes' % len(masks),
      sum(map(len, masks.values())), arguments.output))
  return priors


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.create_shape_priors', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  source = parser.add_mutually_exclusive_group(required=True)
  source.add_argument('--input_file_pattern', help='TFRecord files with masks')
  source.add_argument('--annotations', help='COCO annotation file with masks')
  parser.add_argument('--output', required=True, metavar='FILE.npy',
                      help='file of the priors')
  kind = parser.add_mutually_exclusive_group(required=True)
  kind.add_argument('--num_classes', type=numbers.whole(2),
                    help='architecture.num_classes: priors for each class')
  kind.add_argument('--class_agnostic', action='store_true',
                    help='priors that all classes share')
  parser.add_argument('--num_priors', type=numbers.whole(), default=10,
                      help='priors of a class (default: 10)')
  parser.add_argument('--mask_crop_size', type=numbers.whole(), default=32,
                      help='shapemask_head.mask_crop_size (default: 32)')
  parser.add_argument('--classes', type=int, nargs='+', metavar='ID',
                      help='classes whose masks are used (default: all)')
  parser.add_argument('--max_masks', type=numbers.whole(), default=2000,
                      help='largest number of masks of a class; of more, some '
                           'are drawn at random (default: 2000)')
  parser.add_argument('--seed', type=int, default=0,
                      help='of the masks drawn and of the clusters')
  return parser.parse_args(argv)


def main() -> None:
  try:
    run(parse_arguments())
  except (ValueError, OSError, tf.errors.OpError) as e:
    raise SystemExit('Error: %s' % reasons.of(e))


if __name__ == '__main__':
  main()
