"""An exported model, ready to answer images in this process."""

from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from evaluation import class_ids
from ops import compat
from serving import class_names
from serving import export_notes
from serving import host_graphs
from serving import input_types
from serving import inputs
from serving import networks
from serving import segmentation_outputs
from serving import signatures
from serving import sources
from serving import warm_up
from utils import fields
from utils import mask_grids
from utils import types

# Of a file that was written by a newer TensorFlow than the one that reads it.
_TOO_NEW = ('{0} was written by TensorFlow {1}, which the installed {2} cannot '
            'read: export it with {2}, whose exports newer ones read, too.')


class ExportedModel:
  """Stands in for checkpoint_model.CheckpointModel.

  Attributes:
    config: experiment; None of an export of another program.
    mask_grid: mask_grids.MaskGrid.
    task: one of the tasks of serving.networks.
    batch_size: int, or None for any.
    signatures: {name: SignatureDef as plain values}.
    signature: the one in use.
    input_type: one of input_types.INPUT_TYPES.
    folder: str.
  """

  def __init__(self, folder: str,
               loaded: Optional[Tuple[tf.Session, Any]] = None) -> None:
    """Loads graph and variables.

    Args:
      folder: folder of the export.
      loaded: (tf.Session, MetaGraphDef) of `load_graph`, if it is loaded.

    Raises:
      LoadError: if this TensorFlow cannot read it, or it has no signature that
        takes images.
    """
    self.folder = str(folder)
    notes = export_notes.read(self.folder)
    self.config = notes and notes.config
    self._names = notes.names if notes else {}
    self._values = notes.values if notes else {}
    self._session, meta_graph = loaded or load_graph(self.folder)
    self.signatures = signatures.describe(meta_graph)
    self._choose_signature()
    self._preparation = host_graphs.Preparation()
    self._suppress = None

  def _choose_signature(self):
    found = self.signatures
    for name in (signatures.LABEL_MAPS, signatures.SIGNATURE):
      if name in found:
        self.signature = found[name]
        break
    else:
      raise sources.LoadError('%s has no signature %r, only %s.' % (
          self.folder, signatures.SIGNATURE, sorted(found)))
    self.task = _task(self.signature['outputs'], self.folder)
    self._feed = image_input(self.signature['inputs'], self.folder)
    # Of published segmentation models; a server has to be given them, too.
    self._more_feeds = {
        self.signature['inputs'][key]['tensor']: value for key, value in (
            (segmentation_outputs.KEY, [b'default']),
            (segmentation_outputs.THRESHOLDS, [0.]))
        if key in self.signature['inputs']}
    shape = self._feed['shape']
    self.batch_size = shape[0] if shape[0] > 0 else None
    self.input_type = self._values.get('input', {}).get(
        'type') or _input_type(self._feed)
    self.spec = (export_notes.input_spec(self._values) if self._values else
                 _spec_of_shape(self._feed))
    self.mask_grid = (export_notes.mask_grid(self._values) if self._values
                      else _published_mask_grid(self.signature['outputs']))
    self.coordinates = self._values.get('box_coordinates', signatures.MODEL)
    if self.signature['outputs'].keys().isdisjoint(
        (fields.IMAGE_INFO,)) and self.spec is None:
      raise sources.LoadError(
          '%s has neither an output image_info nor an export.json: it is not '
          'known how its boxes are placed in an image. Export it with '
          'output_image_info.'
          % self.folder)

  def class_names(
      self, label_map: Optional[Union[str, types.LabelMap]] = None
  ) -> Tuple[types.LabelMap, Any]:
    """({class id: name}, class_ids.CategoryMap or None); see class_names."""
    names = class_names.given(label_map) or self._names
    ids = self._values.get('category_ids')
    return names, ids and class_ids.CategoryMap(
        {int(i): value for i, value in ids.items()}, None)

  def prepare(self, image: np.ndarray) -> Tuple[Any, Optional[np.ndarray]]:
    """(what is fed for an image, image_info or None) of uint8 [H, W, 3]."""
    if self.input_type in (input_types.IMAGE_BYTES, input_types.TF_EXAMPLE):
      info = self._preparation.info(image, self.spec) if self.spec else None
      return warm_up.encoded(image, self.input_type), info
    if self.input_type == input_types.RAW_IMAGE_TENSOR:
      return self._preparation.prepared(image, self.spec)
    return self._preparation.placed(image, self.spec)

  def run(self, prepared: List[Any]) -> Dict[str, np.ndarray]:
    """Runs the network on a batch.

    Args:
      prepared: [result of `prepare`].

    Returns:
      {name: array [B, ...]} as of CheckpointModel.run.
    """
    count = len(prepared)
    size = self.batch_size or count
    answers = []
    for start in range(0, count, size):
      part = prepared[start:start + size]
      answers.append(self._run(part + part[-1:] * (size - len(part)),
                               len(part)))
    return {name: np.concatenate([a[name] for a in answers])
            for name in answers[0]}

  def _run(self, prepared, count):
    values, infos = zip(*prepared)
    kind = object if self._feed['dtype'] == 'string' else self._feed['dtype']
    answers = self.run_signature(dict(
        self._more_feeds, **{self._feed['tensor']: np.array(values, kind)}))
    answers = {name: value[:count] for name, value in answers.items()}
    if infos[0] is not None:
      answers[fields.IMAGE_INFO] = np.stack(infos[:count])
    if self.task == networks.DETECTION:
      answers = self._with_model_boxes(answers)
    if fields.RAW_SCORES in answers:
      answers = self._suppressed(answers)
    return answers

  def run_signature(self, feeds: Mapping[str, np.ndarray],
                    signature: Optional[Dict[str, Any]] = None
                    ) -> Dict[str, np.ndarray]:
    """Runs the graph as it is.

    Args:
      feeds: {tensor name: array}, [B, ...] as `signature` has them.
      signature: one of `signatures`; None: the one in use.

    Returns:
      {key of the signature: array [B, ...]}.
    """
    return self._session.run(
        {key: value['tensor']
         for key, value in (signature or self.signature)['outputs'].items()},
        feeds)

  def _with_model_boxes(self, answers):
    """The answers with all boxes in pixels of the network's input."""
    info = answers[fields.IMAGE_INFO]
    factors = info[:, 2] * (info[:, 0] if self.coordinates == (
        signatures.NORMALIZED) else 1.)
    factors = np.tile(factors, [1, 2]).astype(np.float32)
    if self.coordinates != signatures.MODEL:
      for name in signatures.converted_boxes(self.coordinates):
        if name in answers:
          boxes = answers[name]
          answers[name] = boxes * factors.reshape(
              [-1] + [1] * (boxes.ndim - 2) + [4])
    return answers

  def _suppressed(self, answers):
    """Detections of an export without non-maximum suppression."""
    if self._suppress is None:
      self._suppress = host_graphs.Suppression(self.config)
    return dict(self._suppress(answers[fields.RAW_BOXES],
                               answers[fields.RAW_SCORES]),
                **{fields.IMAGE_INFO: answers[fields.IMAGE_INFO]})

  def close(self) -> None:
    """Frees what the session holds."""
    self._session.close()


