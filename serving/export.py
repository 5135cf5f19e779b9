"""A checkpoint as a SavedModel that TensorFlow Serving loads."""

import os
from typing import (
  Any,
  Callable,
  Dict,
  NamedTuple,
  Optional,
  Tuple,
  Union,
)

import tensorflow.compat.v1 as tf

from configs import base
from evaluation import factory as evaluation_factory
from modeling import storage
from ops import compat
from serving import checkpoint_model
from serving import export_notes
from serving import input_types
from serving import inputs
from serving import mask_pasting
from serving import networks
from serving import segmentation_outputs
from serving import signatures
from serving import warm_up
from utils import fields
from utils import files
from utils import types

# Names of tensors inside of the graph: prepared images, float32 [B, H, W, 3],
# and float32 [B, 4, 2].
NETWORK_IMAGES, NETWORK_IMAGE_INFO = 'NetworkImages', 'NetworkImageInfo'


class Plan(NamedTuple):
  """What is exported.

  Attributes:
    config: experiment.
    checkpoint: prefix.
    spec: what the network takes.
    input_type: one of input_types.INPUT_TYPES.
    input_name: key of the signature.
    batch_size: None: any.
    options: what the signature has in addition to the outputs.
    paste_masks: whether masks are pasted into the image.
    follow_exif: whether images are turned upright.
  """
  config: base.Config
  checkpoint: str
  spec: inputs.InputSpec
  input_type: str
  input_name: str
  batch_size: Optional[int]
  options: signatures.Options
  paste_masks: bool
  follow_exif: bool


class ExportError(ValueError):
  """What is asked for cannot be exported."""


def plan(config: base.Config, checkpoint_path: str,
         input_type: str = input_types.IMAGE_BYTES,
         batch_size: Optional[int] = 1, input_name: str = 'input',
         image_size: Optional[Tuple[int, int]] = None,
         options: signatures.Options = signatures.DEFAULT_OPTIONS,
         paste_masks: bool = False, follow_exif: bool = True) -> Plan:
  """Checks what is asked for, before anything is built.

  Args:
    config: experiment.
    checkpoint_path: prefix.
    input_type: one of input_types.INPUT_TYPES.
    batch_size: int; None or -1: any.
    input_name: key of the input in the signature.
    image_size: (height, width) that images are brought to; None: that of the
      configuration.
    options: signatures.Options.
    paste_masks: bool; masks are pasted into the images inside of the graph.
    follow_exif: bool; see input_types.network_inputs.

  Returns:
    Plan.

  Raises:
    ExportError: saying what does not go together.
  """
  if batch_size is not None and batch_size != -1 and batch_size < 1:
    raise ExportError('The batch size is %d: give 1 or more, or -1 for any.'
                      % batch_size)
  batch_size = None if batch_size == -1 else batch_size
  if paste_masks:
    _check_pastes(config)
  spec = inputs.input_spec(config, image_size)
  return Plan(config, checkpoint_path, spec, input_type, input_name, batch_size,
              options, paste_masks, follow_exif)


def _check_pastes(config):
  if not getattr(config.architecture, 'include_mask', True) or (
      networks.task_of(config) != networks.DETECTION
      or config.type == 'retinanet'):
    raise ExportError('Pasted masks were requested, but the model (%s) has '
                      'none.'
                      % config.type)
  if not config.postprocess.apply_nms:
    raise ExportError('Pasted masks were requested, but postprocess.apply_nms '
                      'is false: there are no detections.')


