"""The page: layout in `demo`, events in `handlers`."""
