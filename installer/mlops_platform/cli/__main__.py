"""Entry point of `python -m mlops_platform.cli`."""

from mlops_platform.cli import main

if __name__ == "__main__":
    main()
