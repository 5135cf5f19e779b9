"""Losses of ShapeMask (arXiv:1904.03239, section 3).

Every function returns a float32 scalar, 0 where there is nothing to learn from;
targets carry no gradient. The sums over valid masks are divided by the pixels
inside of all masks, valid or not, as in published training: an image with few
valid masks counts less. With `by_image` a function returns float32 [B] instead:
of every image as if it were a batch of its own, 0 where no mask has a pixel.
"""

import tensorflow.compat.v1 as tf

_EPSILON = 1e-20  # pixels; avoids a division by zero without any mask


def prior_loss(prior_masks: tf.Tensor, targets: tf.Tensor,
               is_valid: tf.Tensor, by_image: bool = False) -> tf.Tensor:
  """Half the squared error of the masks that were combined from priors.

  Args:
    prior_masks: float32 [B, N, S, S], 0..1.
    targets: float32 [B, N, S, S], 0 or 1.
    is_valid: int32 or float32 [B, N], 1 for masks that may be learnt from.
    by_image: whether a loss of each image is wanted.

  Returns:
    float32 [], or [B] with `by_image`.
  """
  with tf.name_scope('prior_loss'):
    targets = tf.stop_gradient(targets)
    return _normalized_sum(.5 * tf.square(targets - prior_masks), targets,
                           is_valid, by_image)


def mask_loss(logits: tf.Tensor, targets: tf.Tensor,
              is_valid: tf.Tensor, by_image: bool = False) -> tf.Tensor:
  """Cross entropy of the pixels of a coarse or a fine mask.

  Args:
    logits: float32 [B, N, S, S].
    targets: float32 [B, N, S, S], 0 or 1.
    is_valid: int32 or float32 [B, N], 1 for masks that may be learnt from.
    by_image: whether a loss of each image is wanted.

  Returns:
    float32 [], or [B] with `by_image`.
  """
  with tf.name_scope('mask_loss'):
    targets = tf.stop_gradient(targets)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets,
                                                      logits=logits)
    return _normalized_sum(entropy, targets, is_valid, by_image)


def _normalized_sum(errors, targets, is_valid, by_image):
  """Sum over the valid masks per pixel that is inside of any."""
  of_mask = tf.reduce_sum(errors, axis=[2, 3])
  of_mask *= tf.cast(is_valid, tf.float32)
  if by_image:
    return tf.math.divide_no_nan(tf.reduce_sum(of_mask, axis=1),
                                 tf.reduce_sum(targets, axis=[1, 2, 3]))
  return tf.reduce_sum(of_mask) / (tf.reduce_sum(targets) + _EPSILON)
