"""What a conversion tells its user: totals, what was left out, what to set."""

import collections

from tools import annotation_checks

_NUM_EXAMPLES = 3  # Entries printed for each reason; the index has them all.
_LIMIT = 100       # `max_num_instances` of every parser unless it is set


def report(index):
  """The lines to print after a conversion.

  Args:
    index: content of the index file.

  Returns:
    str.
  """
  lines = ['Wrote %d records with %d objects of %d classes%s to %d shards.' % (
      index['num_records'], index['num_objects'], len(index['label_map']),
      ' and their masks' if index['include_masks'] else '',
      len(index['shards']))]
  if index['num_images_without_objects']:
    lines.append('%d of the images have no object; they train as background.'
                 % index['num_images_without_objects'])
  lines.extend(index['notes'])
  lines.extend(_skip_lines(index['skipped']))
  lines.extend(_settings(index))
  return '\n'.join(lines)


def _skip_lines(skipped):
  """One line for each kind and reason."""
  by_reason = collections.OrderedDict()
  for skip in skipped:
    by_reason.setdefault((skip['kind'], skip['reason']), []).append(skip)
  lines = []
  for (kind, reason), skips in by_reason.items():
    examples = '; '.join(_name(s) for s in skips[:_NUM_EXAMPLES])
    if len(skips) > _NUM_EXAMPLES:
      examples += '; ... (all of them in the index file)'
    lines.append('Left out: %d %s%s, %s: %s' % (
        len(skips), kind, 's' if len(skips) > 1 else '', reason, examples))
  if any(s['reason'] == annotation_checks.BEYOND for s in skipped):
    lines.append('Use --clip_boxes to cut boxes at the border of the picture '
                 'instead of leaving these objects out.')
  return lines


def _name(skip):
  name = 'image %s' % skip['image']
  if skip['annotation'] is not None:
    name += ', annotation %s' % skip['annotation']
  return '%s (%s)' % (name, skip['detail']) if skip['detail'] else name


def _settings(index):
  """The configuration keys that follow from the data."""
  ids = [int(i) for i in index['label_map']]
  if not ids:
    return []
  lines = ['Set architecture.num_classes: %d (the highest class id is %d; 0 is '
           'the background).' % (max(ids) + 1, max(ids))]
  if index['max_num_objects'] > _LIMIT:
    lines.append(
        'Up to %d objects in one image (%d images have more than %d): set '
        'max_num_instances of the parser section to at least %d.' % (
            index['max_num_objects'], index['num_images_over_100_objects'],
            _LIMIT, index['max_num_objects']))
  return lines


def corner_suspicion(skips, annotations, sizes):
  """A warning when boxes look like corners instead of x, y, width, height.

  Args:
    skips: [Skip] of a data set.
    annotations: {image id: [annotation]}.
    sizes: {image id: (height, width)}.

  Returns:
    [str], empty or one line.
  """
  beyond = {(str(s.image), s.annotation) for s in skips
            if s.reason == annotation_checks.BEYOND}
  num_corners = 0
  for image_id, size in sizes.items():
    for annotation in annotations[image_id]:
      num_corners += (image_id, annotation['id']) in beyond and (
          annotation_checks.looks_like_corners(annotation['bbox'], *size))
  if num_corners < 3 or num_corners < .5 * len(beyond):
    return []
  return ['%d of the %d boxes that reach beyond their picture would fit as '
          '[x0, y0, x1, y1]. COCO boxes are [x, y, width, height]: check how '
          'the annotations were made.' % (num_corners, len(beyond))]
