"""`python -m refimpl.watch`."""

from . import main

raise SystemExit(main())
