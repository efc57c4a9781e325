"""What a fitted model says of any series: probabilities of states, their path, likelihoods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rheobase.models.hmm_rnn import checks, paths
from rheobase.models.hmm_rnn.batch import Chain, Data, expect, lay_out
from rheobase.models.hmm_rnn.embed import Embedding
from rheobase.models.hmm_rnn.emissions import Emission


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """Known parameters of one model, and how a series is made what its states see."""

    emission: Emission
    chain: Chain
    """One model."""
    embedding: Embedding | None = None

    def prepare(
        self, x: np.ndarray, lengths: Sequence[int] | None
    ) -> tuple[np.ndarray, tuple[int, ...]]:
        """Return a series and its lengths as the states see them."""
        found = checks.series(x, lengths)
        return (x, found) if self.embedding is None else self.embedding.apply(x, found)

    def posterior(
        self, x: np.ndarray, lengths: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return state probabilities (time, state) and log-likelihoods (segment,).

        With an embedding, time is that of the embedded samples (``embedding.inside``).
        """
        data = self._data(x, lengths)
        found, loglik = expect(data, self.chain)
        return data.chunks.along(found.gamma)[:, 0].cpu().numpy(), loglik[0].cpu().numpy()

    def viterbi(self, x: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        """Return the most likely path, (time,) int16."""
        data = self._data(x, lengths)
        theta = self.emission.theta(self.chain.emission)[0]
        logb = data.chunks.along(theta @ data.phi)
        found = paths.viterbi(logb[None], self.chain.A, self.chain.pi, data.lengths)
        return found[0].cpu().numpy()

    def sample(self, length: int, count: int = 1, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return drawn series (sequence, time, channel) and their states (sequence, time)."""
        device = self.chain.A.device
        generator = torch.Generator(device).manual_seed(seed)
        A, pi = self.chain.A[0], self.chain.pi[0]
        states = paths.sample(A, pi, length, count, generator=generator)
        drawn = self.emission.sample(self.chain.emission, states, generator)
        return drawn.cpu().numpy(), states.cpu().numpy()

    def _data(self, x: np.ndarray, lengths: Sequence[int] | None) -> Data:
        given, found = self.prepare(x, lengths)
        where = self.chain.A.device
        return lay_out(torch.as_tensor(given, dtype=torch.float64, device=where), found,
                       self.emission)  # fmt: skip
