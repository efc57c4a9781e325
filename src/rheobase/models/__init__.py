"""Model families behind one contract (``base.py``)."""
