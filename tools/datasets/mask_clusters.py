"""k-means clusters of masks, in NumPy."""

import numpy as np

_MAX_ROUNDS = 50


def cluster(masks: np.ndarray, num_clusters: int, seed: int = 0) -> np.ndarray:
  """The means of groups of masks that are alike.

  Args:
    masks: float32 [N, P], one mask a row, N at least 1.
    num_clusters: int, K. Of fewer masks, or masks of fewer kinds, the largest
      groups are repeated.
    seed: int, of the first centers.

  Returns:
    float32 [K, P], the largest group first.

  Source: k-means++ (Arthur and Vassilvitskii, 2007) and Lloyd's iterations.
  """
  masks = np.asarray(masks, np.float32)
  centers = _first_centers(masks, num_clusters, np.random.RandomState(seed))
  members = None
  for _ in range(_MAX_ROUNDS):
    nearest = _distances(masks, centers).argmin(axis=1)
    if members is not None and np.array_equal(nearest, members):
      break
    members = nearest
    centers = np.stack([masks[members == k].mean(axis=0)
                        if np.any(members == k) else center
                        for k, center in enumerate(centers)])
  counts = np.bincount(members, minlength=len(centers))
  centers = centers[np.argsort(-counts, kind='mergesort')]
  return centers[np.arange(num_clusters) % len(centers)]


def _distances(masks, centers):
  """Squared distances [N, K], not below 0."""
  squares = (masks ** 2).sum(axis=1)[:, np.newaxis] + (centers ** 2).sum(axis=1)
  return np.maximum(squares - 2. * masks.dot(centers.T), 0.)


def _first_centers(masks, num_clusters, rng):
  """Masks that are far from each other, at most `num_clusters`."""
  rows = [rng.randint(len(masks))]
  distances = _distances(masks, masks[rows])[:, 0]
  # Sums of rounding errors must not count as distances.
  smallest = 1e-4 * masks.shape[1]
  while len(rows) < num_clusters and distances.max() > smallest:
    weights = np.where(distances > smallest, distances, 0.).astype(np.float64)
    rows.append(rng.choice(len(masks), p=weights / weights.sum()))
    distances = np.minimum(distances, _distances(masks, masks[rows[-1:]])[:, 0])
  return masks[rows]
