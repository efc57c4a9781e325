"""The recursion of membranes over steps, forward and backward, in place and a chunk at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from rheobase.models.spiking.cells import Cell


def _scalar(value: Tensor | float, like: Tensor) -> Tensor:
    """Return a number as a tensor: every step would otherwise make it one anew."""
    return value if isinstance(value, Tensor) else like.new_tensor(value)


class Forward:
    """Runs membranes forward from rest, chunk after chunk."""

    def __init__(
        self, cell: Cell, beta: Tensor | float, recurrent: Tensor | None, like: Tensor
    ) -> None:
        self.cell, self.recurrent = cell, recurrent
        self.beta, self.theta = _scalar(beta, like), _scalar(cell.theta, like)
        self.h: Tensor | None = None
        self.s: Tensor | None = None
        self.scratch = torch.empty_like(like)
        self.current = torch.zeros_like(like) if cell.synapse else None
        self.a = torch.zeros_like(like) if cell.kappa else None

    def advance(self, h: Tensor, s: Tensor, thresholds: Tensor | None) -> None:
        """Turn drives in ``h`` (step, example, unit) into membranes, and write the spikes."""
        over = thresholds.unbind(0) if thresholds is not None else (self.theta,) * len(h)
        for now, spikes, threshold in zip(h.unbind(0), s.unbind(0), over, strict=True):
            if self.recurrent is not None and self.s is not None:
                now.addmm_(self.s, self.recurrent.T)
            if self.current is not None:
                self.current.mul_(self.cell.synapse).add_(now)
                now.copy_(self.current)
            if self.h is not None and self.s is not None:
                self._carry(now, self.h, self.s)
            if self.a is not None:
                self._adapt(threshold)
            self.cell.fire(now, threshold, out=spikes)
            self.h, self.s = now, spikes

    def _carry(self, now: Tensor, h: Tensor, s: Tensor) -> None:
        """Add what the last step leaves; the order of roundings is that of snnTorch."""
        cell, kept = self.cell, self.scratch
        if cell.reset == "subtract":
            torch.sub(h, s, alpha=cell.theta, out=kept)
            kept.mul_(self.beta)
        elif cell.reset == "zero":
            torch.addcmul(h, h, s, value=-1, out=kept)
            kept.add_(s, alpha=cell.rest).mul_(self.beta)
        else:
            torch.mul(h, self.beta, out=kept)
        now.add_(kept)
        if cell.reset == "delayed":
            now.sub_(s if cell.theta == 1 else s * self.theta)

    def _adapt(self, threshold: Tensor) -> None:
        assert self.a is not None
        self.a.mul_(self.cell.rho)
        if self.s is not None:
            self.a.add_(self.s)
        torch.mul(self.a, self.cell.kappa, out=threshold)
        threshold.add_(self.cell.theta)


class Backward:
    """Runs gradients back from the last step, chunk before chunk."""

    def __init__(
        self, cell: Cell, beta: Tensor | float, recurrent: Tensor | None, h: Tensor,
        thresholds: Tensor | None, *, learn_beta: bool,
    ) -> None:  # fmt: skip
        self.cell, self.beta, self.recurrent = cell, beta, recurrent
        self.h, self.thresholds = h, thresholds
        self.after: Tensor | None = None
        """Gradient of the membrane one step later"""
        self.current: Tensor | None = None
        """Gradient of the synaptic current one step later"""
        self.adapted: Tensor | None = None
        """Gradient of the adaptation one step later"""
        self.to_beta = torch.zeros_like(beta) if isinstance(beta, Tensor) and learn_beta else None
        self.to_recurrent = None if recurrent is None else torch.zeros_like(recurrent)

    def retreat(self, grad: Tensor, part: slice) -> Tensor:
        """Return the gradient of the drives of a chunk from that of its spikes."""
        h = self.h[part]
        over = self.cell.theta if self.thresholds is None else self.thresholds[part]
        slope = self.cell.slope(h, over)
        if self.cell.linear_backward and self.recurrent is None:
            to_h = self._linear(slope.mul_(grad), h, over)
        else:
            to_h = self._coupled(slope, grad, h, over)
        if self.to_beta is not None:
            self._add_beta(self.to_beta, to_h, part)
        self.after = to_h[0].clone()
        to_drive = self._through_synapse(to_h)
        if self.to_recurrent is not None:
            later, s = self._later(to_drive, part), self._earlier_spikes(part)
            self.to_recurrent.addmm_(later.flatten(0, 1).T, s.flatten(0, 1))
        return to_drive

    def _linear(self, to_h: Tensor, h: Tensor, over: Tensor | float) -> Tensor:
        """Run ``g[t] += c[t] g[t+1]``, c being the decay, 0 after a spike that resets to rest."""
        kept = self._kept(h, over) if self.cell.reset == "zero" else None
        for step in range(len(to_h) - 1, -1, -1):
            if self.after is not None:
                self._decay(to_h[step], self.after, None if kept is None else kept[step])
            self.after = to_h[step]
        return to_h

    def _decay(self, now: Tensor, after: Tensor, kept: Tensor | None) -> None:
        if kept is not None:
            now.addcmul_(after, kept)
        elif isinstance(self.beta, Tensor):
            now.addcmul_(after, self.beta)
        else:
            now.add_(after, alpha=self.beta)

    def _kept(self, h: Tensor, over: Tensor | float) -> Tensor:
        return (1 - self.cell.fire(h, over)).mul_(self.beta)

    def _coupled(self, slope: Tensor, grad: Tensor, h: Tensor, over: Tensor | float) -> Tensor:
        """Run the recursion in which later steps also act on earlier spikes."""
        kept = self._kept(h, over) if self.cell.reset == "zero" else None
        current = self.current
        for step in range(len(slope) - 1, -1, -1):
            now = slope[step].mul_(self._to_spike(grad[step], h[step], current))
            if self.cell.kappa:
                earlier = 0 if self.adapted is None else self.adapted * self.cell.rho
                self.adapted = earlier - self.cell.kappa * now
            if self.after is not None:
                self._decay(now, self.after, None if kept is None else kept[step])
            self.after = now
            current = now if current is None else now + self.cell.synapse * current
        return slope

    def _to_spike(self, grad: Tensor, h: Tensor, current: Tensor | None) -> Tensor:
        """Return a step's gradient of spikes: what layers above ask, and what later steps do."""
        cell, after = self.cell, self.after
        if self.adapted is not None:
            grad = grad + self.adapted
        if self.recurrent is not None and current is not None:
            grad = grad + current @ self.recurrent
        if after is None or cell.detach_reset or cell.reset == "none":
            return grad
        if cell.reset == "delayed":
            return grad - cell.theta * after
        jump = -cell.theta if cell.reset == "subtract" else cell.rest - h
        return grad + jump * self.beta * after

    def _through_synapse(self, to_h: Tensor) -> Tensor:
        """Return the gradient of drives, ``g[t] += synapse g[t+1]``, in place."""
        if self.cell.synapse:
            for step in range(len(to_h) - 1, -1, -1):
                if self.current is not None:
                    to_h[step].add_(self.current, alpha=self.cell.synapse)
                self.current = to_h[step]
        self.current = to_h[0].clone() if self._needs_current else None
        return to_h

    @property
    def _needs_current(self) -> bool:
        return bool(self.cell.synapse) or self.recurrent is not None

    def _add_beta(self, total: Tensor, to_h: Tensor, part: slice) -> None:
        """Add ``sum g[t] carry[t-1] / beta`` of a chunk."""
        h, s = self.h[self._earlier(part)], self._earlier_spikes(part)
        if self.cell.reset == "subtract":
            h = h - self.cell.theta * s
        elif self.cell.reset == "zero":
            h = torch.where(s > 0, self.cell.rest, h)
        product = self._later(to_h, part) * h
        total.add_(product.sum((0, 1)) if total.dim() else product.sum())

    def _earlier_spikes(self, part: slice) -> Tensor:
        earlier = self._earlier(part)
        over = self.cell.theta if self.thresholds is None else self.thresholds[earlier]
        return self.cell.fire(self.h[earlier], over)

    @staticmethod
    def _earlier(part: slice) -> slice:
        return slice(max(part.start - 1, 0), part.stop - 1)

    @staticmethod
    def _later(grad: Tensor, part: slice) -> Tensor:
        return grad if part.start else grad[1:]
