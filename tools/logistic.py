"""Logistic regression by scikit-learn, and by SciPy for classes that join others, as reference for `src/learn`.
Prints JSON. The features are those of `tests/engine/learn.rs`: a formula gives them."""
import json

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from seeded import integers

ROWS, WIDTH, CLASSES = 200, 40, 5


def features():
    """Numbers that are not negative, of which those of the row's own class are larger, and the classes."""
    values = np.maximum(integers(1, ROWS * WIDTH).reshape(ROWS, WIDTH) / 2**23, 0)
    targets = np.arange(ROWS) % CLASSES
    values += (np.arange(WIDTH)[None] % CLASSES == targets[:, None]) * 0.25
    return values.astype(np.float32).astype(np.float64), targets


def objective(weights, biases, x, targets, l2, fixed=None):
    logits = x @ weights.T + biases
    if fixed is not None:
        logits = np.column_stack([logits, fixed])
    losses = logsumexp(logits, axis=1) - logits[np.arange(len(x)), targets]
    return losses.mean() + l2 / 2 * (weights**2).sum()


def by_scikit_learn(x, targets, l2):
    model = LogisticRegression(C=1 / (l2 * len(x)), tol=1e-12, max_iter=10000).fit(x, targets)
    return {
        "l2": l2,
        "objective": objective(model.coef_, model.intercept_, x, targets, l2),
        "predicted": model.predict(x).tolist(),
        "logits": (x[0] @ model.coef_.T + model.intercept_).tolist(),
    }


def by_scipy(x, targets, l2, classes):
    """The last classes are others, whose logits stay: 1 and 2 for each row."""
    fixed = logsumexp([1.0, 2.0])
    targets = np.minimum(targets, classes)

    def f(point):
        weights, biases = point[:-classes].reshape(classes, -1), point[-classes:]
        return objective(weights, biases, x, targets, l2, np.full(len(x), fixed))

    found = minimize(f, np.zeros(classes * (WIDTH + 1)), method="BFGS", options={"gtol": 1e-7, "maxiter": 10000})
    weights, biases = found.x[:-classes].reshape(classes, -1), found.x[-classes:]
    return {"l2": l2, "classes": classes, "objective": found.fun, "logits": (x[0] @ weights.T + biases).tolist()}


if __name__ == "__main__":
    x, targets = features()
    print(json.dumps({
        "scikit_learn": [by_scikit_learn(x, targets, l2) for l2 in (1.0, 0.1, 0.01, 0.001)],
        "fixed": [by_scipy(x, targets, l2, classes) for l2 in (0.1, 0.01) for classes in (1, 2)],
    }))
