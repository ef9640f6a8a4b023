"""`python -m vidsr.live.reload_process FILE LEVEL`: reads and checks a file of cameras; the result goes to stdout."""

import pickle
import sys
from dataclasses import replace
from pathlib import Path

from vidsr.errors import USAGE
from vidsr.live.camera_file import read_cameras
from vidsr.live.preflight import check_cameras


def main() -> int:
    """The exit code: 0 with the pickled cameras on stdout, 2 with a sentence for each fault on stderr."""
    file, log_level = Path(sys.argv[1]), sys.argv[2]
    try:
        configs, errors = check_cameras(read_cameras(file), file=file)
    except ValueError as error:
        print(error, file=sys.stderr)
        return USAGE
    for fault in errors:
        print(fault, file=sys.stderr)
    if errors:
        return USAGE
    pickle.dump(tuple(replace(config, log_level=log_level) for config in configs), sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
