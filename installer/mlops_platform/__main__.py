"""Owns `python -m installer`."""

from mlops_platform.cli import main

if __name__ == "__main__":
    main()
