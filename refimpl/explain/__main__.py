"""`python -m refimpl.explain`."""

from . import main

raise SystemExit(main())
