"""Writes a small Pascal VOC data set, with the class names of BCCD."""

import numpy as np
from PIL import Image

_XML = '''<annotation><folder>JPEGImages</folder>
<filename>%(name)s.jpg</filename>
<path>/home/someone/%(name)s.jpg</path>
<size><width>64</width><height>48</height><depth>3</depth></size>
%(objects)s</annotation>'''
_OBJECT = '''<object><name>%s</name><difficult>0</difficult><bndbox>
<xmin>%d</xmin><ymin>%d</ymin><xmax>%d</xmax><ymax>%d</ymax></bndbox></object>
'''
_CLASSES = ('RBC', 'WBC', 'Platelets')


def write(folder, num_train=4, num_val=3):
  """Writes Annotations, JPEGImages and ImageSets.

  Args:
    folder: pathlib.Path, made if need be.
    num_train: images of the split train.
    num_val: images of the split val.
  """
  for part in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
    (folder / part).mkdir(parents=True)
  rng = np.random.RandomState(0)
  names = ['BloodImage_%05d' % i for i in range(num_train + num_val)]
  for name in names:
    pixels = np.full([48, 64, 3], 200, np.uint8)
    objects = ''
    for i, class_name in enumerate(_CLASSES):
      x, y = 20 * i + rng.randint(4), rng.randint(24)
      pixels[y:y + 18, x:x + 16] = 60 * i
      objects += _OBJECT % (class_name, x, y, x + 16, y + 18)
    Image.fromarray(pixels).save(str(folder / 'JPEGImages' / (name + '.jpg')))
    (folder / 'Annotations' / (name + '.xml')).write_text(
        _XML % {'name': name, 'objects': objects})
  for split, members in (('train', names[:num_train]),
                         ('val', names[num_train:])):
    (folder / 'ImageSets' / 'Main' / (split + '.txt')).write_text(
        ''.join(name + '\n' for name in members))
