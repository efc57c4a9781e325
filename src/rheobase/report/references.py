"""Works that a report cites, and their BibTeX."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """One publication; ``fields`` are its BibTeX fields besides author, title and year."""

    key: str
    kind: str
    authors: str
    short: str
    title: str
    year: int
    fields: tuple[tuple[str, str], ...]

    @property
    def venue(self) -> str:
        """Return journal or proceedings with volume and pages."""
        known = dict(self.fields)
        place = known.get("journal") or known.get("booktitle") or ""
        volume = f" {known['volume']}" if "volume" in known else ""
        number = f"({known['number']})" if "number" in known else ""
        pages = f":{known['pages']}" if "pages" in known else ""
        return f"{place}{volume}{number}{pages}"

    @property
    def link(self) -> str:
        """Return the address of the work, or nothing."""
        known = dict(self.fields)
        if "doi" in known:
            return f"https://doi.org/{known['doi']}"
        return f"https://arxiv.org/abs/{known['eprint']}" if "eprint" in known else known.get("url", "")

    @property
    def bibtex(self) -> str:
        """Return the BibTeX entry."""
        rows = [("author", self.authors), ("title", f"{{{self.title}}}"), ("year", str(self.year)), *self.fields]
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in rows)
        return f"@{self.kind}{{{self.key},\n{body}\n}}\n"


def _article(key: str, authors: str, short: str, title: str, year: int, **fields: str) -> Work:
    return Work(key, "article", authors, short, title, year, tuple(fields.items()))


def _proceedings(key: str, authors: str, short: str, title: str, year: int, **fields: str) -> Work:
    return Work(key, "inproceedings", authors, short, title, year, tuple(fields.items()))


_WORKS = (
    _article("harris2020", "Harris, Charles R. and Millman, K. Jarrod and van der Walt, Stéfan J. and others",
             "Harris et al.", "Array programming with NumPy", 2020,
             journal="Nature", volume="585", pages="357-362", doi="10.1038/s41586-020-2649-2"),
    _article("virtanen2020", "Virtanen, Pauli and Gommers, Ralf and Oliphant, Travis E. and others",
             "Virtanen et al.", "SciPy 1.0: fundamental algorithms for scientific computing in Python", 2020,
             journal="Nature Methods", volume="17", pages="261-272", doi="10.1038/s41592-019-0686-2"),
    _article("pedregosa2011", "Pedregosa, Fabian and Varoquaux, Gaël and Gramfort, Alexandre and others",
             "Pedregosa et al.", "Scikit-learn: Machine Learning in Python", 2011,
             journal="Journal of Machine Learning Research", volume="12", pages="2825-2830",
             url="https://jmlr.org/papers/v12/pedregosa11a.html"),
    _article("hoyer2017", "Hoyer, Stephan and Hamman, Joseph", "Hoyer and Hamman",
             "xarray: N-D labeled Arrays and Datasets in Python", 2017,
             journal="Journal of Open Research Software", volume="5", number="1", pages="10", doi="10.5334/jors.148"),
    _article("molder2021", "Mölder, Felix and Jablonski, Kim Philipp and Letcher, Brice and others",
             "Mölder et al.", "Sustainable data analysis with Snakemake", 2021,
             journal="F1000Research", volume="10", pages="33", doi="10.12688/f1000research.29032.2"),
    _proceedings("paszke2019", "Paszke, Adam and Gross, Sam and Massa, Francisco and others", "Paszke et al.",
                 "PyTorch: An Imperative Style, High-Performance Deep Learning Library", 2019,
                 booktitle="Advances in Neural Information Processing Systems", volume="32"),
    _article("kossaifi2019", "Kossaifi, Jean and Panagakis, Yannis and Anandkumar, Anima and Pantic, Maja",
             "Kossaifi et al.", "TensorLy: Tensor Learning in Python", 2019,
             journal="Journal of Machine Learning Research", volume="20", number="26", pages="1-6"),
    _article("abraham2014", "Abraham, Alexandre and Pedregosa, Fabian and Eickenberg, Michael and others",
             "Abraham et al.", "Machine learning for neuroimaging with scikit-learn", 2014,
             journal="Frontiers in Neuroinformatics", volume="8", pages="14", doi="10.3389/fninf.2014.00014"),
    _article("gramfort2013", "Gramfort, Alexandre and Luessi, Martin and Larson, Eric and others",
             "Gramfort et al.", "MEG and EEG data analysis with MNE-Python", 2013,
             journal="Frontiers in Neuroscience", volume="7", pages="267", doi="10.3389/fnins.2013.00267"),
    _article("rubel2022", "Rübel, Oliver and Tritt, Andrew and Ly, Ryan and others", "Rübel et al.",
             "The Neurodata Without Borders ecosystem for neurophysiological data science", 2022,
             journal="eLife", volume="11", pages="e78362", doi="10.7554/eLife.78362"),
    _article("gorgolewski2016", "Gorgolewski, Krzysztof J. and Auer, Tibor and Calhoun, Vince D. and others",
             "Gorgolewski et al.", "The brain imaging data structure, a format for organizing and describing outputs "
             "of neuroimaging experiments", 2016,
             journal="Scientific Data", volume="3", pages="160044", doi="10.1038/sdata.2016.44"),
    _article("power2012", "Power, Jonathan D. and Barnes, Kelly A. and Snyder, Abraham Z. and others",
             "Power et al.", "Spurious but systematic correlations in functional connectivity MRI networks arise from "
             "subject motion", 2012,
             journal="NeuroImage", volume="59", number="3", pages="2142-2154",
             doi="10.1016/j.neuroimage.2011.10.018"),
    _article("power2017", "Power, Jonathan D.", "Power",
             "A simple but useful way to assess fMRI scan qualities", 2017,
             journal="NeuroImage", volume="154", pages="150-158", doi="10.1016/j.neuroimage.2016.08.009"),
    _article("seitzman2020", "Seitzman, Benjamin A. and Gratton, Caterina and Marek, Scott and others",
             "Seitzman et al.", "A set of functionally-defined brain regions with improved representation of the "
             "subcortex and cerebellum", 2020,
             journal="NeuroImage", volume="206", pages="116290", doi="10.1016/j.neuroimage.2019.116290"),
    _article("friedrich2017", "Friedrich, Johannes and Zhou, Pengcheng and Paninski, Liam", "Friedrich et al.",
             "Fast online deconvolution of calcium imaging data", 2017,
             journal="PLOS Computational Biology", volume="13", number="3", pages="e1005423",
             doi="10.1371/journal.pcbi.1005423"),
    _article("nadeau2003", "Nadeau, Claude and Bengio, Yoshua", "Nadeau and Bengio",
             "Inference for the Generalization Error", 2003,
             journal="Machine Learning", volume="52", number="3", pages="239-281", doi="10.1023/A:1024068626366"),
    _article("holm1979", "Holm, Sture", "Holm", "A Simple Sequentially Rejective Multiple Test Procedure", 1979,
             journal="Scandinavian Journal of Statistics", volume="6", number="2", pages="65-70"),
    _article("meinshausen2009", "Meinshausen, Nicolai and Meier, Lukas and Bühlmann, Peter", "Meinshausen et al.",
             "p-Values for High-Dimensional Regression", 2009,
             journal="Journal of the American Statistical Association", volume="104", number="488",
             pages="1671-1681", doi="10.1198/jasa.2009.tm08647"),
    _article("hoerl1970", "Hoerl, Arthur E. and Kennard, Robert W.", "Hoerl and Kennard",
             "Ridge Regression: Biased Estimation for Nonorthogonal Problems", 1970,
             journal="Technometrics", volume="12", number="1", pages="55-67", doi="10.1080/00401706.1970.10488634"),
    _article("rabiner1989", "Rabiner, Lawrence R.", "Rabiner",
             "A tutorial on hidden Markov models and selected applications in speech recognition", 1989,
             journal="Proceedings of the IEEE", volume="77", number="2", pages="257-286", doi="10.1109/5.18626"),
    _article("neftci2019", "Neftci, Emre O. and Mostafa, Hesham and Zenke, Friedemann", "Neftci et al.",
             "Surrogate Gradient Learning in Spiking Neural Networks", 2019,
             journal="IEEE Signal Processing Magazine", volume="36", number="6", pages="51-63",
             doi="10.1109/MSP.2019.2931595"),
    _article("yang2024", "Yang, Yifan and Mao, Yutong and Liu, Xufu and Liu, Xiao", "Yang et al.",
             "BrainMAE: A Region-aware Self-supervised Learning Framework for Brain Signals", 2024,
             journal="arXiv", eprint="2406.17086"),
    _proceedings("dyballa2024", "Dyballa, Luciano and Lang, Samuel and Haslund-Gourley, Alexandra and Yemini, Eviatar "
                 "and Zucker, Steven W.", "Dyballa et al.",
                 "Learning dynamic representations of the functional connectome in neurobiological networks", 2024,
                 booktitle="International Conference on Learning Representations", eprint="2402.14102"),
    _article("srinivasan2025", "Srinivasan, Keshav and Plenz, Dietmar and Girvan, Michelle", "Srinivasan et al.",
             "Boosting Reservoir Computing with Brain-inspired Adaptive Dynamics", 2025,
             journal="arXiv", eprint="2504.12480"),
    _proceedings("torre2025", "Torre, Elia and Viscione, Michele and Pompe, Lucas and Grewe, Benjamin F. and Mante, "
                 "Valerio", "Torre et al.", "Mechanistic Interpretability of RNNs emulating Hidden Markov Models", 2025,
                 booktitle="Advances in Neural Information Processing Systems", eprint="2510.25674"),
)  # fmt: skip

WORKS = {work.key: work for work in _WORKS}

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

FAMILY_WORKS = {
    "linear": ("hoerl1970",),
    "brainmae": ("yang2024",),
    "connectome": ("dyballa2024",),
    "reservoir": ("srinivasan2025",),
    "hmm_rnn": ("rabiner1989", "torre2025"),
    "spiking": ("neftci2019",),
}


def bibliography(keys: Iterable[str]) -> tuple[Work, ...]:
    """Return works in the order of their first author."""
    return tuple(sorted({WORKS[key] for key in keys}, key=lambda work: (work.authors.lower(), work.year)))
