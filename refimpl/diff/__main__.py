"""`python -m refimpl.diff`."""

from . import main

raise SystemExit(main())
