"""Exports a checkpoint as a SavedModel, and checks that both agree.

  python -m tools.export_saved_model --model_dir=/tmp/run \\
      --export_dir=/tmp/exported

The configuration is the params.yaml of --model_dir, or the one next to
--checkpoint_path; --model, --config_file and --params_override change or
replace it. docs/export.md has the signatures.

Finally, the same images are passed to the checkpoint and to the export, which
runs in a separate process. The greatest difference of each output is printed.
An export in bfloat16 is compared with the checkpoint in float32: the share of
detections that are not found again is printed.

Exit codes: 0 done; 1 the export differs, or cannot be written (then
--export_dir is unchanged); 2 wrong flags.
"""

import argparse
import sys
from typing import Any, Optional, Sequence

from configs import base
from configs import precisions
from ops import tensorflow_later as tf
from tools.common import bool_flags
from tools.common import config_arguments
from tools.common import reasons
from tools.common import target_export

_INPUT_TYPES = ('image_bytes', 'image_tensor', 'tf_example', 'raw_image_tensor')
_COORDINATES = ('model', 'image', 'normalized')


def parser() -> argparse.ArgumentParser:
  """argparse.ArgumentParser of this program."""
  result = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  config_arguments.add(result)
  add = result.add_argument
  add('--model_dir', help='folder of the training run: params.yaml and the '
                          'newest checkpoint; or the name of a model that '
                          'comes with the code')
  add('--checkpoint_path', help='this checkpoint instead of the newest one')
  add('--export_dir', required=True,
      help='folder to write; it appears when it is complete')
  add('--batch_size', type=int, default=1,
      help='images per request; -1: any number (default: 1)')
  add('--input_type', choices=_INPUT_TYPES, default='image_bytes',
      help='input of the model: bytes of image files, uint8 pixels, records, '
           'or normalised pixels (default: image_bytes)')
  add('--input_name', default='input',
      help='key of the input in the signature (default: input)')
  add('--input_image_size', help='HEIGHT,WIDTH that images are resized to '
                                 '(default: the size in the configuration)')
  add('--box_coordinates', choices=_COORDINATES,
      help='boxes in pixels of the input of the network (the default), in '
           'pixels of the image, or as fractions of its sides')
  add('--precision', choices=precisions.OF_INFERENCE,
      default=precisions.FLOAT32,
      help='number format of the network; auto: the faster one on this machine '
           '(default: float32)')
  add('--label_map', help='names of the classes, lines id:name (default: '
      'eval.label_map)')
  add('--serving_name', help='name that the model will be served under '
      '(default: the last part of --export_dir)')
  add('--check_images', help='pattern of image files for the check (default: '
      'drawn ones)')
  for name, default, text in (
      ('override_export_dir', False, 'replace --export_dir if it exists'),
      ('output_image_info', True, 'also output image_info: how the image is '
                                  'placed in the input of the network'),
      ('output_normalized_coordinates', False, 'the same as '
       '--box_coordinates=normalized'),
      ('paste_masks', False, 'output masks of the size of the image, pasted '
                             'inside the graph'),
      ('cast_num_detections_to_float', False, 'num_detections as float32'),
      ('cast_detection_classes_to_float', False, 'detection_classes as '
       'float32'),
      ('follow_exif', True, 'turn image_bytes upright by their EXIF '
                            'orientation'),
      ('use_tpu', False, 'refused: an export runs on CPUs and GPUs')):
    bool_flags.add(result, name, default, text)
  return result


def _coordinates(values):
  """The value of --box_coordinates, however it is given."""
  if not values.output_normalized_coordinates:
    return values.box_coordinates or 'model'
  if values.box_coordinates not in (None, 'normalized'):
    raise target_export.FlagError(
        '--output_normalized_coordinates and --box_coordinates=%s contradict '
        'each other.' % values.box_coordinates)
  return 'normalized'


def run(values: Any) -> None:
  """Exports and checks.

  Args:
    values: object with the flags as attributes.

  Raises:
    ValueError: saying what is wrong.
  """
  # Slow to load, which --help should not wait for.
  from serving import export
  from serving import parity
  from serving import signatures
  from serving.targets import agreement
  if values.use_tpu:
    raise target_export.FlagError(
        '--use_tpu: there is no graph for TPUs. Without the flag the export '
        'runs on CPUs and GPUs.')
  options = signatures.Options(
      _coordinates(values), values.output_image_info,
      values.cast_num_detections_to_float,
      values.cast_detection_classes_to_float)
  images = target_export.image_files('check_images', values.check_images)
  image_size = target_export.image_size(values.input_image_size)
  source = target_export.source_of(values, values.precision)
  what = dict(
      input_type=values.input_type, batch_size=values.batch_size,
      input_name=values.input_name, image_size=image_size, options=options,
      paste_masks=values.paste_masks, follow_exif=values.follow_exif)
  exact = base.override(source.config, {'architecture': {
      'use_bfloat16': False}})
  the_plan = export.plan(exact, source.checkpoint, **what)
  comparison = parity.compare if source.config == exact else (
      agreement.comparison(agreement.BFLOAT16, max(the_plan.spec.padded_size)))
  folder = export.export(
      source.config, source.checkpoint, values.export_dir,
      override=values.override_export_dir, label_map=values.label_map,
      model_name=values.serving_name,
      check=lambda path: parity.check(the_plan, path, images,
                                      comparison=comparison), **what)
  print('%s is exported to %s.' % (source.checkpoint, folder))


def main(arguments: Optional[Sequence[str]] = None) -> int:
  """Runs the program.

  Args:
    arguments: [str]; None: those of the command line.

  Returns:
    The exit code.
  """
  values = parser().parse_args(arguments)
  config_arguments.start_tensorflow()
  try:
    run(values)
  except (target_export.FlagError, base.ConfigError) as e:
    print('Error: %s' % e, file=sys.stderr)
    return 2
  except (ValueError, OSError, tf.errors.OpError) as e:
    print('Error: %s' % reasons.of(e), file=sys.stderr)
    return 1
  return 0


if __name__ == '__main__':
  sys.exit(main())
