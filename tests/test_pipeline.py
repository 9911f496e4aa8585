"""The estimators as scikit-learn has them: imputer, outlier detector, embedding."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tabvae import TabVAE, TabVAEImputer, TabVAEOutlierDetector
from tabvae.errors import ParameterError

from .helpers import hasty

ROWS = 80
ESTIMATORS = [TabVAE, TabVAEImputer, TabVAEOutlierDetector]
pytestmark = pytest.mark.usefixtures("quick")


def numbers(gaps: float = 0.1) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.normal(size=ROWS)
    frame = pd.DataFrame(
        {"a": a, "b": 2 * a + rng.normal(0, 0.1, ROWS), "c": rng.normal(size=ROWS)}
    )
    hidden = rng.random(frame.shape) < gaps
    hidden[:, 2] = False
    return frame.mask(hidden)


def use(estimator: BaseEstimator, frame: pd.DataFrame) -> np.ndarray:
    """What it says of rows, by scikit-learn's name for it."""
    name = "predict" if hasattr(estimator, "predict") else "transform"
    return np.asarray(getattr(estimator, name)(frame))


@pytest.fixture(scope="module")
def imputer() -> TabVAEImputer:
    with hasty():
        return TabVAEImputer(effort="fast", latent=2).fit(numbers())


@pytest.fixture(scope="module")
def detector() -> TabVAEOutlierDetector:
    with hasty():
        return TabVAEOutlierDetector(effort="fast", latent=2, contamination=0.1).fit(numbers())


def test_an_imputer_fills_frames_and_arrays_alike(imputer: TabVAEImputer) -> None:
    frame = numbers().set_index(np.arange(ROWS) * 3)
    filled = imputer.transform(frame)
    pd.testing.assert_frame_equal(filled, imputer.impute(frame))
    assert not filled.isna().any().any()
    assert filled.index.equals(frame.index)
    pd.testing.assert_frame_equal(filled.where(frame.notna()), frame)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        array = imputer.transform(frame.to_numpy())
    assert isinstance(array, np.ndarray)
    np.testing.assert_array_equal(array, filled.to_numpy())


def test_indicators_tell_where_cells_were_missing() -> None:
    frame = numbers()
    imputer = TabVAEImputer(effort="fast", latent=2, add_indicator=True)
    names = ["a", "b", "c", "missingindicator_a", "missingindicator_b"]
    filled = imputer.fit_transform(frame)
    assert list(filled) == list(imputer.get_feature_names_out()) == names
    for name in ("a", "b"):
        assert filled[f"missingindicator_{name}"].equals(frame[name].isna())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        array = imputer.transform(frame.to_numpy())
    assert array.dtype == float
    np.testing.assert_array_equal(array[:, 3:], frame[["a", "b"]].isna())


def test_columns_in_another_order_are_refused_as_scikit_learn_does(imputer: TabVAEImputer) -> None:
    with pytest.raises(ValueError, match="feature names should match"):
        imputer.transform(numbers()[["c", "b", "a"]])


