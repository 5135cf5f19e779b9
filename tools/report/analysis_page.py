"""The page of tools.analyze_detections: what explains the figures.

Parts of it are in the report of tools.make_report, too.
"""

import collections

import numpy as np

from evaluation import analysis as analysis_lib
from evaluation import calibration
from evaluation import tide
from tools.report import charts
from tools.report import html_page

_SHOWN_OVERLAPS = (0, 5, 8)  # places in analysis.THRESHOLDS: .5, .75, .9
_CURVE_COLORS = ('#1f4e8c', '#c2571a', '#6b6b6b')
_MOST_CURVES = 48   # classes that have a drawing
_MOST_MATRIX = 25   # classes of a confusion matrix that fits a page
_MOST_PAIRS = 40    # confusions that are listed instead
_MOST_ROWS = 400    # classes in a table, those with most objects
_ERROR_TEXTS = collections.OrderedDict((
    (tide.CLASS, 'found, but called something else'),
    (tide.LOCALISATION, 'the right class, but the overlap is 0.1 to 0.5'),
    (tide.BOTH, 'another class, and badly placed'),
    (tide.DUPLICATE, 'a better detection has found the object already'),
    (tide.BACKGROUND, 'nothing is there'),
    (tide.MISSED, 'an object that no detection comes near')))

# One run. name: str. analysis: analysis.Analysis. errors: tide.Errors. costs:
# tide.Costs. reliability: calibration.Reliability.
Run = collections.namedtuple('Run', 'name analysis errors costs reliability')

# Precision and recall. lines: [charts.Line], the overlaps. drawings: [(name,
# AP50, markup)]: all classes, then single ones. num_drawn: of these.
Curves = collections.namedtuple('Curves', 'lines drawings num_drawn')

# Which class is taken for which. matrix: (names, rows of (name, [(count, share
# of the row, whether it is right)])) or None; pairs: what is listed instead.
Confusions = collections.namedtuple('Confusions', 'matrix pairs')


def make_run(name, annotations, detections, iou_type):
  """Computes everything about a run.

  Args:
    name: its name on the page.
    annotations: `annotations.Annotations`.
    detections: `detections.Detections`.
    iou_type: 'bbox' or 'segm'.

  Returns:
    Run.
  """
  found = analysis_lib.analyze(annotations, detections, iou_type)
  errors = tide.classify(found.annotations, detections, found.pairs)
  return Run(name, found, errors,
             tide.costs(found.annotations, detections, errors),
             calibration.reliability(detections, found.matches))


def mistakes_by_image(run, detections):
  """{kind of tide.KINDS: int64 [I], errors of the chosen detections}."""
  annotations = run.analysis.annotations
  chosen = analysis_lib.is_chosen(detections, run.analysis.min_scores)
  num_images = len(annotations.image_ids)
  counts = {kind: np.bincount(
      detections.images[chosen & (run.errors.kinds == i)],
      minlength=num_images) for i, kind in enumerate(tide.KINDS)}
  counts[tide.MISSED] = np.bincount(annotations.images[run.errors.missed],
                                    minlength=num_images)
  return counts


def render(title, facts, notes, runs, worst, changed):
  """The page.

  Args:
    title: str.
    facts: [(str, str)], name and value, at the top.
    notes: [str], what a person should know about the data.
    runs: [Run], one or two; the last is explained, the first of two is what it
      is compared with.
    worst: [(kind of tide.KINDS, [html_page.Figure])].
    changed: [(str, [html_page.Figure])] of two runs.

  Returns:
    str, HTML.
  """
  run = runs[-1]
  confused = confusions(run)
  return html_page.render(
      'analysis.html.j2', title=title, facts=facts, notes=notes,
      summary=_summary(runs), costs=_costs(runs), charts=curves(run),
      num_classes=len(run.analysis.annotations.category_names),
      classes=class_rows(run)[:_MOST_ROWS], groups=_groups(runs),
      matrix=confused.matrix, pairs=confused.pairs, histogram=_histogram(run),
      reliability=_reliability(run), error=run.reliability.error,
      last_edge='%.2f' % run.analysis.scores.edges[-1], worst=[
          (kind, _ERROR_TEXTS[kind], figures) for kind, figures in worst],
      changed=changed)


def _mean(values):
  defined = [v for v in values if v > analysis_lib.UNDEFINED]
  return float(np.mean(defined)) if defined else analysis_lib.UNDEFINED


def _aps(run):
  """[AP of each overlap], means over the classes."""
  return [_mean([c.ap for c in of_one])
          for of_one in run.analysis.curves.values()]


def _summary(runs):
  """[(name, AP, AP50, AP75, hits, false, missed)] at the chosen scores."""
  rows = []
  for run in runs:
    aps, images = _aps(run), run.analysis.images
    rows.append((run.name, _mean(aps), aps[0], aps[5], int(images.hits.sum()),
                 int(images.false.sum()), int(images.missed.sum())))
  return rows


def _costs(runs):
  """[(kind, text, [(number, cost, width of a bar)] of each run)]."""
  largest = max([c for run in runs for c in run.costs.costs.values()] + [1e-9])
  return [(kind, text, [
      (run.costs.counts[kind], run.costs.costs[kind],
       round(100 * run.costs.costs[kind] / largest)) for run in runs])
          for kind, text in _ERROR_TEXTS.items()]


