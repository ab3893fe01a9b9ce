"""`python -m refimpl.guide`."""

from . import main

if __name__ == "__main__":  # a worker of the pool imports this module under another name
    raise SystemExit(main())
