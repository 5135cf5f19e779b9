"""Makes COCO annotations from objects that are drawn in mask images.

  python -m tools.create_mask_annotations --images=stage1_train \\
      --class_name=nucleus --output=data/nuclei

writes data/nuclei_train.json and data/nuclei_val.json for
tools.create_coco_tfrecord. Two layouts of files are understood:

  one mask file for every object, next to its image:
    stage1_train/NAME/images/NAME.png     stage1_train/NAME/masks/*.png
  one label image for every image (--labels=FOLDER), 8 or 16 bits,
  where 0 is the background and the pixels of object k have the value k:
    images/NAME.png                       labels/NAME.png
  In a file with a palette the values count, not the colours. A file with
  colours has one object for each colour, on black. --separate makes every
  connected region an object, for masks of 0 and 255.

All objects are of one class.
"""

import argparse
import functools
import json
import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image
import tqdm

from tools.common import numbers
from tools.datasets import image_folders
from tools.datasets import image_notes
from tools.datasets import label_images
from tools.datasets import object_images
from tools.datasets import staged_files
from utils import files
from utils import masks as mask_utils
from utils import orientation as orientations
from utils import types


class AnnotationError(ValueError):
  """Files that do not fit together, with their names."""


def find_image_files(images: str,
                     labels: Optional[str] = None) -> List[Tuple[str, Any]]:
  """The images of a folder and where their objects are drawn.

  Args:
    images: folder; see the layouts above.
    labels: folder of the label images, or None for mask files.

  Returns:
    [(path of the image relative to `images`, [path of a mask file] or the
    path of its label image)], in order of their names.

  Raises:
    AnnotationError: if there is none, or one has no masks.
  """
  if labels is None:
    image_files = [(os.path.join(name, 'images', image),
                    _listed(os.path.join(images, name, 'masks')))
                   for name in sorted(os.listdir(images))
                   for image in map(os.path.basename, _listed(
                    os.path.join(images, name, 'images')))]
    expected = '%s/NAME/images/*.png' % images
  else:
    image_files = _numbered(images, labels)
    expected = '%s/NAME.png' % images
  if not image_files:
    raise AnnotationError('There is no image %s.' % expected)
  for name, masks in image_files:
    # Without mask files there is no object; without a label image it is a
    # mistake.
    if masks is None:
      raise AnnotationError(
          'The image %s has no label image in %s, of the same name '
          'and a lossless format (PNG, TIFF, BMP).' % (name, labels))
  return image_files


def _numbered(images, labels):
  """[(name of the image, path of its label image or None)]."""
  folders = image_folders.PairedFolders(images, labels,
                                        label_images.EXTENSIONS)
  try:
    return [(os.path.basename(folders.image(name)), folders.label(name))
            for name in folders.stems()]
  except image_folders.AmbiguityError as e:
    raise AnnotationError(str(e))


def _listed(folder):
  """Paths of the images in a folder, in order; [] without the folder."""
  if not os.path.isdir(folder):
    return []
  return [os.path.join(folder, name)
          for name in image_folders.listed(folder)[0]]


def read_objects(
    image: Any, images: Any, separate: bool = False
) -> Tuple[Tuple[int, int], List[types.Rle], List[str]]:
  """The objects of one image.

  Args:
    image: result of `find_image_files`.
    images: its folder.
    separate: whether every connected region is an object.

  Returns:
    (height, width), [RLE], [note for people]; masks without a pixel are left
    out. The size is that of the masks, upright or as stored where the EXIF
    orientation of the image turns it.

  Raises:
    AnnotationError: naming the mask that cannot be read or has another size.
  """
  name, paths = image
  sizes = _sizes(os.path.join(images, name))
  size, rles, notes = sizes[0], [], []
  try:
    # One after the other: the masks of an image may take gigabytes.
    for number, (path, mask, note) in enumerate(object_images.masks(paths)):
      if not number and mask.shape in sizes:
        size = mask.shape
      _check_size(mask, path, size, name)
      notes.extend(note)
      parts = object_images.regions(mask) if separate else [mask]
      rles.extend(mask_utils.encode(part) for part in parts)
  except object_images.ObjectError as e:
    raise AnnotationError(str(e))
  return size, [rle for rle in rles if mask_utils.area(rle)], notes


def _check_size(mask, path, size, name):
  """Raises AnnotationError for a mask of another size than its image."""
  if mask.shape != size:
    raise AnnotationError(
        'The mask %s has %d x %d pixels (height x width), its image %s has '
        '%d x %d.' % ((path,) + mask.shape + (name,) + tuple(size)))


