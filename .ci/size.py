"""The size of the house: lines of Python in each folder; a source file over 500 lines is an error."""

import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 500


def main() -> int:
    """Print a line a folder and name the files that are too long; the exit code."""
    folders: Counter[str] = Counter()
    files: Counter[str] = Counter()
    too_long = []
    for top in ("src/inkstone", "tests", "benchmarks"):
        for path in sorted((ROOT / top).rglob("*.py")):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            place = path.relative_to(ROOT)
            folder = "/".join(place.parts[:3] if top == "src/inkstone" and len(place.parts) > 3 else top.split("/"))
            folders[folder] += lines
            files[folder] += 1
            if lines > MOST_LINES and top == "src/inkstone":
                too_long.append(f"{place}: {lines} lines, {MOST_LINES} are allowed")
    for folder, lines in folders.items():
        print(f"{folder:28} {files[folder]:4} files {lines:7,} lines")
    source = sum(lines for folder, lines in folders.items() if folder.startswith("src"))
    print(f"{'all of src':28} {source:18,} lines")
    for line in too_long:
        print(line, file=sys.stderr)
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