def build(the_plan: Plan) -> Dict[str, Any]:
  """Builds the graph that is exported, in the default graph.

  Args:
    the_plan: Plan.

  Returns:
    {name of the signature: SignatureDef}, the first one SIGNATURE.

  Raises:
    ValueError: as input_types.placeholder does.
  """
  fed = input_types.placeholder(the_plan.input_type, the_plan.batch_size,
                                the_plan.spec)
  images, image_info = input_types.network_inputs(
      the_plan.input_type, fed, the_plan.spec, the_plan.follow_exif)
  # What a session may feed in their place: the network alone.
  images = tf.identity(images, NETWORK_IMAGES)
  image_info = tf.identity(image_info, NETWORK_IMAGE_INFO)
  found = networks.outputs(the_plan.config, images, image_info)
  if networks.task_of(the_plan.config) == networks.SEGMENTATION:
    return _segmentation_signatures(the_plan, fed, found, image_info)
  if the_plan.paste_masks:
    found[signatures.PASTED_MASKS] = mask_pasting.paste(
        found.pop(fields.DETECTION_MASKS),
        found.get(fields.DETECTION_OUTER_BOXES, found[fields.DETECTION_BOXES]),
        image_info, evaluation_factory.build_mask_grid(the_plan.config))
  options = the_plan.options
  if networks.task_of(the_plan.config) == networks.CLASSIFICATION:
    options = options._replace(image_info=False)
  return {signatures.SIGNATURE: signatures.signature(
      {the_plan.input_name: fed},
      signatures.outputs(found, image_info, options))}


def _segmentation_signatures(the_plan, fed, found, image_info):
  """The published signature, and one of label maps."""
  more_inputs, pngs = segmentation_outputs.with_pngs(found, image_info)
  # The published name of its input; there was no other input type.
  name = the_plan.input_name
  if the_plan.input_type == input_types.IMAGE_BYTES:
    name = input_types.IMAGE_BYTES
  return {
      signatures.SIGNATURE: signatures.signature(
          dict(more_inputs, **{name: fed}), pngs),
      signatures.LABEL_MAPS: signatures.signature(
          {the_plan.input_name: fed},
          signatures.outputs(found, image_info, the_plan.options))}


def export(config: base.Config, checkpoint_path: str, folder: str,
           input_type: str = 'image_bytes', batch_size: Optional[int] = 1,
           input_name: str = 'input', override: bool = False,
           check: Optional[Callable[[str], Any]] = None,
           label_map: Optional[Union[str, types.LabelMap]] = None,
           model_name: Optional[str] = None, **options: Any) -> str:
  """Writes a SavedModel.

  Args:
    config: experiment.
    checkpoint_path: prefix.
    folder: folder of the export. It appears when it is complete.
    input_type: one of input_types.INPUT_TYPES.
    batch_size: int; None or -1: any.
    input_name: key of the input in the signature.
    override: bool, whether a folder that is there is replaced.
    check: path of a written export -> None; it raises what stops the export
      before `folder` is touched.
    label_map: path of a label map, or {class id: name}.
    model_name: name of the model in the warm-up requests; None: the folder's.
    **options: image_size, options, paste_masks, follow_exif of `plan`.

  Returns:
    The folder.

  Raises:
    ExportError: if the folder is there, or the options do not fit.
    LoadError: if the checkpoint is of another model.
  """
  folder = _normalized(folder)
  storage.restore_folder(folder)
  if tf.gfile.Exists(folder) and not override:
    raise ExportError(
        '%s already exists. Give another folder, or replace it with '
        '--override_export_dir.' % folder)
  the_plan = plan(config, checkpoint_path, input_type, batch_size, input_name,
                  **options)
  compat.enable_graph_mode()
  with storage.replaced_folder(folder) as temporary:
    _write(the_plan, temporary)
    export_notes.write(the_plan, temporary, label_map)
    warm_up.write(the_plan, temporary, model_name or os.path.basename(folder))
    if check:
      check(temporary)
  return folder


def _normalized(folder):
  """The path without a slash at its end, absolute where it is local."""
  if files.is_remote(str(folder)):
    return str(folder).rstrip('/')
  return os.path.abspath(str(folder))


def _write(the_plan, folder):
  """Writes graph and variables."""
  with tf.Graph().as_default(), tf.Session(config=tf.ConfigProto(
      allow_soft_placement=True)) as session:
    try:
      found = build(the_plan)
    except input_types.InputTypeError as e:
      raise ExportError(str(e))
    checkpoint_model.restore(the_plan.config, the_plan.checkpoint, session)
    builder = tf.saved_model.Builder(folder)
    builder.add_meta_graph_and_variables(
        session, [tf.saved_model.tag_constants.SERVING],
        signature_def_map=found, clear_devices=True, strip_default_attrs=True)
    builder.save()