def _sizes(path):
  """[(height, width)] of an image: upright, then as stored."""
  try:
    with Image.open(path) as image:
      size, orientation = image.size[::-1], orientations.of_image(image)
  except Exception as e:  # pylint: disable=broad-except
    # Pillow raises many types for broken files.
    raise AnnotationError('The image %s cannot be read (%s).' % (
        path, str(e).split(' <')[0]))
  return [orientations.turned_size(size, orientation), tuple(size)]


def coco_dataset(image_files: Sequence[Tuple[str, Any]], objects: Sequence[Any],
                 class_name: str) -> Dict[str, Any]:
  """COCO dictionary of images.

  Args:
    image_files: result of `find_image_files`.
    objects: [result of `read_objects`], one for each.
    class_name: str, of all objects; its id is 1.
  """
  images, annotations = [], []
  for (name, _), ((height, width), rles, _) in zip(image_files, objects):
    images.append({'id': len(images) + 1, 'file_name': name, 'height': height,
                   'width': width})
    for rle in rles:
      annotations.append({
          'id': len(annotations) + 1, 'image_id': len(images),
          'category_id': 1, 'iscrowd': 0, 'segmentation': rle,
          'bbox': mask_utils.bounding_box(rle), 'area': mask_utils.area(rle)})
  return {'images': images, 'annotations': annotations,
          'categories': [{'id': 1, 'name': class_name}]}


def write_annotations(images: str, prefix: str, class_name: str,
                      labels: Optional[str] = None, val_every: int = 4,
                      num_processes: Optional[int] = None,
                      separate: bool = False) -> Dict[str, Dict[str, Any]]:
  """Reads all masks and writes the annotations of each split.

  Args:
    images: folder.
    prefix: the prefix of the written files.
    class_name: str.
    labels: folder or None; see `find_image_files`.
    val_every: int, every so many images one is for validation; 0: one file.
    num_processes: int; None: one per core.
    separate: whether every connected region is an object.

  Returns:
    {path: COCO dictionary}.

  Raises:
    AnnotationError: naming the file that is wrong.
  """
  image_files = find_image_files(images, labels)
  objects = list(tqdm.tqdm(
      staged_files.map_in_processes(
          functools.partial(read_objects, images=images, separate=separate),
          image_files, num_processes), 'Reading masks', len(image_files),
      unit=' images'))
  for note in _notes(image_files, objects):
    print(note)
  datasets = {}
  for split in ('train', 'val') if val_every else ('all',):
    rows = [i for i in range(len(image_files)) if split == 'all'
            or (i % val_every == val_every - 1) == (split == 'val')]
    suffix = '.json' if split == 'all' else '_%s.json' % split
    datasets[prefix + suffix] = coco_dataset(
        [image_files[i] for i in rows], [objects[i] for i in rows], class_name)
  for path, dataset in datasets.items():
    files.write_atomically(path, json.dumps(dataset))
  return datasets


def _notes(image_files, objects):
  """What was noted while masks were read, counted, and doubts."""
  notes = image_notes.ImageNotes()
  for (name, _), (_, _, of_image) in zip(image_files, objects):
    notes.add(name, of_image)
  lines = notes.lines()
  drawn = [(masks, rles)
           for (_, masks), (_, rles, _) in zip(image_files, objects) if rles]
  if not drawn:
    lines.append('Not one mask has a pixel inside: there is no object.')
  elif all(isinstance(masks, str) and len(rles) == 1 for masks, rles in drawn):
    lines.append(
        'Warning: every label image has one value apart from the background, '
        'so all objects of an image are one. If the files are masks of all '
        'objects, use --separate.')
  return lines


def main() -> None:
  parser = argparse.ArgumentParser(
      prog='python -m tools.create_mask_annotations', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--images', required=True, help='folder of the images')
  parser.add_argument('--labels',
                      help='folder of the label images; default: a folder '
                           '`masks` next to each image')
  parser.add_argument('--class_name', required=True,
                      help='what the objects are')
  parser.add_argument('--output', required=True,
                      help='path prefix of the annotations')
  parser.add_argument('--val_every', type=numbers.whole(2, or_none=True),
                      default=4,
                      help='one of this many images is for validation '
                           '(default: 4); 0: one file for all images')
  parser.add_argument('--separate', action='store_true',
                      help='every connected region is a separate object')
  args = parser.parse_args()
  try:
    datasets = write_annotations(args.images, args.output, args.class_name,
                                 args.labels, args.val_every,
                                 separate=args.separate)
  except (AnnotationError, OSError) as e:
    raise SystemExit('Error: %s' % e)
  for path, dataset in datasets.items():
    counts = np.bincount([a['image_id'] for a in dataset['annotations']],
                         minlength=1)
    print('%s: %d images, %d objects, at most %d in one image.' % (
        path, len(dataset['images']), counts.sum(), counts.max()))


if __name__ == '__main__':
  main()
