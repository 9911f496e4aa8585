"""TabVAE on pandas frames: the five uses, and what they promise about each row."""

from __future__ import annotations

import inspect
import signal
import threading
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from tabvae import TabVAE, TabVAEWarning
from tabvae.errors import DataError, ParameterError, SchemaError
from tabvae.progress import Step

from .helpers import hasty

MODELLED = ["group", "size", "count", "big", "day"]


def same_cells(before: pd.Series, after: pd.Series) -> bool:
    known = before.notna()
    return bool((before[known] == after[known]).all())


def test_impute_fills_every_gap_and_changes_nothing_else(
    model: TabVAE, frame: pd.DataFrame
) -> None:
    filled = model.impute(frame)
    assert filled.index.equals(frame.index)
    assert list(filled.columns) == list(frame.columns)
    assert (filled.dtypes == frame.dtypes).all()
    assert not filled.isna().any().any()
    assert all(same_cells(frame[c], filled[c]) for c in frame)


def test_imputed_cells_are_of_their_columns_kind_format_and_range(
    model: TabVAE, frame: pd.DataFrame
) -> None:
    filled = model.impute(frame)
    assert set(filled["group"]) <= {"north", "south", "east"}
    assert set(filled["unit"]) == {"cm"}
    assert filled["size"].between(frame["size"].min(), frame["size"].max()).all()
    assert np.allclose(filled["size"], filled["size"].round(1))
    assert (filled["count"] % 1 == 0).all()
    pd.to_datetime(filled["day"], format="%d.%m.%Y")


def test_imputed_cells_follow_the_other_columns(model: TabVAE, frame: pd.DataFrame) -> None:
    filled = model.impute(frame)
    gaps = frame["size"].isna() & (frame["group"] == "north")
    assert filled["size"][gaps].mean() < 20
    gaps = frame["big"].isna() & frame["size"].notna()
    truth = np.where(frame["size"][gaps] > 20, "yes", "no")
    assert (filled["big"][gaps] == truth).mean() > 0.9


def test_draws_differ_where_cells_are_missing_and_only_there(
    model: TabVAE, frame: pd.DataFrame
) -> None:
    drawn = model.impute(frame, draws=3)
    assert list(drawn.columns) == ["draw", *frame.columns]
    parts = [part.drop(columns="draw") for _, part in drawn.groupby("draw")]
    assert [len(part) for part in parts] == [len(frame)] * 3
    for part in parts:
        assert not part[MODELLED].isna().any().any()
        assert all(same_cells(frame[c], part[c]) for c in frame)
    gaps = frame["size"].isna()
    assert not parts[0]["size"][gaps].equals(parts[1]["size"][gaps])


def test_draws_vary_as_much_as_the_column_where_nothing_is_known(model: TabVAE) -> None:
    blank = pd.DataFrame({c: [None] * 300 for c in ["id", *MODELLED, "unit"]})
    drawn = model.impute(blank, draws=1)
    shares = drawn["group"].value_counts(normalize=True)
    assert (shares > 0.15).all()
    assert drawn["size"].astype(float).std() > 6


@pytest.mark.parametrize("draws", [None, 2])
def test_of_no_rows_none_are_imputed(model: TabVAE, frame: pd.DataFrame, draws: int | None) -> None:
    assert len(model.impute(frame[:0], draws=draws)) == 0


def test_where_nothing_is_known_the_column_itself_is_the_guess(
    model: TabVAE, frame: pd.DataFrame
) -> None:
    blank = pd.DataFrame({c: [None] * 2 for c in ["id", *MODELLED, "unit"]})
    wrong = model.impute(blank)["size"].astype(float).mean() - frame["size"].mean()
    assert abs(wrong) < 0.2 * frame["size"].std()
    probable = model.probabilities(blank, "group").iloc[0]
    for name, share in frame["group"].value_counts(normalize=True).items():
        assert probable[f"group={name}"] == pytest.approx(share, abs=0.08)


