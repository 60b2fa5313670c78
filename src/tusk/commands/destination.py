"""Where rows go: the protocol every receiver follows, and the receivers that need no client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(slots=True)
class ResultColumn:
    """What RowDescription says of a column."""

    name: str
    type_oid: int
    typmod: int = -1
    table_oid: int = 0
    attribute_number: int = 0


class DestReceiver(Protocol):
    """Takes the batches of one query, in order."""

    def startup(self, columns: list[ResultColumn]) -> None:
        """Called once before the first batch."""

    def receive(self, batch: Any) -> None:
        """Take a batch (sql.execute Batch); it is valid only during the call."""

    def receive_rows(self, rows: list[tuple[Any, ...]]) -> None:
        """Take rows of Python values: from commands that make their rows themselves."""

    def shutdown(self) -> None:
        """Called once after the last batch."""


class Discard:
    """Throws rows away: utility commands that run a query for its effects."""

    def startup(self, columns: list[ResultColumn]) -> None:
        """Nothing to prepare."""

    def receive(self, batch: Any) -> None:
        """Nothing to keep."""

    def receive_rows(self, rows: list[tuple[Any, ...]]) -> None:
        """Nothing to keep."""

    def shutdown(self) -> None:
        """Nothing to finish."""


class Collect:
    """Keeps rows as tuples of Python values."""

    def __init__(self) -> None:
        self.columns: list[ResultColumn] = []
        self.rows: list[tuple[Any, ...]] = []

    def startup(self, columns: list[ResultColumn]) -> None:
        """Remember the columns."""
        self.columns = columns

    def receive(self, batch: Any) -> None:
        """Copy the rows out of the batch."""
        self.rows.extend(batch.rows())

    def receive_rows(self, rows: list[tuple[Any, ...]]) -> None:
        """Keep them."""
        self.rows.extend(rows)

    def shutdown(self) -> None:
        """Nothing to finish."""


def send_rows(destination: DestReceiver, columns: list[ResultColumn], rows: list[tuple[Any, ...]]) -> None:
    """Give a whole result of Python values to a receiver."""
    destination.startup(columns)
    destination.receive_rows(rows)
    destination.shutdown()
