"""`python -m refimpl.fuzz`."""

from . import main

raise SystemExit(main())
