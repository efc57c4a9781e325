"""One model between memory and named arrays, and what it says of a series beside its rivals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rheobase.models.hmm_rnn.autoregressive import Autoregressive
from rheobase.models.hmm_rnn.batch import Chain
from rheobase.models.hmm_rnn.decoder import Decoder
from rheobase.models.hmm_rnn.embed import Embedding
from rheobase.models.hmm_rnn.emissions import Cov, Emission, Gaussian

if TYPE_CHECKING:
    import xarray as xr

DIMS = {"means": ("component",), "covs": ("component", "component_to"),
        "coefs": ("component", "regressor")}  # fmt: skip


def pack(chain: Chain, prefix: str = "", *, model: str | None = None, state: str = "state"
         ) -> dict[str, Any]:  # fmt: skip
    """Return the parameters of a chain as named arrays.

    ``model`` names the dimension of several models; ``state`` that of states.
    """
    lead = () if model is None else (model,)
    at: Any = slice(None) if model is not None else 0
    made = {f"{prefix}pi": ((*lead, state), _number(chain.pi[at])),
            f"{prefix}A": ((*lead, state, f"{state}_to"), _number(chain.A[at]))}  # fmt: skip
    for name, values in chain.emission.items():
        held = _number(values[at])
        dims = DIMS[name][: held.ndim - len(lead) - 1]
        made[f"{prefix}{name}"] = ((*lead, state, *dims), held)
    return made


def unpack(arrays: xr.Dataset, prefix: str = "", *, single: bool = True) -> Chain:
    """Return what ``pack`` stored; ``single`` where it was one model."""

    def held(name: str) -> torch.Tensor:
        values = torch.as_tensor(arrays[f"{prefix}{name}"].values)
        return values[None] if single else values

    emission = {name: held(name) for name in DIMS if f"{prefix}{name}" in arrays}
    return Chain(held("pi"), held("A"), emission)


def _number(values: torch.Tensor) -> np.ndarray:
    return values.double().cpu().numpy()


@dataclass(frozen=True)
class Kind:
    """Which emissions a fit has."""

    name: str
    """gaussian | ar | tde"""
    cov: Cov
    order: int

    @property
    def warm(self) -> int:
        """Return the samples of a segment that have no likelihood."""
        return self.order if self.name == "ar" else 0

    def emission(self, dimensions: int) -> Emission:
        """Return the emissions, without a prior."""
        none = torch.ones(dimensions, dtype=torch.float64)
        if self.name == "ar":
            return Autoregressive(dimensions, self.order, 0.0, none, 0.0)
        return Gaussian(dimensions, self.cov, 0.0, none)

    def pack(self) -> dict[str, Any]:
        return {"emission": ((), np.array(self.name)), "cov": ((), np.array(self.cov)),
                "order": ((), np.int64(self.order))}  # fmt: skip


def kind(arrays: xr.Dataset) -> Kind:
    """Return the emissions of a fit."""
    name, cov = (str(arrays[n].values) for n in ("emission", "cov"))
    return Kind(name, cov, int(arrays["order"]))  # pyright: ignore[reportArgumentType]


def embedding(arrays: xr.Dataset) -> Embedding | None:
    """Return the embedding in lags of a fit; None without one."""
    if "embedding_axes" not in arrays:
        return None
    return Embedding(int(arrays["embedding_half"]), arrays["embedding_mean"].values,
                     arrays["embedding_axes"].values)  # fmt: skip


def pack_embedding(made: Embedding | None) -> dict[str, Any]:
    if made is None:
        return {}
    return {"embedding_half": ((), np.int64(made.half)), "embedding_mean": ("lagged", made.mean),
            "embedding_axes": (("lagged", "component"), made.components)}  # fmt: skip


def decoder(arrays: xr.Dataset, prefix: str = "") -> Decoder:
    """Return the fitted model, or the rival mixture of Gaussians by its prefix, as a decoder.

    It takes a series that is embedded already, where there is an embedding.
    """
    return of_chain(arrays, unpack(arrays, prefix), gaussian=bool(prefix))


def of_chain(arrays: xr.Dataset, chain: Chain, *, gaussian: bool = False) -> Decoder:
    """Return the decoder of a chain of the fit's kind; ``gaussian`` where it is a mixture."""
    own = kind(arrays)
    if gaussian and own.name == "ar":
        own = Kind("gaussian", "full", 0)
    return Decoder(emission=own.emission(arrays.sizes["component"]), chain=chain)
