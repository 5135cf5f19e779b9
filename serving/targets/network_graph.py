"""The network of a checkpoint as one graph of constants, for other programs.

Every target is made of it. Images come in normalised and padded, as
`inputs.prepare` makes them: the program that shows images to the target does
that by the rule in the description beside it.
"""

import collections

import tensorflow.compat.v1 as tf
from tensorflow.python.grappler import tf_optimizer

from ops import compat
from ops import portability
from serving import checkpoint_model
from serving import export
from serving import input_types
from serving import networks
from serving import signatures
from serving.targets import graph_files

INPUT = 'Placeholder'  # operation that is fed, as in other exports
_FILES = 'network'

# graph: GraphDef without variables. inputs: {key: tensor name}, one. outputs:
# {key: tensor name}, keys of signatures.TENSORS. shape: [int or None] of the
# input.
Network = collections.namedtuple('Network', 'graph inputs outputs shape')


def plan(config, checkpoint, batch_size=1, image_size=None):
  """What is exported to another target.

  Args:
    config: experiment.
    checkpoint: prefix.
    batch_size: int; None or -1: any.
    image_size: (height, width) that images are brought to; None: that of the
      configuration. It is padded here, so every size will do.

  Returns:
    export.Plan of prepared images.

  Raises:
    ExportError: saying what does not go together.
  """
  compat.enable_graph_mode()
  the_plan = export.plan(config, checkpoint, input_types.RAW_IMAGE_TENSOR,
                         batch_size, image_size=image_size)
  return the_plan._replace(
      options=signatures.Options(signatures.MODEL, False, False, False))


def build(the_plan, has_loops=True):
  """Builds the network and makes constants of its variables.

  Args:
    the_plan: result of `plan`.
    has_loops: whether the target supports loops.

  Returns:
    Network.

  Raises:
    LoadError: if the checkpoint is of another model.
  """
  shape = [the_plan.batch_size] + list(the_plan.spec.padded_size) + [3]
  with tf.Graph().as_default() as graph, compat.functional_control_flow():
    portability.require(has_loops)
    fed = tf.placeholder(tf.float32, shape, INPUT)
    named = _outputs(the_plan, fed)
    with tf.Session(graph=graph, config=tf.ConfigProto(
        allow_soft_placement=True)) as session:
      checkpoint_model.restore(the_plan.config, the_plan.checkpoint, session)
      constant = tf.graph_util.convert_variables_to_constants(
          session, graph.as_graph_def(), [t.op.name for t in named.values()])
  ends = {the_plan.input_name: fed.name}, {
      key: value.name for key, value in named.items()}
  return Network(_optimized(constant, *ends), ends[0], ends[1], shape)


def _outputs(the_plan, fed):
  """{key: tensor} under the public names."""
  height, width = the_plan.spec.padded_size
  info = tf.constant([[height, width], [height, width], [1, 1], [0, 0]],
                     tf.float32)
  image_info = tf.tile(info[tf.newaxis], [tf.shape(fed)[0], 1, 1])
  image_info.set_shape([the_plan.batch_size, 4, 2])
  found = networks.outputs(the_plan.config, fed, image_info)
  return signatures.outputs(found, image_info, the_plan.options)


def _optimized(graph_def, inputs, outputs):
  """Folds what is constant, such as anchors and the arithmetic of norms."""
  with tf.Graph().as_default() as graph:
    tf.import_graph_def(graph_def, name='')
    meta_graph = tf.train.export_meta_graph(graph=graph)
  meta_graph.signature_def[signatures.SIGNATURE].CopyFrom(
      signatures.signature(*[
          {key: graph.get_tensor_by_name(name) for key, name in ends.items()}
          for ends in (inputs, outputs)]))
  kept = meta_graph.collection_def['train_op'].node_list.value
  kept.extend(name.split(':')[0]
              for name in list(inputs.values()) + list(outputs.values()))
  options = tf.ConfigProto()
  rewrite = options.graph_options.rewrite_options
  rewrite.min_graph_nodes = -1  # small graphs, too
  rewrite.optimizers.extend(['constfold', 'dependency'])
  return tf_optimizer.OptimizeGraph(options, meta_graph, verbose=False)


def save(network, folder):
  """Writes a Network for a program of another environment to read.

  Args:
    network: Network.
    folder: its path.
  """
  graph_files.save(network, folder, _FILES)


def load(folder):
  """Reads what `save` wrote.

  Args:
    folder: its path.

  Returns:
    Network.
  """
  return graph_files.load(Network, folder, _FILES)
