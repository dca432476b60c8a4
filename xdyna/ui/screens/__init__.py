"""One file per screen: `add_<screen>` lays it out, `wire_<screen>` connects its events to its handlers."""
