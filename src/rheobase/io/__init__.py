"""Sources and readers: everything that turns outside files into arrays."""
