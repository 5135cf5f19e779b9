"""Writes the images of a folder, without annotations, as TFRecords.

  python -m tools.create_image_tfrecord --images=images --output=records/new

The records are for `--mode=predict`, with
predict.predict_file_pattern=records/new-*.tfrecord. The id of an image, also in
the results, is its path within the folder. Subfolders are included.
"""

from typing import Any, Dict

from absl import flags

from tools.datasets import coco_record_writer
from tools.datasets import conversion_flags
from tools.datasets import source_set

ConversionError = source_set.ConversionError


def convert(images: str, prefix: str,
            options: coco_record_writer.Options) -> Dict[str, Any]:
  """Converts a folder.

  Args:
    images: folder.
    prefix: the prefix of the written files.
    options: coco_record_writer.Options.

  Returns:
    The index; see coco_record_writer.write_dataset.

  Raises:
    ConversionError: if there is no image.
  """
  names, notes = source_set.walk_images(images)
  found = source_set.SourceSet()
  found.notes.extend(notes)
  for name in names:
    found.add_image(name, name)
  if not names:
    raise ConversionError('There is no image in %s.' % images)
  return coco_record_writer.write_dataset(
      found.dataset(), prefix, source_set.loader(images), options)


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags in flags.FlagValues."""
  flags.DEFINE_string('images', None, 'Folder of the images. Required.',
                      flag_values=values)
  conversion_flags.define(values)


def main(values: flags.FlagValues) -> None:
  """Converts as the flags say."""
  if not values.images or not values.output:
    raise ConversionError('Give --images=FOLDER --output=PREFIX.')
  convert(values.images, values.output, conversion_flags.options(values))


if __name__ == '__main__':
  conversion_flags.run(define_flags, main)
