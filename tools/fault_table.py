"""Print a table of the fault tests from pytest's JUnit file; exit code 1 where one of them failed.

python tools/fault_table.py results.xml
"""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree


def sentence_of(name: str) -> str:
    """test_a_camera_is_back[5] as "a camera is back: 5"."""
    found = re.fullmatch(r"test_(?P<sentence>\w+)(\[(?P<case>.*)\])?", name)
    if not found:
        return name
    sentence = found["sentence"].replace("_", " ")
    return f"{sentence}: {found['case']}" if found["case"] else sentence


def row(case: ElementTree.Element) -> tuple[str, str, str]:
    """The fault, the figures, and the verdict."""
    figures = [f"{p.get('name')} {p.get('value')}" for p in case.iter("property")]
    bad = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
    if bad is not None:
        reason = (bad.get("message") or "").splitlines() or [""]
        figures.append(reason[0][:120])
    verdict = "holds" if bad is None else bad.tag
    return sentence_of(case.get("name", "")), ", ".join(figures).replace("|", "/"), verdict


def main(path: Path) -> int:
    """Print the table; the exit code."""
    rows = [row(case) for case in ElementTree.parse(path).iter("testcase")]
    print("| fault | figures | verdict |", "|---|---|---|", sep="\n")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")
    failed = sum(verdict in ("failure", "error") for *_, verdict in rows)
    skipped = sum(verdict == "skipped" for *_, verdict in rows)
    print(f"\n{len(rows)} faults, {failed} failed, {skipped} skipped")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
