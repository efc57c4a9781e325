"""A small right config, to be spoilt in one place at a time."""

GOOD = """
datasets:
  rest:
    modality: fmri
    source: {kind: path, path: "{data_dir}/{subject}.npy"}
    entities: {subject: ["01", "02", "03"]}
    reader: {format: npy, orientation: time_first}
    repetition_time_s: 2.0
    split: {by: subject, folds: 3}
    models: [baseline]
models:
  baseline: {family: linear}
"""


def replaced(text, *pairs):
    """Return a text with each old part, which must be there, replaced by its new one."""
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text
