"""Where each process writes: NAME.jsonl, a JSON object a line, and NAME.err, what it says beside its log."""

from pathlib import Path

LAST_CHARACTERS = 300


def error_file(log_file: Path) -> Path:
    """Return where a process with this log has its standard error."""
    return log_file.with_suffix(".err")


def read_size(path: Path) -> int:
    """Return how many bytes a file has; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def read_from(path: Path, offset: int) -> str:
    """Return a file's text from a byte on; nothing where there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(offset)
        return log.read().decode(errors="replace")


def last_words(log_file: Path, log_offset: int = 0, error_offset: int = 0) -> str:
    """Return the last line of a process's standard error, else of its log, else "nothing"."""
    for path, offset in ((error_file(log_file), error_offset), (log_file, log_offset)):
        lines = read_from(path, offset).strip().splitlines()
        if lines:
            return lines[-1][:LAST_CHARACTERS]
    return "nothing"
