"""The model on Arrow tables: encode rows, run a task, write the result as a table."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from tabvae.columns.arrays import Arrays, Document, Part, joined
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.schema import Schema
from tabvae.errors import (
    DataError,
    ParameterError,
    SchemaError,
    TabVAEWarning,
    shown,
    suggestion,
)
from tabvae.imputation.impute import ROWS_TO_DRAW, Imputer
from tabvae.predict.ensemble import Ensemble
from tabvae.predict.predictor import Predictor
from tabvae.progress import Progress, Tell, parts, phase, silent, unheard
from tabvae.tasks.assemble import between, fill, in_types_of, whole_table
from tabvae.tasks.diagnostics import Card
from tabvae.tasks.embed import (
    RowProjection,
    decode,
    embed,
    path,
    projection_from,
    read_coordinates,
    write_coordinates,
)
from tabvae.tasks.evaluate import Evaluation, evaluate, known_shares
from tabvae.tasks.follow import breaking, follow, keep, missing_cells, with_gaps
from tabvae.tasks.generate import generate, given_cells
from tabvae.training.threads import few_threads
from tabvae.values.arrow import Ints, Mask

T = TypeVar("T")


class Block(NamedTuple):
    """A run of rows of a table.

    Attributes:
        start: number of its first row in the table.
        rows: as they are in the table.
        codes: (n, columns) the same, encoded.
        tell: how far the work on it is.
    """

    start: int
    rows: pa.Table
    codes: Codes
    tell: Tell = unheard


@dataclass(frozen=True)
class Model:
    """Everything learned from a table, and every use of it on Arrow tables.

    Attributes:
        imputer: networks and codec of the table, and the trees beside them.
        projection: of the rows; ``None`` where the code of the first network is their place.
        card: what happened in training, diagnostics and calibration.
        rows_per_block: how many rows are encoded at once: a large table does not fit as codes.
        most_redraws: how often new rows that break an order are drawn again.
    """

    imputer: Imputer
    projection: RowProjection
    card: Card
    rows_per_block: int = 8192
    most_redraws: int = 8

    @property
    def predictor(self) -> Predictor:
        """Networks, codec, and what gaps say."""
        return self.imputer.predictor

    @property
    def networks(self) -> Ensemble:
        """The trained networks."""
        return self.predictor.networks

    @property
    def codec(self) -> TableCodec:
        """The kinds and bins of the table's columns."""
        return self.predictor.codec

    @property
    def schema(self) -> Schema:
        """What each column is."""
        schema: Schema = self.codec.schema
        return schema

    @property
    def most_withheld(self) -> dict[str, str]:
        """What is missing most often, see ``MissingnessModel.most_withheld``."""
        return self.predictor.missingness.most_withheld(self.codec)

    @property
    def megabytes(self) -> dict[str, float]:
        """What the numbers of its largest parts take in a file."""
        weights = [p.nbytes for net in self.networks.nets for p in net.parameters()]
        forests = enumerate(() if self.imputer.refiner is None else self.imputer.refiner.forests)
        trees = [array.nbytes for j, forest in forests for array in forest.arrays(j).values()]
        return {"networks": sum(weights) / 1e6, "trees": sum(trees) / 1e6}

    @few_threads()
    def embed(self, table: pa.Table, progress: Progress = silent) -> pa.Table:
        """``z1..zk``, one row per input row."""
        # One array for all blocks: results kept between the blocks' working memory would leave
        # holes in it that nothing fits in again. Column by column, as Arrow has it.
        z = np.empty((table.num_rows, self.networks.latent), order="F")

        def put(block: Block) -> None:
            stop = block.start + len(block.codes)
            z[block.start : stop] = embed(self.projection, self.predictor, block.codes)

        with phase(progress, "placing") as tell:
            self._in_blocks(put, table, tell=tell)
        return write_coordinates(z)

    @few_threads()
    def decode(self, latents: pa.Table) -> pa.Table:
        """The rows at coordinates ``z1..zk``: the way back from ``embed``.

        Args:
            latents: columns z1..zk; columns of the table that are not modelled are kept, others
                are of no interest.

        Raises:
            SchemaError: a coordinate is missing, or there are more of them than the model has.
            DataError: a coordinate is not a finite number.
        """
        z = read_coordinates(latents, self.networks.latent)
        codes = decode(self.projection, self.predictor, z)
        modelled = self.codec.inverse_transform(codes)
        return whole_table(self.schema, modelled, latents)

    def interpolate(
        self, table: pa.Table, first: int, last: int, n: int, *, spherical: bool = False
    ) -> pa.Table:
        """``n`` rows on the way from one row to another, both ends included.

        Args:
            table: rows.
            first: number of the row to begin with, from 0.
            last: number of the row to end with.
            n: how many rows, at least 2.
            spherical: walk on an arc about the origin (Shoemake 1985) instead of a straight line.

        Returns:
            A column ``t`` from 0 to 1, then the columns of the table.

        Raises:
            DataError: the table has no such row.
            ParameterError: ``n`` is below 2.
        """
        if n < 2:
            raise ParameterError(f"a path has at least 2 rows, however: {n}", "-n 10")
        for row in (first, last):
            if not 0 <= row < table.num_rows:
                raise DataError(f"no row {row + 1}: the table has {table.num_rows} rows")
        ends = self.embed(table.take([first, last]))
        z = read_coordinates(ends, self.networks.latent)
        t = np.linspace(0, 1, n)
        decoded = self.decode(write_coordinates(path(z[0], z[1], t, spherical)))
        return decoded.add_column(0, "t", pa.array(t))

    @few_threads()
    def impute(self, table: pa.Table, progress: Progress = silent, point: str = "mean") -> pa.Table:
        """The same table with its gaps filled.

        Args:
            table: rows.
            progress: told how far it is.
            point: what a missing number becomes: the ``mean``, ``median`` or ``mode`` of what is
                believed of it.

        Raises:
            ParameterError: ``point`` is none of these.
        """

        def filled(block: Block) -> pa.Table:
            rows, codes = self._followed(block)
            sample = self.imputer.complete(codes, block.tell, point)
            return self._kept(block, fill(self.codec, rows, codes, sample))

        with phase(progress, "filling") as tell:
            done = self._in_blocks(filled, table, tell=tell)
            return pa.concat_tables(done).unify_dictionaries()

    def intervals(
        self, table: pa.Table, filled: pa.Table, level: float, progress: Progress = silent
    ) -> pa.Table:
        """Between which numbers the missing ones lie.

        Args:
            table: rows with gaps.
            filled: the same without; what it holds lies between its bounds.
            level: probability that a number lies between them.
            progress: told how far it is.

        Returns:
            ``price_lower`` and ``price_upper`` for each column of numbers or dates with gaps; of a
            cell that is there, itself.

        Raises:
            ParameterError: ``level`` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ParameterError(f"an interval holds a share between 0 and 1, however: {level}")
        gaps = self.missing(table)
        modelled = self.codec.columns_
        chosen = [j for j, c in enumerate(modelled) if c.kind.continuous and gaps[c.name].any()]

        def bounded(block: Block) -> pa.Table:
            _, codes = self._followed(block)
            beliefs = self.imputer.beliefs(codes)
            rows = filled.slice(block.start, len(codes))
            return pa.table(
                {
                    f"{modelled[j].name}_{end}": cells
                    for j in chosen
                    for end, cells in between(self.codec, j, beliefs, rows, level).items()
                }
            )

        with phase(progress, "intervals") as tell:
            return pa.concat_tables(self._in_blocks(bounded, table, ROWS_TO_DRAW, tell))

    def missing(self, table: pa.Table) -> dict[str, Mask]:
        """(N,) by column of the model, which cells of ``table`` are missing."""
        return missing_cells(self.codec, table, self.schema.columns)

    def known(self, table: pa.Table, rows: Ints | None = None) -> dict[str, float]:
        """How well each modelled column is known from the others, from 0 to 1, in all rows or in
        those of these numbers; see ``tabvae.tasks.evaluate``."""
        codes = self.codec.transform(table)
        return known_shares(self.predictor, codes if rows is None else codes[rows])

    def surely_filled(self, table: pa.Table) -> tuple[dict[str, int], dict[str, float]]:
        """How sure what ``impute`` fills is, by column with gaps.

        Returns:
            How many missing cells follow from cells that are there, by a rule; and the share of
            missing cells that are little better than a guess, of all rows with gaps or a choice of
            them.
        """
        table = in_types_of(self.codec, table)
        before = self.codec.transform(table)
        _, codes = self._followed(Block(0, table, before))
        gaps, rest = before.missing.sum(0), codes.missing.sum(0)
        names = [column.name for column in self.codec.columns_]
        followed = {names[j]: int(gaps[j] - rest[j]) for j in np.flatnonzero(gaps)}
        # What follows by a rule is certain.
        shares = self.imputer.doubtful(codes)
        return followed, {names[j]: share * rest[j] / gaps[j] for j, share in shares.items()}

    def _followed(self, block: Block) -> tuple[pa.Table, Codes]:
        """The rows with the cells that follow from others by rules, and their codes."""
        rows = follow(self.codec, block.rows)
        return rows, block.codes if rows is block.rows else self.codec.transform(rows)

    def _kept(self, block: Block, filled: pa.Table) -> pa.Table:
        """The rows of a block as ``filled``, by the rules."""
        if not self.schema.rules:
            return filled
        return keep(self.codec, filled, missing_cells(self.codec, block.rows))

    @few_threads()
    def probabilities(self, table: pa.Table, name: str) -> pa.Table:
        """How probable each value of a categorical column is in each row.

        Args:
            table: rows; where the column is observed, its value is certain.
            name: of the column.

        Returns:
            A column ``name=value`` for each value, in their order if they have one, else the most
            frequent first; rare values of a column with more than 256 share the last.

        Raises:
            SchemaError: there is no such column, or it holds no categories.
        """
        names = [column.name for column in self.codec.columns_]
        if name not in self.schema.names:
            raise SchemaError(f"no column {shown(name)}", suggestion(name, names))
        kind = self.schema[name].kind
        if name not in names or kind.continuous:
            raise SchemaError(f"column {shown(name)} is {kind}, it has no classes")
        j = names.index(name)
        coder = self.codec.bins_[j]
        probabilities = self.imputer.probabilities(self.encode(table), j)
        values = coder.decode(np.arange(len(coder)), np.zeros(len(coder)))
        return pa.table({f"{name}={v}": probabilities[:, k] for k, v in enumerate(values)})

    @few_threads()
    def draw(
        self, table: pa.Table, draws: int, seed: int = 0, progress: Progress = silent
    ) -> list[pa.Table]:
        """``draws`` completed tables.

        Raises:
            ParameterError: ``draws`` is not positive.
        """
        if draws < 1:
            raise ParameterError(f"draws must be at least 1, however: {draws}", "--draws 5")

        def drawn(block: Block) -> list[pa.Table]:
            rows, codes = self._followed(block)
            samples = self.imputer.draw(codes, draws, seed, block.start)
            return [self._kept(block, fill(self.codec, rows, codes, one)) for one in samples]

        with phase(progress, "filling") as tell:
            draws_of = zip(*self._in_blocks(drawn, table, ROWS_TO_DRAW, tell), strict=True)
            return [pa.concat_tables(one).unify_dictionaries() for one in draws_of]

    @few_threads()
    def generate(
        self,
        n: int,
        *,
        where: Mapping[str, Any] | Sequence[str] | None = None,
        one_shot: bool = False,
        complete: bool = False,
        temperature: float = 1.0,
        seed: int = 0,
        progress: Progress = silent,
        rows: pa.Table | None = None,
    ) -> pa.Table:
        """``n`` new rows with the columns, types and formats of the table fitted on.

        Args:
            n: how many rows.
            where: cells to set, by column, or conditions such as ``price > 5000``; see
                ``tabvae.tasks.conditions``. The others are drawn given them.
            one_shot: draw z from the prior and decode all cells at once: faster, less faithful.
            complete: leave no gaps; by default gaps come as often as in the table fitted on.
            temperature: below 1 gives more typical rows, above 1 more varied ones.
            seed: of the draws.
            progress: told how far it is.
            rows: (n,) instead of ``where``, cells to set in each row.

        Raises:
            ParameterError: ``n`` or ``temperature`` is not positive, or the model is ``ae`` or
                ``dae``.
            SchemaError: ``where`` names an unknown column, or a value the model has not seen.
        """
        if n < 1:
            raise ParameterError(f"the number of rows must be at least 1, however: {n}", "-n 1000")
        if seed < 0:
            raise ParameterError(f"seed must be at least 0, however: {seed}")
        if not 0 < temperature < np.inf:
            raise ParameterError(f"temperature must be above 0, however: {temperature}")
        if not self.networks.objective.variational:
            raise ParameterError(
                "a plain autoencoder has no distribution over its latent space to draw rows from",
                "fit with --family vae, the default",
            )

        def drawn(
            n: int, rows: pa.Table | None, seed: int, tell: Tell = unheard
        ) -> tuple[pa.Table, dict[str, Mask]]:
            given = given_cells(self.predictor, n, where, rows, seed)
            sample = generate(
                self.predictor, given.codes, seed, not complete, one_shot, temperature, tell
            )
            sample, free = given.completed(sample), given.free(self.codec)
            modelled = self.codec.inverse_transform(sample.codes, sample.quantiles)
            kept = keep(self.codec, modelled, free, bounds=False)
            return kept if complete else with_gaps(self.codec, kept, free), free

        with phase(progress, "drawing") as tell:
            table, free = drawn(n, rows, seed, tell)
        for attempt in range(1, self.most_redraws + 1):
            broken = np.flatnonzero(breaking(self.codec, table))
            if not len(broken):
                break
            again, _ = drawn(
                len(broken), None if rows is None else rows.take(broken), seed + attempt
            )
            places = np.arange(n)
            places[broken] = n + np.arange(len(broken))
            table = pa.concat_tables([table, again]).unify_dictionaries().take(places)
        return whole_table(self.schema, keep(self.codec, table, free))

    @few_threads()
    def detect(
        self,
        table: pa.Table,
        fpr: float = 0.01,
        score: str | None = None,
        progress: Progress = silent,
    ) -> pa.Table:
        """How odd each row is, and which cells make it so.

        Args:
            table: rows.
            fpr: share of ordinary rows that may be called outliers.
            score: one of ``tabvae.tasks.scores.SCORES``; ``None`` for the one that suits the model.
            progress: told how far it is.

        Returns:
            ``score`` (by default the root mean square of the surprise of the row's cells, in nats),
            ``p_value`` (share of ordinary rows at least as odd), ``outlier`` (p-value at most
            ``fpr``), and for the three cells that account for most of it ``column_1``,
            ``observed_1``, ``expected_1`` and so on. If there are rules, ``rule`` and
            ``rule_asks``: of the rules that the row breaks the one that is broken most rarely, and
            the cell that would keep it; the p-value counts it.

        Raises:
            ParameterError: ``fpr`` is not between 0 and 1, or the model has no such score.
        """
        chosen, calibration = self.card.score(self.networks, score)
        if not 0 < fpr < 1:
            raise ParameterError(f"fpr must be between 0 and 1, however: {fpr}", "--fpr 0.01")
        if fpr < calibration.least:
            warnings.warn(
                f"p-values rest on {calibration.rows} rows and are {calibration.least:.3f} at the "
                f"least: none is below {fpr}",
                TabVAEWarning,
                stacklevel=2,
            )

        def judged(block: Block) -> pa.Table:
            return self.card.judge(self.predictor, block.rows, block.codes, chosen, fpr)

        with phase(progress, "scoring") as tell:
            return pa.concat_tables(self._in_blocks(judged, table, tell=tell))

    @few_threads()
    def encode(self, table: pa.Table) -> Codes:
        """Encode rows, with warnings for what the model has to work around."""
        (codes,) = self._in_blocks(lambda block: block.codes, table, table.num_rows)
        return codes

    def _in_blocks(
        self,
        work: Callable[[Block], T],
        table: pa.Table,
        size: int | None = None,
        tell: Tell = unheard,
    ) -> list[T]:
        """What ``work`` makes of each block of a table, with warnings for the whole of it."""
        self.check(table)
        table = in_types_of(self.codec, table)
        results, unknown = [], np.zeros(len(self.codec.columns_), dtype=np.int64)
        for block in self.blocks(table, self.rows_per_block if size is None else size, tell):
            results.append(work(block))
            unknown += block.codes.unknown.sum(0)
        self.warn_unknown(unknown)
        return results

    def check(self, table: pa.Table) -> None:
        """Make sure that a table has every modelled column; warn of columns of no model.

        Raises:
            SchemaError: a modelled column is not there.
        """
        self.schema.require(table.column_names)
        names = set(self.schema.names)
        extra = [name for name in table.column_names if name not in names]
        if extra:
            listed = ", ".join(shown(name) for name in extra[:5])
            warnings.warn(
                f"carried through, not in the model: {listed}", TabVAEWarning, stacklevel=4
            )

    def blocks(self, table: pa.Table, size: int, tell: Tell = unheard) -> Iterator[Block]:
        """Runs of ``size`` rows with their codes; of an empty table, one without rows."""
        starts = range(0, max(table.num_rows, 1), max(size, 1))
        for start, part in zip(starts, parts(tell, *[1.0] * len(starts)), strict=True):
            rows = table.slice(start, max(size, 1))
            part(0.0)
            yield Block(start, rows, self.codec.transform(rows), part)

    def warn_unknown(self, counts: Iterable[int]) -> None:
        """Warn of columns with more cells that cannot be read than in the table fitted on.

        Args:
            counts: (columns,) such cells of each modelled column.
        """
        for column, count in zip(self.codec.columns_, counts, strict=True):
            if count > column.foreign:
                what = "numbers or dates" if column.kind.continuous else "categories of the model"
                warnings.warn(
                    f"column {shown(column.name)}: {count} cells are no {what}; they stay as they "
                    "are and tell the model nothing",
                    TabVAEWarning,
                    stacklevel=4,
                )

    @few_threads()
    def evaluate(
        self, table: pa.Table, samples: int = 50, seed: int = 0, progress: Progress = silent
    ) -> Evaluation:
        """How well the model knows rows; see ``tabvae.tasks.evaluate``.

        Raises:
            ParameterError: ``samples`` is not positive.
            DataError: there are no rows.
        """
        if samples < 1:
            raise ParameterError(f"samples must be at least 1, however: {samples}", "--samples 50")
        if table.num_rows == 0:
            raise DataError("the table has no rows to evaluate the model on")
        with phase(progress, "losses") as tell:
            return evaluate(self.predictor, self.encode(table), samples, seed, tell=tell)

    def arrays(self) -> Arrays:
        """The numbers of all parts, by the names they have in a model file."""
        parts: list[Part] = [self.predictor, self.imputer, self.card]
        parts += [] if self.projection is None else [self.projection]
        return joined(part.arrays() for part in parts)

    def document(self) -> Document:
        """The JSON values of all parts, by the names they have in a model file."""
        return self.predictor.document() | self.card.document()

    @classmethod
    def from_document(cls, document: Mapping[str, Any], arrays: Arrays) -> Model:
        """Made again from what ``document`` and ``arrays`` gave, part after part.

        Raises:
            Exception: a part refuses them; of which kind is the part's.
        """
        predictor = Predictor.from_document(document, arrays)
        projection = projection_from(arrays, predictor)
        card = Card.from_document(document, arrays, predictor)
        imputer = Imputer.from_arrays(arrays, predictor, trees=card.guarantee is None)
        return cls(imputer, projection, card)

    def require_readable(self) -> None:
        """Make sure that what the model writes in each column can be written, and read again.

        Raises:
            ValueError: it cannot.
            DataError: a row that it writes is larger than any should be.
        """
        self.codec.require_narrow()
        # Without identifiers: a column may have no room for more, which only ``generate`` needs.
        modelled = self.codec.inverse_transform(self.codec.ends())
        written = whole_table(self.schema, modelled, pa.table({}))
        if not self.codec.transform(written).observed[:2].all():
            raise ValueError("a column that cannot read what it writes")
