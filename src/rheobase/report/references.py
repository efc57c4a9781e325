"""Works that a report cites, and their BibTeX; the entries are in ``references.bib``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ENTRY = re.compile(r"@(\w+)\{(\w+),\n(.*?)\n\}\n", re.DOTALL)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},?$", re.MULTILINE)


@dataclass(frozen=True)
class Work:
    """One publication; ``fields`` are those of its BibTeX entry."""

    key: str
    bibtex: str
    fields: Mapping[str, str]

    @property
    def authors(self) -> list[str]:
        """Return the authors, "Family, Given" each; "others" for those not listed."""
        return self.fields["author"].split(" and ")

    @property
    def year(self) -> str:
        return self.fields["year"]

    @property
    def title(self) -> str:
        return self.fields["title"].strip("{}")

    @property
    def short(self) -> str:
        """Return the family names as they are cited in a text."""
        families = [author.partition(",")[0] for author in self.authors]
        return " and ".join(families) if len(families) < 3 else f"{families[0]} et al."

    @property
    def venue(self) -> str:
        """Return journal or proceedings with volume and pages."""
        known = self.fields
        place = known.get("journal") or known.get("booktitle") or ""
        volume = f" {known['volume']}" if "volume" in known else ""
        number = f"({known['number']})" if "number" in known else ""
        pages = f":{known['pages']}" if "pages" in known else ""
        return f"{place}{volume}{number}{pages}"

    @property
    def link(self) -> str:
        """Return the address of the work, or nothing."""
        if "doi" in self.fields:
            return f"https://doi.org/{self.fields['doi']}"
        if "eprint" in self.fields:
            return f"https://arxiv.org/abs/{self.fields['eprint']}"
        return self.fields.get("url", "")


def read_bibtex(text: str) -> dict[str, Work]:
    """Return the works of a BibTeX file with one field a line, by key."""
    return {
        match[2]: Work(match[2], match[0], dict(_FIELD.findall(match[3])))
        for match in _ENTRY.finditer(text)
    }


WORKS = read_bibtex(Path(__file__).with_name("references.bib").read_text(encoding="utf-8"))

SOFTWARE = {
    "numpy": "harris2020",
    "scipy": "virtanen2020",
    "scikit-learn": "pedregosa2011",
    "xarray": "hoyer2017",
    "snakemake": "molder2021",
    "torch": "paszke2019",
    "tensorly": "kossaifi2019",
    "nilearn": "abraham2014",
    "mne": "gramfort2013",
    "pynwb": "rubel2022",
}

FAMILY_SOFTWARE = {
    "linear": {"scikit-learn"},
    "connectome": {"tensorly"},
    "reservoir": {"scikit-learn", "torch"},
    "hmm_rnn": {"scikit-learn", "torch"},
}
"""A family that is not named here has weights, and those are trained with torch."""

READER_SOFTWARE = {
    "nifti": {"nilearn"},
    "fmriprep": {"nilearn"},
    "nwb": {"pynwb"},
    **dict.fromkeys(("edf", "bdf", "brainvision", "fif"), {"mne"}),
}
FILTERED_BY_NILEARN = {"detrend", "regress out confounds", "band-pass", "high-pass", "low-pass"}

FAMILY_WORKS = {
    "linear": ("hoerl1970",),
    "brainmae": ("yang2024",),
    "connectome": ("dyballa2024",),
    "reservoir": ("srinivasan2025",),
    "hmm_rnn": ("rabiner1989",),
    "spiking": ("neftci2019",),
}


def bibliography(keys: Iterable[str]) -> tuple[Work, ...]:
    """Return works in the order of their first author."""
    return tuple(
        sorted(
            (WORKS[key] for key in set(keys)), key=lambda work: (work.authors[0].lower(), work.year)
        )
    )


def software_used(
    *, modality: str, reader: str, steps: Sequence[Mapping[str, Any]], families: Iterable[str]
) -> set[str]:
    """Return the packages that a run stood on, whatever else was installed."""
    used = {"numpy", "scipy", "xarray", "snakemake"} | READER_SOFTWARE.get(reader, set())
    if modality == "fmri" and any(step.get("step") in FILTERED_BY_NILEARN for step in steps):
        used |= {"nilearn"}
    return used.union(*(FAMILY_SOFTWARE.get(family, {"torch"}) for family in families))


_DATED = re.compile(r"(?P<authors>[^()]*?[^\W\d_][^()]*?)[\s,.]*\(?\b(?P<year>(?:19|20)\d\d)\b")
_INITIALS = re.compile(r"(\s+[A-Z][A-Z.-]{0,4})+$")


def named_short(reference: str) -> str:
    """Return a reference given as plain text as it is cited, "Van Essen et al. 2013".

    Text without authors and a year is cited whole.
    """
    found = _DATED.match(reference)
    if found is None or "//" in found["authors"] or "doi" in found["authors"].lower():
        return reference.strip().rstrip(".")
    first, *others = re.split(r",\s*|\s+and\s+|\s*&\s*", found["authors"].strip(" .,"))
    more = " et al." if others or first.endswith("et al") else ""
    family = _INITIALS.sub("", first.removesuffix("et al").strip())
    return f"{family}{more} {found['year']}"


def plain_bibtex(references: Sequence[str]) -> list[str]:
    """Return references given as plain text as BibTeX entries, the whole text as their note."""
    cleaned = [reference.translate({123: None, 125: None}) for reference in references]
    return [f"@misc{{data{n},\n  note = {{{r}}}\n}}\n" for n, r in enumerate(cleaned, start=1)]
