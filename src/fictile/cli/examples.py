"""The end of a help page."""


def examples(*lines: str) -> str:
    """Commands to copy, as the epilog of a help page."""
    return "\n".join(["[bold]Examples[/bold]", *(f"[dim]$[/dim] [cyan]{line}[/cyan]" for line in lines)])