def test_the_container_of_the_output_can_be_chosen(imputer: TabVAEImputer, tmp_path: Path) -> None:
    frame = numbers()
    named = pickle.loads(pickle.dumps(imputer)).set_output(transform="pandas")
    assert list(named.transform(frame)) == ["a", "b", "c"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        assert list(named.transform(frame.to_numpy())) == ["a", "b", "c"]
    imputer.save(str(tmp_path / "a.tabvae"))
    z = TabVAE.load(str(tmp_path / "a.tabvae")).set_output(transform="pandas").transform(frame)
    assert list(z) == ["z1", "z2"]
    assert z.index.equals(frame.index)


def test_an_imputer_is_a_step_of_a_pipeline_that_is_searched() -> None:
    frame = numbers().assign(word=["x", "y"] * (ROWS // 2))
    columns = ColumnTransformer(
        [("gaps", TabVAEImputer(effort="fast", latent=2), ["a", "b"])],
        remainder="drop",
        verbose_feature_names_out=False,
    )
    pipeline = make_pipeline(columns, StandardScaler(), RandomForestClassifier(5, random_state=0))
    grid = {"columntransformer__gaps__latent": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(frame, frame["c"] > 0)
    assert search.best_params_["columntransformer__gaps__latent"] in (1, 2)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert list(search.best_estimator_[:2].get_feature_names_out()) == ["a", "b"]


@pytest.mark.parametrize("fitted", ["imputer", "detector"])
def test_clones_pickles_and_dumps_say_the_same(fitted: str, request: pytest.FixtureRequest) -> None:
    estimator, frame, stream = request.getfixturevalue(fitted), numbers(), io.BytesIO()
    joblib.dump(estimator, stream)
    stream.seek(0)
    again = [pickle.loads(pickle.dumps(estimator)), joblib.load(stream)]
    again += [clone(estimator).fit(frame)] if fitted == "detector" else []
    for other in again:
        np.testing.assert_array_equal(use(other, frame), use(estimator, frame))


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_model_file_serves_each_estimator(
    kind: type[TabVAE], imputer: TabVAEImputer, tmp_path: Path
) -> None:
    path = str(tmp_path / "a.tabvae")
    imputer.save(path)
    loaded = kind.load(path)
    expected = imputer.impute(numbers())
    pd.testing.assert_frame_equal(loaded.impute(numbers()), expected)
    assert use(loaded, numbers()).shape[0] == ROWS
    assert loaded.latent == 2


def test_a_detector_calls_as_many_rows_outliers_as_it_is_told(
    detector: TabVAEOutlierDetector,
) -> None:
    frame = numbers()
    labels = detector.predict(frame)
    assert set(labels) == {1, -1}
    assert (labels == -1).sum() == ROWS // 10
    decision = detector.decision_function(frame)
    np.testing.assert_array_equal(labels, np.where(decision < 0, -1, 1))
    np.testing.assert_allclose(decision, detector.score_samples(frame) - detector.offset_)
    odd = pd.DataFrame({"a": [0.0, 40.0], "b": [0.0, -40.0], "c": [0.0, 9.0]})
    assert list(detector.predict(odd)) == [1, -1]


def test_by_itself_a_detector_agrees_with_detect(imputer: TabVAEImputer, tmp_path: Path) -> None:
    imputer.save(str(tmp_path / "a.tabvae"))
    detector = TabVAEOutlierDetector.load(str(tmp_path / "a.tabvae"))
    frame = pd.concat([numbers(), 50 * numbers()], ignore_index=True)
    line = detector.detect(frame, fpr=0.02)["p_value"] <= 1 / (1 + ROWS)
    assert line.any()
    # The oddest rows fitted on have the least p-value, too, but are on the line.
    assert set(np.flatnonzero(detector.predict(frame) == -1)) <= set(np.flatnonzero(line))
    assert (detector.predict(frame[ROWS:]) == -1).mean() > 0.8
    assert (detector.predict(frame[:ROWS]) == -1).mean() <= 0.02


@pytest.mark.parametrize("share", [0, 0.6, -0.1, "some", None, float("nan"), [0.1]])
def test_a_share_of_outliers_that_is_none_is_refused(share: object) -> None:
    with pytest.raises(ParameterError, match="contamination"):
        TabVAEOutlierDetector(contamination=share).fit(numbers())


def test_a_file_that_would_forget_the_share_is_not_written(
    detector: TabVAEOutlierDetector, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match="contamination"):
        detector.save(str(tmp_path / "a.tabvae"))
    assert not list(tmp_path.iterdir())


def test_sample_is_generate(model: TabVAE) -> None:
    pd.testing.assert_frame_equal(model.sample(5), model.generate(5))


def test_importing_the_package_loads_no_heavy_library() -> None:
    script = (
        "import sys, tabvae\nassert set(tabvae.__all__) >= {'TabVAE', 'TabVAEImputer'}\n"
        "heavy = {'torch', 'pandas', 'sklearn', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        TabVAE(effort="fast", latent=2),
        TabVAEImputer(effort="fast", latent=2),
        TabVAEImputer(effort="fast", latent=2, add_indicator=True),
        TabVAEOutlierDetector(effort="fast", latent=2),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_scikit_learns_own_checks_pass(estimator: BaseEstimator) -> None:
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings(), hasty():
        warnings.simplefilter("ignore")
        check_estimator(estimator)


def test_estimators_print_what_they_were_told() -> None:
    assert repr(TabVAE(latent=3)) == "TabVAE(latent=3)"
    assert repr(TabVAEImputer(add_indicator=True)) == "TabVAEImputer(add_indicator=True)"
    assert "TabVAEOutlierDetector" in TabVAEOutlierDetector()._repr_html_()


def test_a_fit_says_what_it_does_to_those_who_listen(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="tabvae"):
        TabVAE(effort="fast", latent=2).fit(numbers())
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "table: 80 rows, 3 columns, 3 of them modelled"
    for phase in ("rules", "training", "trained", "imputation", "calibration"):
        assert any(line.startswith(f"{phase}:") for line in told), phase


def test_an_imputer_counts_what_means_missing_as_missing() -> None:
    frame = numbers(0).round(1).assign(d=[-999, 1, 2, 3] * (ROWS // 4))
    imputer = TabVAEImputer(effort="fast", latent=2, add_indicator=True, na_values=("-999",))
    filled = imputer.fit_transform(frame)
    assert (filled["d"] > 0).all()
    assert filled["missingindicator_d"].equals(frame["d"] == -999)
