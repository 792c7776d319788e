"""The shop with a model of each of several estimator families, where a fresh process finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mlops_assets.vocabulary import UseCase
from mlops_assets_tests.core import shop

REFERENCE = f"{__name__}:USE_CASE"


def _family(make: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: shop.estimator().set_params(logisticregression=make())


def _forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(10, n_jobs=2)


def _boosting() -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=5, subsample=0.5)


def _histograms() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=5, early_stopping=True)


def _network() -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((5,), max_iter=400)


def _stacking() -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, StackingClassifier
    from sklearn.linear_model import LogisticRegression

    return StackingClassifier(
        [("l", LogisticRegression()), ("e", ExtraTreesClassifier(5))], LogisticRegression(), cv=2
    )


FAMILIES: dict[str, Callable[[], Any]] = {
    "logistic": shop.estimator,
    "forest": _family(_forest),
    "boosting": _family(_boosting),
    "histograms": _family(_histograms),
    "network": _family(_network),
    "stacking": _family(_stacking),
}

_SHOP = shop.use_case()
USE_CASE: UseCase = replace(
    _SHOP,
    models=[replace(_SHOP.models[0], name=n, estimator=make) for n, make in FAMILIES.items()],
)
