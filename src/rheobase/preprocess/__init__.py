"""Signal cleaning and quality control, one module a modality."""