def test_embedding_has_one_row_per_row_and_separates_the_groups(
    model: TabVAE, frame: pd.DataFrame
) -> None:
    z = model.embed(frame)
    assert list(z.columns) == [f"z{k}" for k in range(1, 9)]
    assert z.index.equals(frame.index)
    assert np.isfinite(z.to_numpy()).all()
    north = frame["group"] == "north"
    gap = z[north].mean() - z[frame["group"].isin(["south", "east"])].mean()
    assert float((gap.abs() / z.std()).max()) > 0.8


def test_generated_rows_look_like_the_table(model: TabVAE, frame: pd.DataFrame) -> None:
    new = model.generate(400)
    assert list(new.columns) == list(frame.columns)
    assert set(new["group"].dropna()) == {"north", "south", "east"}
    known = new["size"].notna() & (new["group"] == "north")
    assert new["size"][known].astype(float).mean() == pytest.approx(
        frame["size"][frame["group"] == "north"].mean(), abs=2.5
    )
    share = new[MODELLED].isna().to_numpy().mean()
    assert share == pytest.approx(0.1, abs=0.05)


def test_generated_identifiers_are_new_and_unique(model: TabVAE, frame: pd.DataFrame) -> None:
    ids = model.generate(500)["id"]
    assert ids.is_unique
    assert not set(ids) & set(frame["id"])
    assert ids.str.fullmatch(r"r-\d{4}").all()


def test_generate_complete_leaves_no_gaps(model: TabVAE) -> None:
    assert not model.generate(100, complete=True)[MODELLED].isna().any().any()


def test_generate_where_sets_cells_and_the_rest_follows(model: TabVAE) -> None:
    new = model.generate(200, where={"group": "north", "count": 2}, complete=True)
    assert (new["group"] == "north").all()
    assert (new["count"].astype(float) == 2).all()
    assert new["size"].astype(float).mean() < 20


def test_one_shot_rows_are_complete_rows_of_the_table(model: TabVAE) -> None:
    new = model.generate(100, one_shot=True, complete=True)
    assert set(new["group"]) <= {"north", "south", "east"}
    assert new["size"].astype(float).between(-10, 60).all()


def test_a_low_temperature_makes_rows_more_alike(model: TabVAE) -> None:
    sizes = [
        model.generate(200, temperature=t, complete=True)["size"].nunique() for t in (0.05, 1.0)
    ]
    assert sizes[0] < sizes[1]


def test_more_rows_begin_with_the_same_rows(model: TabVAE) -> None:
    few, many = model.generate(20, seed=5), model.generate(700, seed=5)
    pd.testing.assert_frame_equal(few, many.head(20))


def test_detect_ranks_a_broken_row_first_and_names_the_cell(
    model: TabVAE, frame: pd.DataFrame
) -> None:
    odd = frame.dropna().head(60).copy()
    row = odd.index[odd["group"] == "north"][0]
    odd.loc[row, "size"] = 55.0
    found = model.detect(odd)
    assert found["score"].idxmax() == row
    assert found.loc[row, "column_1"] == "size"
    assert float(found.loc[row, "observed_1"]) == 55
    assert float(found.loc[row, "expected_1"]) < 40
    assert found.loc[row, "outlier"]


def test_p_values_fall_as_scores_rise_and_fpr_sets_the_threshold(
    model: TabVAE, frame: pd.DataFrame
) -> None:
    found = model.detect(frame, fpr=0.05).sort_values("score")
    assert (found["p_value"].diff().dropna() <= 1e-12).all()
    assert found["p_value"].between(0, 1).all()
    assert (found["outlier"] == (found["p_value"] <= 0.05)).all()
    assert found["outlier"].mean() < 0.15


@pytest.mark.parametrize("task", ["embed", "impute", "detect"])
def test_a_row_depends_on_itself_alone(model: TabVAE, frame: pd.DataFrame, task: str) -> None:
    use = getattr(model, task)
    whole = use(frame)
    alone = pd.concat([use(frame.iloc[[i]]) for i in (0, 7, 100)])
    shuffled = use(frame.sample(frac=1, random_state=0)).loc[frame.index]
    for other, same in ((alone, whole.iloc[[0, 7, 100]]), (shuffled, whole)):
        pd.testing.assert_frame_equal(
            other, same, check_exact=False, atol=1e-6, rtol=0, check_dtype=False
        )


