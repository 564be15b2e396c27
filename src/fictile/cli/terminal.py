"""What a user sees while a command works. All of it goes to stderr: stdout is for the result alone."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console


def say(text: str, style: str | None = None) -> None:
    """One line for the user, exactly as it is: neither wrapped nor read as markup."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, style=style, markup=False)


def fail(sentence: str) -> None:
    """The one sentence that says what went wrong."""
    say(f"Error: {' '.join(sentence.split()).rstrip('.')}.", style="red")


def write_json(document: object) -> None:
    """A result for programs: one JSON document on stdout."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def write_table(rows: Mapping[str, object], title: str | None = None) -> None:
    """A result for people: names and values on stdout, one pair to a line."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(Text(name), Text(str(value)))
    console = Console(highlight=False)
    if title:  # apart from the table, which would break it to its own width
        console.print(Text(title, style="bold"))
    console.print(table)


def write_columns(names: Sequence[str], rows: Sequence[Sequence[object]], title: str) -> None:
    """Several things of a kind for people, on stdout: a line each, in columns with names; numbers to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="dim", box=None, pad_edge=False)
    for index, name in enumerate(names):
        numbers = all(str(row[index]).replace(",", "").isdecimal() for row in rows)
        table.add_column(name, justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))
    console = Console(highlight=False)
    console.print(Text(title, style="bold"))
    console.print(table)


class Work:
    """Shows which stage the work is in, and how many steps and how much time are left where they can be counted.

    Only on a terminal, and gone when the work is done.
    """

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[count]}"),
            TimeRemainingColumn(compact=True),
        )
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)

    @classmethod
    @contextmanager
    def shown(cls) -> Generator["Work"]:
        """The work that goes on inside the block."""
        work = cls()
        with work._progress:
            yield work

    def stage(self, name: str) -> None:
        """Go over to the next stage; a pulse shows that it lives."""
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._progress.add_task(name, total=None, count="")

    def denoising(self, steps: int, strength: float = 1.0) -> Callable[[int, object, object, object], None]:
        """Go over to a sampler's steps; returns its callback. It makes the last round(steps * strength) of them, which
        is counted once it is at work: before that nobody has looked whether these are numbers to count with.
        """
        self.stage("Denoising")

        def evaluated(index: int, *_: object) -> None:
            made, done = max(1, round(steps * strength)), index + 1
            if index == 0:  # of the first picture, or of the next where they are sampled one by one
                self.stage("Denoising")
            if done < made:
                self._progress.update(self._progress.task_ids[-1], completed=done, total=made, count=f"{done}/{made}")
            else:
                self.stage("Decoding (whatever happens, it can be finished: fictile decode --last)")

        return evaluated
