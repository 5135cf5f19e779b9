"""The rule of ops/matching.py on a full matrix of overlaps."""

import tensorflow.compat.v1 as tf

from ops import matching


def match_anchors(similarity, matched_threshold, unmatched_threshold,
                  negatives_lower_than_unmatched=True,
                  force_match_for_each_row=True):
  """The box of every anchor, from all similarities.

  Args:
    similarity: float32 [K, N], one row per box. K may be 0.
    matched_threshold: float; an anchor takes its most similar box from here on.
    unmatched_threshold: float, at most `matched_threshold`; what is between the
      two is ignored.
    negatives_lower_than_unmatched: False swaps the two: below `unmatched` is
      ignored, in between is negative.
    force_match_for_each_row: whether every box gets its most similar anchor,
      however little they have in common; of several boxes with the same best
      anchor the first gets it.

  Returns:
    int32 [N], row of the matched box, NEGATIVE or IGNORED. Without boxes all
    are NEGATIVE. Among equals the first box, and the first anchor, wins.

  Raises:
    ValueError: if `unmatched_threshold` exceeds `matched_threshold`.
  """
  matching.check_thresholds(matched_threshold, unmatched_threshold)
  with tf.name_scope('match_anchors'):
    num_boxes = tf.shape(similarity)[0]
    num_anchors = tf.shape(similarity)[1]
    # argmax refuses an empty axis; this row never wins against a box.
    padded = tf.concat(
        [similarity, tf.fill([1, num_anchors], similarity.dtype.min)], axis=0)
    best = tf.reduce_max(padded, axis=0)
    match = tf.argmax(padded, axis=0, output_type=tf.int32)
    below, between = matching.NEGATIVE, matching.IGNORED
    if not negatives_lower_than_unmatched:
      below, between = between, below
    match = tf.where(best < matched_threshold, tf.fill([num_anchors], between),
                     match)
    match = tf.where(best < unmatched_threshold, tf.fill([num_anchors], below),
                     match)
    match = tf.cond(num_boxes > 0, lambda: match,
                    lambda: tf.fill([num_anchors], matching.NEGATIVE))
    if force_match_for_each_row:
      best_anchors = tf.argmax(similarity, axis=1, output_type=tf.int32)
      forced = tf.unsorted_segment_min(tf.range(num_boxes), best_anchors,
                                       num_anchors)
      match = tf.where(forced < num_boxes, forced, match)
    match.set_shape(similarity.shape[1:])
    return match