@pytest.mark.parametrize("task", ["embed", "impute", "detect"])
def test_a_table_in_blocks_is_worked_on_as_a_whole(
    model: TabVAE, frame: pd.DataFrame, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = getattr(model, task)(frame)
    monkeypatch.setattr(model, "fitted_", replace(model.fitted_, rows_per_block=7))
    blocks = getattr(model, task)(frame)
    pd.testing.assert_frame_equal(whole, blocks, rtol=0, atol=1e-9)


def test_draws_belong_to_rows(model: TabVAE, frame: pd.DataFrame) -> None:
    drawn = model.impute(frame, draws=1)
    pd.testing.assert_frame_equal(drawn[:50], model.impute(frame[:50], draws=1))


def test_new_rows_may_come_in_any_shape(model: TabVAE, frame: pd.DataFrame) -> None:
    rows = frame.head(3)[frame.columns[::-1]].assign(extra=1.5)
    with pytest.warns(TabVAEWarning, match="'extra'"):
        filled = model.impute(rows)
    assert list(filled.columns) == list(rows.columns)
    assert (filled["extra"] == 1.5).all()
    expected = model.impute(frame.head(3))
    pd.testing.assert_frame_equal(filled[frame.columns], expected, check_dtype=False)


def test_unknown_categories_stay_and_are_counted(model: TabVAE, frame: pd.DataFrame) -> None:
    rows = frame.head(5).assign(group="west", size=[1e30, None, 1.0, -5.0, 2.0])
    with pytest.warns(TabVAEWarning, match="'group': 5 cells"):
        filled = model.impute(rows)
    assert (filled["group"] == "west").all()
    assert filled["size"][0] == 1e30
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabVAEWarning)
        assert np.isfinite(model.detect(rows)["score"]).all()
        assert np.isfinite(model.embed(rows).to_numpy()).all()


def test_a_missing_column_is_an_error_that_names_the_nearest(
    model: TabVAE, frame: pd.DataFrame
) -> None:
    with pytest.raises(SchemaError, match=r"'size'.*did you mean 'sizes'"):
        model.impute(frame.rename(columns={"size": "sizes"}))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pd.DataFrame({"a": [1, 2, 3, 4]}), "one column"),
        (pd.DataFrame({"a": [1], "b": [2]}), "1 row"),
        (pd.DataFrame({"a": [None] * 9, "b": [None] * 9}), "only 0 of 2 columns"),
    ],
)
def test_what_cannot_be_learned_is_refused_before_training(data: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        TabVAE().fit(data)


@pytest.mark.parametrize(
    "parameters",
    [{"effort": "max"}, {"latent": 0}, {"beta": -1.0}, {"beta": float("nan")}],
)
def test_parameters_outside_their_domain_are_refused(
    parameters: dict[str, object], frame: pd.DataFrame
) -> None:
    with pytest.raises(ParameterError):
        TabVAE(**parameters).fit(frame)


@pytest.mark.parametrize("task", ["embed", "impute", "detect", "transform"])
def test_using_before_fitting_is_an_error(task: str, frame: pd.DataFrame) -> None:
    with pytest.raises(NotFittedError):
        getattr(TabVAE(), task)(frame)


def test_the_estimator_has_scikit_learns_manners() -> None:
    estimator = TabVAE(latent=3, categorical=("a",))
    parameters = set(inspect.signature(TabVAE).parameters)
    assert set(estimator.get_params()) == parameters
    assert clone(estimator).get_params() == estimator.get_params()
    assert estimator.set_params(seed=9).seed == 9
    assert not [name for name in vars(estimator) if name.endswith("_")]


@pytest.mark.usefixtures("few_trees")
def test_every_pandas_dtype_comes_back_as_it_was() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    frame = pd.DataFrame(
        {
            "float32": x.astype("float32"),
            "Int64": pd.array((10 * x).astype(int), dtype="Int64"),
            "boolean": pd.array(x > 0, dtype="boolean"),
            "category": pd.Categorical(np.where(x > 0.5, "p", "q")),
            "object": pd.Series(np.where(x > 0, "a", "b"), dtype=object),
            "datetime": pd.Timestamp("2024-05-01") + pd.to_timedelta((5 * x).round(), "D"),
            "mixed": pd.Series([1, "one"] * 40, dtype=object),
        },
        index=np.arange(80) * 2,
    )
    frame.iloc[3:6] = None
    frame = frame.astype({"category": "category"})
    filled = TabVAE(effort="fast").fit(frame).impute(frame)
    assert (filled.dtypes == frame.dtypes).all()
    assert filled.index.equals(frame.index)
    assert not filled.isna().any().any()
    assert all(same_cells(frame[c], filled[c]) for c in frame)


@pytest.mark.usefixtures("few_trees")
def test_absurd_numbers_neither_break_nor_change() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
    frame.loc[3, "a"], frame.loc[4, "a"], frame.loc[5, "a"] = 1e308, -1e30, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabVAEWarning)
        model = TabVAE(effort="fast").fit(frame)
        filled = model.impute(frame)
        assert np.isfinite(model.detect(frame)["score"]).all()
        assert np.isfinite(model.embed(frame).to_numpy()).all()
    assert filled["a"][3] == 1e308
    assert filled["a"][4] == -1e30
    assert np.isfinite(filled["a"]).all()


