"""BrainMAE: a masked autoencoder of region time series, pretrained, probed and taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rheobase.models.base import Drawing, Fitted, Placed, Score
from rheobase.recording import Recording

CHOICES = {
    "variant": ("sg", "ag", "vanilla"),
    "pool": ("flatten", "attention", "embedding"),
    "embedding": ("learned", "fixed_position"),
    "embedding_start": ("random", "covariance"),
    "pretrain": ("masked", "plain_autoencoder"),
    "mask": ("roi_segment", "frame", "segment", "random_token"),
}


def _above_0(settings: object, prefix: str, names: Sequence[str]) -> None:
    for name in names:
        if (value := getattr(settings, name)) <= 0:
            raise ValueError(f"brainmae: {prefix}{name} is {value}; it must be above 0")


@dataclass(frozen=True)
class LabelTraining:
    """How the encoder is trained for a label (all chosen here)."""

    epochs: int = 40
    patience: int = 8
    encoder_rate: float = 1e-4
    head_rate: float = 1e-3
    layer_decay: float = 0.75
    scratch_rate: float = 1e-3
    """Of all layers, without pretraining."""
    inverse_penalties: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)
    """Of linear probes, chosen in inner folds."""
    permutations: int = 1000
    delay_s: float | None = None
    """How far the signal lags behind a label over time; None chooses among 0 to 8 s."""
    ignore_labels: tuple[str, ...] = ()
    """Classes of a label over time left out of training and scoring, such as rest."""

    def __post_init__(self) -> None:
        _above_0(self, "label_training.", ("patience", "encoder_rate", "head_rate", "layer_decay",
                                           "scratch_rate"))  # fmt: skip
        if self.epochs < 0 or self.permutations < 0 or (self.delay_s or 0) < 0:
            raise ValueError(
                f"brainmae: label_training has epochs {self.epochs}, permutations "
                f"{self.permutations} and delay_s {self.delay_s}; none may be below 0"
            )
        if self.layer_decay > 1:
            raise ValueError(
                f"brainmae: label_training.layer_decay is {self.layer_decay}; it must be at most 1"
            )
        if not self.inverse_penalties or min(self.inverse_penalties) <= 0:
            raise ValueError(
                f"brainmae: label_training.inverse_penalties is {list(self.inverse_penalties)}; "
                "give one or more numbers above 0"
            )


@dataclass(frozen=True)
class BrainMAE:
    """Masked autoencoder after Yang, Mao, Liu and Liu (arXiv 2406.17086), as we read it.

    Regions attend to each other by learned embeddings; segments of ``segment_s`` attend to each
    other; what is hidden is reconstructed. See docs/brainmae.md for equations and sources.
    """

    segment_s: float = 15.0
    crop_s: float = 300.0
    """Longest stretch that the network sees at once."""
    width: int = 64
    """Of a region in a segment"""
    segment_width: int = 64
    """Of a segment: all that is known of its regions passes through it"""
    heads: int = 4
    spatial_layers: int = 3
    encoder_layers: int = 2
    decoder_layers: int = 2
    variant: str = "sg"
    pool: str = "flatten"
    embedding: str = "learned"
    embedding_start: str = "random"
    """``covariance``: eigenvectors of the training part's; trains faster, but then embeddings
    resemble connectivity by construction."""
    self_loop: bool = False
    pretrain: str = "masked"
    mask: str = "roi_segment"
    mask_ratio: tuple[float, float] = (0.0, 0.8)
    """Drawn evenly between the two for each batch."""
    mask_weight: float = 0.75
    steps: int = 2000
    batch: int = 16
    learning_rate: float = 3e-3
    warm_up: float = 0.05
    weight_decay: float = 0.05
    check_every: int = 50
    patience: int = 20
    held_share: float = 0.2
    """Share of the training people on which pretraining is stopped; 0 for none."""
    label: bool = True
    """Whether a label is decoded (probe, finetune, scratch)."""
    label_training: LabelTraining = LabelTraining()
    stability: bool = False
    """Whether each half of the training people is pretrained on too, which takes twice as long
    again."""
    init_from: str | None = None
    """``dataset/model`` of a fit to start from instead of pretraining here."""

    modalities: ClassVar[frozenset[str]] = frozenset({"fmri"})
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "demo": {
            "width": 32, "decoder_layers": 1, "steps": 200, "learning_rate": 6e-3,
            "held_share": 0.0, "label": False,
        },
        "tiny": {"width": 32, "decoder_layers": 1, "steps": 500, "learning_rate": 6e-3},
        "small": {},
        "base": {"width": 128, "segment_width": 256, "heads": 8, "encoder_layers": 4,
                 "steps": 10000, "learning_rate": 1e-3},
    }  # fmt: skip
    views: ClassVar[dict[str, str]] = {}
    resume: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                said = ", ".join(known)
                raise ValueError(f"brainmae: {name} is {getattr(self, name)!r}; there are {said}")
        _above_0(self, "", ("segment_s", "crop_s", "width", "heads", "steps", "batch",
                            "learning_rate", "check_every", "patience", "spatial_layers",
                            "encoder_layers", "decoder_layers", "segment_width"))  # fmt: skip
        if self.weight_decay < 0:
            raise ValueError(f"brainmae: weight_decay is {self.weight_decay}; it must be 0 or more")
        for name in ("width", "segment_width"):
            value = getattr(self, name)
            if value % self.heads or value % 2:
                raise ValueError(
                    f"brainmae: {name} {value} must be even and a multiple of heads {self.heads}"
                )
        low, high = self.mask_ratio
        if not 0 <= low <= high < 1:
            raise ValueError(
                f"brainmae: mask_ratio is {list(self.mask_ratio)}; it must rise within 0 and 1"
            )
        for name in ("mask_weight", "held_share", "warm_up"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"brainmae: {name} is {getattr(self, name)}; it must be 0 to 1")
        if self.held_share == 1:
            raise ValueError("brainmae: held_share is 1, so nobody is learnt from; give less")

    def fit(
        self,
        train: Sequence[Recording],
        *,
        seed: int,
        device: str = "cpu",
        checkpoint: Path | None = None,
        initial: Fitted | None = None,
    ) -> Fitted:
        """Return the pretrained network, the rivals and, with a label, the decoders.

        ``initial`` is the fit named by ``init_from``; ``checkpoint`` is where the state of a long
        pretraining is kept.
        """
        from rheobase.models.brainmae import learn

        return learn.fit(self, train, seed=seed, device=device, keep=checkpoint, initial=initial)

    def evaluate(self, fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
        """Return decoding (first where there is a label), reconstruction and identification."""
        from rheobase.models.brainmae import score

        return score.scores(self, fitted, test)

    def figures(self, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
        """Return drawings of embeddings, attention, reconstruction and training."""
        from rheobase.models.brainmae import figures

        return figures.draw(self, fitted, test)

    @staticmethod
    def across(fits: Sequence[Placed]) -> dict[str, Drawing]:
        """Return how alike embeddings and attention of several fits are."""
        from rheobase.models.brainmae import stability

        return stability.across(fits)

    @staticmethod
    def methods(settings: Mapping[str, Any], cite: Any, **told: Any) -> list[str]:
        """Return sentences for the methods text of a report."""
        from rheobase.models.brainmae.methods import sentences

        return sentences(settings, cite, **told)
