"""A table of texts, as Markdown for a README and as HTML for a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Table:
    """A table whose cells are plain text.

    Args:
        title: what it shows.
        heads: of the columns; the first one names the rows.
        rows: as many cells each as there are heads.
        caption: what a reader has to know, plain text.

    Raises:
        ValueError: a row has another number of cells.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def __post_init__(self):
        for row in self.rows:
            if len(row) != len(self.heads):
                raise ValueError(
                    f"row {list(row)} has {len(row)} cells, expected {len(self.heads)}, one for "
                    f"each of {list(self.heads)}"
                )

    def shown(self) -> "Table":
        """Return the table without the columns in which every cell is empty."""
        kept = [i for i in range(len(self.heads)) if i == 0 or any(row[i] for row in self.rows)]
        heads = [self.heads[i] for i in kept]
        return Table(self.title, heads, [[row[i] for i in kept] for row in self.rows], self.caption)

    def markdown(self) -> str:
        """Return the table, its caption below it.

        >>> print(Table("errors", ["model", "l2"], [["TFNO", "0.1"]]).markdown())
        | model | l2 |
        |---|---|
        | TFNO | 0.1 |
        """
        head, *rows = ("| " + " | ".join(map(_plain, line)) + " |" for line in self._lines())
        text = "\n".join([head, "|" + "---|" * len(self.heads), *rows])
        return text + (f"\n\n{self.caption}" if self.caption else "")

    def _lines(self) -> list[Sequence[str]]:
        return [self.heads, *self.rows]

    def html(self) -> str:
        """Return the table, its caption above it."""
        heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in self.heads)
        rows = "\n".join(_row(row) for row in self.rows)
        note = f"<p>{escape(self.caption)}</p>\n" if self.caption else ""
        return (
            f'{note}<div class="scroll"><table>\n<thead><tr>{heads}</tr></thead>\n'
            f"<tbody>\n{rows}\n</tbody>\n</table></div>"
        )


def _plain(cell: str) -> str:
    # A bar would end the cell, a line break the table.
    return cell.replace("|", "\\|").replace("\n", " ")


def _row(cells: Sequence[str]) -> str:
    first, *others = cells
    rest = "".join(f"<td>{escape(cell)}</td>" for cell in others)
    return f'<tr><th scope="row">{escape(first)}</th>{rest}</tr>'