def curves(run, limit=_MOST_CURVES):
  """`Curves` of a run.

  Args:
    run: Run.
    limit: int, single classes that are drawn at most.
  """
  by_overlap = list(run.analysis.curves.values())
  lines = [charts.Line('%.2f' % analysis_lib.THRESHOLDS[i], color)
           for i, color in zip(_SHOWN_OVERLAPS, _CURVE_COLORS)]
  names = run.analysis.annotations.category_names
  counted = [k for k, c in enumerate(by_overlap[0]) if c.num_objects]
  drawings = []
  if len(counted) > 1:
    drawings.append(('all classes', _aps(run)[0],
                     _drawn_curves(by_overlap, counted)))
  shown = _most_objects(run, limit)
  drawings += [(names[k], by_overlap[0][k].ap, _drawn_curves(by_overlap, [k]))
               for k in shown]
  return Curves(lines, drawings, len(shown))


def _drawn_curves(by_overlap, classes):
  """Markup: mean precisions of classes, for each of the shown overlaps."""
  return charts.precision_recall(analysis_lib.RECALLS, [
      (np.mean([by_overlap[i][k].interpolated for k in classes], axis=0), color)
      for i, color in zip(_SHOWN_OVERLAPS, _CURVE_COLORS)])


def _most_objects(run, limit):
  """Rows of classes with objects: the `limit` of the most, in their order."""
  counts = np.array([c.num_objects for c in next(iter(
      run.analysis.curves.values()))])
  rows = np.argsort(-counts, kind='mergesort')[:limit]
  return sorted(int(k) for k in rows if counts[k])


def class_rows(run):
  """[dict of figures] of classes with objects or detections, most first."""
  by_overlap = list(run.analysis.curves.values())
  names = run.analysis.annotations.category_names
  counts = run.analysis.confusion.counts
  rows = []
  for k, (curve, operating) in enumerate(zip(by_overlap[0],
                                             run.analysis.operating)):
    if not curve.num_objects and not len(curve.scores):
      continue
    others = counts[k, :-1].copy()
    others[k] = 0
    rows.append({
        'id': run.analysis.annotations.category_ids[k], 'name': names[k],
        'objects': curve.num_objects, 'detections': len(curve.scores),
        'figures': [_mean([c[k].ap for c in by_overlap]), curve.ap,
                    by_overlap[5][k].ap],
        'f1': operating.f1, 'precision': operating.precision,
        'recall': operating.recall,
        'score': operating.score if operating.num_detections else None,
        'confused': '%s (%d)' % (names[others.argmax()], others.max())
                    if others.any() else ''})
  return sorted(rows, key=lambda row: -row['objects'])


def _groups(runs):
  """[(attribute, [(name, number, [(recall, recall at score, overlap)])])]."""
  tables = collections.OrderedDict()
  for groups in zip(*(run.analysis.groups for run in runs)):
    tables.setdefault(groups[0].attribute, []).append((
        groups[0].name, groups[0].num_objects,
        [(g.recall, g.recall_at_score, g.overlap) for g in groups]))
  return list(tables.items())


def confusions(run):
  """`Confusions` of a run: a matrix where it fits a page."""
  matrix = _matrix(run)
  return Confusions(matrix, [] if matrix else _pairs(run))


def _matrix(run):
  """(names, rows of (name, [(count, share of the row)])), or None."""
  counts = run.analysis.confusion.counts
  used = np.flatnonzero(counts[:-1].sum(axis=1) + counts[:, :-1].sum(axis=0))
  if not 0 < len(used) <= _MOST_MATRIX:
    return None
  names = [run.analysis.annotations.category_names[k] for k in used]
  places = list(used) + [len(counts) - 1]
  rows = []
  for place, name in zip(places, names + ['nothing']):
    row = counts[place, places]
    rows.append((name, [(int(n), float(n) / max(row.sum(), 1),
                         place == other and place != len(counts) - 1)
                        for n, other in zip(row, places)]))
  return names + ['missed'], rows


def _pairs(run):
  """[(class of the object, of the detection, number)], the most frequent."""
  counts = run.analysis.confusion.counts[:-1, :-1].copy()
  np.fill_diagonal(counts, 0)
  names = run.analysis.annotations.category_names
  order = np.argsort(-counts, axis=None, kind='mergesort')[:_MOST_PAIRS]
  return [(names[k // len(counts)], names[k % len(counts)],
           int(counts.flat[k])) for k in order if counts.flat[k]]


def _histogram(run):
  """[(low edge, hits, false, heights of both)], by score."""
  scores = run.analysis.scores
  # Most detections score low: a logarithm keeps the others visible.
  heights = [np.log10(1. + v) for v in (scores.hits, scores.false)]
  largest = max([1.] + [h.max() for h in heights])
  return [('%.2f' % edge, int(hits), int(false),
           round(100 * a / largest), round(100 * b / largest))
          for edge, hits, false, a, b in zip(
              scores.edges, scores.hits, scores.false, *heights)]


def _reliability(run):
  """[(mean score, precision, number)] of the bins that have detections."""
  r = run.reliability
  return [(float(s), float(p), int(n)) for s, p, n in zip(
      r.scores, r.precisions, r.counts) if n]
