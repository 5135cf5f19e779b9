"""A checkpoint, ready to answer images in this process."""

from typing import Any, Dict, Optional, Sequence, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from configs import base
from evaluation import factory as evaluation_factory
from modeling import checkpoint_fit
from modeling import model_fn
from ops import compat
from serving import class_names
from serving import inputs
from serving import networks
from serving import sources
from utils import fields
from utils import mask_grids
from utils import types
from utils import views as views_lib


class CheckpointModel:
  """The network of a configuration with the weights of a checkpoint.

  Attributes:
    config: experiment.
    task: one of the tasks of serving.networks.
    spec: inputs.InputSpec.
    mask_grid: mask_grids.MaskGrid, how its masks are sampled.
    batch_size: None: any.
  """

  def __init__(self, config: base.Config, checkpoint: str,
               spec: Optional[inputs.InputSpec] = None,
               views: Sequence[views_lib.View] = ()) -> None:
    """Builds the graph and restores the weights.

    Args:
      config: experiment.
      checkpoint: prefix. Its moving averages are used where evaluation uses
        them.
      spec: inputs.InputSpec; None: that of the configuration.
      views: [utils.views.View] that every image is shown in, too; those of
        `utils.views.of_section`, or none.

    Raises:
      LoadError: if the checkpoint is of another model.
    """
    self.config = config
    self.task = networks.task_of(config)
    self.spec = spec or inputs.input_spec(config)
    self.batch_size = None
    self.mask_grid = mask_grids.CELLS
    if self.task == networks.DETECTION:
      self.mask_grid = evaluation_factory.build_mask_grid(config)
    graph = tf.Graph()
    with graph.as_default():
      self._image = tf.placeholder(tf.uint8, [None, None, 3], 'image')
      self._prepared: Tuple[tf.Tensor, ...] = inputs.prepare(self._image,
                                                             self.spec)
      for view in views:
        self._prepared += inputs.prepare_view(
            self._image, self.spec, view, 2 ** config.architecture.max_level)
      self._fed = [tf.placeholder(tf.float32, [None] + tensor.shape.as_list())
                   for tensor in self._prepared]
      self._outputs = networks.outputs(
          config, self._fed[0], self._fed[1],
          views=list(zip(self._fed[2::2], self._fed[3::2])))
    self._session = tf.Session(graph=graph, config=tf.ConfigProto(
        allow_soft_placement=True))
    with graph.as_default():
      restore(config, checkpoint, self._session)
    graph.finalize()

  def prepare(self, image: np.ndarray) -> Tuple[np.ndarray, ...]:
    """(float32 [h, w, 3], image_info float32 [4, 2]) of uint8 [H, W, 3].

    See inputs.prepare. Those of further views follow.
    """
    return self._session.run(self._prepared, {self._image: image})

  def run(self, prepared: Sequence[Any]) -> Dict[str, np.ndarray]:
    """Runs the network on a batch.

    Args:
      prepared: [result of `prepare`].

    Returns:
      {name: array [B, ...]}; see networks.outputs, and `image_info`.
    """
    values = [np.stack(parts) for parts in zip(*prepared)]
    answers = self._session.run(self._outputs, dict(zip(self._fed, values)))
    answers[fields.IMAGE_INFO] = values[1]
    return answers

  def class_names(
      self, label_map: Optional[Union[str, types.LabelMap]] = None
  ) -> Tuple[types.LabelMap, Any]:
    """See class_names.of_config."""
    return class_names.of_config(self.config, label_map)

  def close(self) -> None:
    """Frees what the session holds."""
    self._session.close()


def restore(config: base.Config, checkpoint: str, session: tf.Session) -> None:
  """Gives the variables of the default graph the values of a checkpoint.

  Args:
    config: experiment; it says whether moving averages are wanted.
    checkpoint: prefix.
    session: session of the default graph.

  Raises:
    LoadError: if the checkpoint is damaged, or of another model.
  """
  try:
    checkpoint_fit.check(checkpoint, tf.global_variables())
    scaffold = model_fn.average_scaffold_fn(
        config.train, config.eval.use_moving_average)()
    scaffold.saver.restore(session, checkpoint)
  except checkpoint_fit.MisfitError as e:
    raise sources.LoadError(str(e))
  except (tf.errors.OpError, ValueError, IndexError) as e:
    raise sources.LoadError('The checkpoint %s cannot be read: %s' % (
        checkpoint, compat.error_reason(getattr(e, 'message', str(e)))))
