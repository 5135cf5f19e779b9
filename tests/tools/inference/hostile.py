"""Files that are images of odd kinds, that are not, and odd names of files.

Every good one shows `scene`: a red patch, so that what a model would find shows
whether colours and orientation are right.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from utils import orientation as orientations

BOX = (8, 12, 24, 44)  # y0, x0, y1, x1 of the patch
SIZE = (48, 64)
EVIL = '<img src=x onerror=alert(1)>"\'&.png'


def scene():
  """uint8 [48, 64, 3]: grey-blue, with a red patch in the upper left."""
  image = np.full(SIZE + (3,), (90, 100, 130), np.uint8)
  image[BOX[0]:BOX[2], BOX[1]:BOX[3]] = (230, 20, 30)
  return image


def encoded(image, kind='JPEG', **options):
  """Bytes of an array or a Pillow image."""
  buffer = io.BytesIO()
  if isinstance(image, np.ndarray):
    image = Image.fromarray(image)
  if kind == 'JPEG':
    options = dict(dict(quality=97, subsampling=0), **options)
  image.save(buffer, kind, **options)
  return buffer.getvalue()


def png(depth, kind, rows, size=SIZE):
  """Bytes of a PNG that Pillow does not write.

  Args:
    depth: int, bits a channel.
    kind: int, colour type of the format.
    rows: bytes, each row with its filter byte.
    size: (height, width).
  """
  def chunk(name, content):
    return (struct.pack('>I', len(content)) + name + content
            + struct.pack('>I', zlib.crc32(name + content)))
  header = struct.pack('>IIBBBBB', size[1], size[0], depth, kind, 0, 0, 0)
  return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
          + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def deep_png():
  """16 bits a channel."""
  rows = b''.join(b'\0' + row.tobytes() for row in
                  (scene().astype('>u2') * 257).reshape([SIZE[0], -1]))
  return png(16, 2, rows)


def turned(orientation):
  """A JPEG that is stored turned, with the note how to turn it back."""
  exif = Image.Exif()
  exif[orientations.TAG] = orientation
  stored = next(t for t in (
      orientations.turn(scene(), o) for o in range(1, 9))
                if np.array_equal(orientations.turn(t, orientation), scene()))
  return encoded(stored, exif=exif.tobytes())


def good():
  """{name: bytes} of images that show the scene."""
  image = scene()
  rgba = np.dstack([image, np.full(SIZE, 128, np.uint8)])
  pages = [Image.fromarray(image), Image.fromarray(image[::-1].copy())]
  found = {
      'cmyk.jpg': encoded(Image.fromarray(image).convert('CMYK')),
      'deep.png': deep_png(),
      'animated.gif': encoded(pages[0], 'GIF', save_all=True,
                              append_images=pages[1:]),
      'alpha.png': encoded(rgba, 'PNG'),
      'palette.png': encoded(Image.fromarray(image).quantize(16), 'PNG'),
      'not_a_png.png': encoded(image),
      'page.tiff': encoded(image, 'TIFF'),
      'web.webp': encoded(image, 'WEBP', lossless=True),
      EVIL: encoded(image, 'PNG'),
      'two\nlines.jpg': encoded(image),
      '=cmd|calc.jpg': encoded(image),
      'x' * 196 + '.jpg': encoded(image)}
  for orientation in range(1, 9):
    found['exif%d.jpg' % orientation] = turned(orientation)
  return found


def small():
  """{name: (bytes, (height, width))} of images with hardly any pixels."""
  return {
      'one.png': (encoded(scene()[:1, :1], 'PNG'), (1, 1)),
      'wide.png': (encoded(np.zeros([1, 10000, 3], np.uint8), 'PNG'),
                   (1, 10000)),
      'high.png': (encoded(np.zeros([10000, 1, 3], np.uint8), 'PNG'),
                   (10000, 1))}


def bad():
  """{name: (bytes, words of the sentence about it)}."""
  return {
      'empty.jpg': (b'', 'empty'),
      'cut.jpg': (encoded(scene())[:-200], 'truncated'),
      'text.jpg': (b'<html>not found</html>', 'not an image'),
      'bomb.png': (png(8, 2, b'', (60000, 60000)), 'pixels'),
      '<script>alert(1)</script>.jpg'.replace('/', ' '): (b'', 'empty')}


def write(folder, files):
  """Writes {name: bytes, or (bytes, ...)} into a pathlib.Path."""
  folder.mkdir(exist_ok=True)
  for name, content in files.items():
    (folder / name).write_bytes(
        content[0] if isinstance(content, tuple) else content)
