"""`python -m perf.figures`: see the package."""

import argparse
import sys

from perf.figures import DOCUMENTS, ROOT, rewritten


def main() -> int:
    parser = argparse.ArgumentParser(description="write the figures in the documents anew")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where they differ")
    check = parser.parse_args().check
    differing = 0
    for name in DOCUMENTS:
        file = ROOT / name
        text = file.read_text("utf-8")
        new = rewritten(text)
        if new == text:
            continue
        differing += 1
        print(f"{name}: the figures are old; run make figures" if check else f"wrote {name}")
        if not check:
            file.write_text(new, "utf-8")
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
