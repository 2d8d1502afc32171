"""Load the digits, for the tests to interrupt: says when it begins, and what it has at the end.

python tests/processes/prepare_digits.py FOLDER
"""

import sys
from pathlib import Path

from jaxnaive import data

if __name__ == "__main__":
    print("begins", flush=True)
    print(data.fingerprint(data.load("digits", data_dir=Path(sys.argv[1]))))
