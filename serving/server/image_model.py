"""The exported model behind a service, as a function of images."""

from typing import Any, Dict, Mapping, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from ops import compat
from serving import exported_model
from serving import predictor
from serving import sources
from serving.server import image_limits
from serving.server import service as service_lib

_GIF = b'GIF8'


class BatchedModel(exported_model.ExportedModel):
  """An exported model whose runs go through the queue of a service."""

  def __init__(self, service: service_lib.Service) -> None:
    """Takes the graph that is loaded.

    Args:
      service: service.Service.

    Raises:
      LoadError: if it is not a model of images.
    """
    self._service = service
    model = service.model
    super().__init__(model.folder, (model.session, model.meta_graph))
    # The queue fills batches up, with the images of others.
    self.batch_size = None

  def run_signature(
      self, feeds: Mapping[str, np.ndarray],
      signature: Optional[Dict[str, Any]] = None) -> Dict[str, np.ndarray]:
    """As ExportedModel.run_signature, in one batch [B, ...] with others.

    Raises:
      RequestError: see service.Service.run_and_wait.
    """
    described = signature or self.signature
    name = next(name for name, one in self.signatures.items()
                if one is described)
    keys = {one['tensor']: key for key, one in described['inputs'].items()}
    return self._service.run_and_wait(
        self._service.model.signatures[name],
        {keys[tensor]: value for tensor, value in feeds.items()})


class Detect:
  """Bytes of an image file to a result of serving.results.

  Attributes:
    class_names: {class id: name}.
  """

  def __init__(self, service: service_lib.Service,
               label_map: Optional[str] = None) -> None:
    """Takes the model of a service.

    Args:
      service: service.Service.
      label_map: path of a label map, or {class id: name}; None: that of the
        export.

    Raises:
      LoadError: if it is not a model of images, or for the label map.
    """
    self._max_pixels = service.limits.max_pixels
    self._predict = predictor.Predictor(
        BatchedModel(service), batch_size=1, label_map=label_map,
        max_pixels=self._max_pixels)
    self.class_names = self._predict.class_names

  def warm_up(self) -> None:
    """Answers a grey image: the first run of a graph is slow.

    Raises:
      LoadError: if the network cannot.
    """
    try:
      self._predict(np.full([8, 8, 3], 128, np.uint8))
    except tf.errors.OpError as e:
      raise sources.LoadError('The network cannot answer a grey image: %s' % (
          compat.error_reason(e.message)))

  def __call__(self, content: bytes) -> Any:
    """A result for bytes; may be called by several threads after `warm_up`.

    Raises:
      InputError, RequestError: for what is not an image, or too large.
    """
    if content.startswith(_GIF):  # All frames are decoded, one is used.
      image_limits.num_pixels(content, self._max_pixels, 'The image')
    return self._predict(content)