@pytest.mark.usefixtures("few_trees")
def test_tiny_tables_work(frame: pd.DataFrame) -> None:
    rows = frame.head(10)
    model = TabVAE(effort="fast", latent=2).fit(rows)
    assert model.embed(rows).shape == (10, 2)
    assert not model.impute(rows)[MODELLED].isna().any().any()


def test_the_same_seed_gives_the_same_rows(model: TabVAE, frame: pd.DataFrame) -> None:
    again = TabVAE(effort="fast").fit(frame)
    pd.testing.assert_frame_equal(model.generate(20), again.generate(20))
    pd.testing.assert_frame_equal(model.impute(frame), again.impute(frame))


def test_the_card_tells_what_happened_in_training(model: TabVAE) -> None:
    card = model.fitted_.card
    assert len(card.kl) == 8
    assert 0 < card.active <= 8
    assert not card.collapsed
    assert card.records[0].curve[0].held_out > card.records[0].curve[-1].held_out


@pytest.mark.slow
@pytest.mark.usefixtures("few_trees")
def test_a_collapsed_posterior_is_noticed(frame: pd.DataFrame) -> None:
    model = TabVAE(effort="fast", beta=100.0).fit(frame)
    assert model.fitted_.card.collapsed


@pytest.mark.slow
def test_scikit_learns_own_checks_pass() -> None:
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings(), hasty():
        warnings.simplefilter("ignore")
        check_estimator(TabVAE(effort="fast", latent=2))


def test_ctrl_c_while_learning_keeps_what_was_learned(frame: pd.DataFrame) -> None:
    interrupted = threading.Event()

    def interrupt(step: Step) -> None:
        if step.note and not interrupted.is_set():
            interrupted.set()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    # A shell ignores Ctrl-C for what it runs in the background, and Python takes that over.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        model = TabVAE().fit_table(pa.Table.from_pandas(frame), progress=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    records = model.fitted_.card.records
    assert all(record.interrupted for record in records)
    assert not model.impute(frame)[MODELLED].isna().any().any()


def test_a_failure_while_learning_is_raised_and_stops_the_other_networks(
    frame: pd.DataFrame,
) -> None:
    training: list[float] = []

    def fail(step: Step) -> None:
        if step.note:
            training.append(step.done)
            if len(training) == 1:
                raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        TabVAE(effort="best").fit_table(pa.Table.from_pandas(frame), progress=fail)
    assert max(training) < 0.9
