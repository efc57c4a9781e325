"""Pages and figures made from saved results, never by refitting."""