def load_graph(folder: str, **session_options: Any) -> Tuple[tf.Session, Any]:
  """Loads a SavedModel into a session of its own.

  Args:
    folder: folder of the export.
    **session_options: arguments of tf.ConfigProto.

  Returns:
    (tf.Session, MetaGraphDef).

  Raises:
    LoadError: if this TensorFlow cannot read it.
  """
  session = tf.Session(graph=tf.Graph(), config=tf.ConfigProto(
      allow_soft_placement=True, **session_options))
  try:
    with session.graph.as_default():
      return session, tf.saved_model.load(
          session, [tf.saved_model.tag_constants.SERVING], folder)
  except Exception as e:  # pylint: disable=broad-except
    # What fails in a damaged graph, or one of a newer version, has many types.
    session.close()
    written = written_by(folder)
    if written and _version(written) > _version(compat.VERSION):
      raise sources.LoadError(_TOO_NEW.format(folder, written, compat.VERSION))
    raise sources.LoadError('%s cannot be loaded: %s' % (
        folder, compat.error_reason(getattr(e, 'message', str(e)))))


def written_by(folder: str) -> str:
  """The version of TensorFlow in an export's export.json; '' without one."""
  notes = export_notes.read(folder)
  return notes.values.get('tensorflow', '') if notes else ''


def _version(text):
  return tuple(int(part) for part in text.split('.')[:2])


def _task(outputs, folder):
  if fields.DETECTION_BOXES in outputs or fields.RAW_BOXES in outputs:
    return networks.DETECTION
  if networks.PROBABILITIES in outputs:
    return networks.CLASSIFICATION
  if fields.MASKS in outputs or (
      segmentation_outputs.CATEGORY_BYTES in outputs):
    return networks.SEGMENTATION
  raise sources.LoadError('%s gives %s: neither boxes nor classes nor label '
                          'maps.' % (folder, ', '.join(sorted(outputs))))


def image_input(infos: Mapping[str, Dict[str, Any]],
                folder: str) -> Dict[str, Any]:
  """The input of a signature that takes the image.

  Args:
    infos: {key: {'dtype', 'shape', 'tensor'}}.
    folder: folder of the export, for messages.

  Returns:
    One of the infos.

  Raises:
    LoadError: if there is none, or more than one.
  """
  images = [info for key, info in infos.items() if key not in (
      segmentation_outputs.KEY, segmentation_outputs.THRESHOLDS)]
  if len(images) != 1 or len(images[0]['shape']) not in (1, 4):
    raise sources.LoadError('%s takes %s: one input for images is expected.'
                            % (folder, ', '.join(sorted(infos))))
  return images[0]


def _input_type(info):
  if info['dtype'] == 'string':
    return input_types.IMAGE_BYTES
  return (input_types.IMAGE_TENSOR if info['dtype'] == 'uint8'
          else input_types.RAW_IMAGE_TENSOR)


def _spec_of_shape(info):
  """InputSpec of a foreign export that takes pixels; None for bytes."""
  if len(info['shape']) != 4:
    return None
  size = tuple(info['shape'][1:3])
  if min(size) < 1:
    raise sources.LoadError(
        'The export takes pixels of images of any size (%s), which cannot be '
        'put into one batch: export it with a fixed size.' % info['shape'])
  return inputs.InputSpec(inputs.FIT, size, size)


def _published_mask_grid(outputs):
  """How models of upstream sample masks, with its default crop size."""
  return mask_grids.corners(
      0 if fields.DETECTION_OUTER_BOXES in outputs else 112)
