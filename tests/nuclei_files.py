"""Writes small images with one mask file per object, as of nuclei."""

import numpy as np
from PIL import Image

SIZE = (40, 48)  # height, width


def write(folder, num_images=5, num_objects=6):
  """Writes NAME/images/NAME.png, RGBA, and NAME/masks/*.png, 0 and 255.

  Args:
    folder: pathlib.Path, made if need be.
    num_images: int.
    num_objects: int, of every image but the first, which has none.

  Returns:
    {name: bool [objects, height, width]}.
  """
  rng = np.random.RandomState(0)
  y, x = np.mgrid[:SIZE[0], :SIZE[1]]
  masks = {}
  for i in range(num_images):
    name = 'image_%d' % i
    of_image = []
    for k in range(num_objects if i else 0):
      center_y, center_x = 8 + 12 * (k // 3), 8 + 14 * (k % 3)
      radius = rng.randint(3, 6)
      of_image.append((y - center_y) ** 2 + (x - center_x) ** 2
                      <= radius ** 2)
    masks[name] = np.reshape(of_image, (-1,) + SIZE).astype(bool)
    pixels = np.full(SIZE + (4,), 255, np.uint8)
    pixels[..., :3] = rng.randint(10, 30, SIZE + (3,))
    pixels[masks[name].any(axis=0), :3] = 180
    for part in ('images', 'masks'):
      (folder / name / part).mkdir(parents=True)
    Image.fromarray(pixels).save(
        str(folder / name / 'images' / (name + '.png')))
    for k, mask in enumerate(masks[name]):
      Image.fromarray(mask.astype(np.uint8) * 255).save(
          str(folder / name / 'masks' / ('%d.png' % k)))
  return masks
