"""Reservoirs do exactly what is written: weights, rates, batches, seeds, and no look ahead."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from rheobase.models.reservoir import folds, protocol, scores, search, tasks
from rheobase.models.reservoir.adaptation import adapt
from rheobase.models.reservoir.batched import BatchedReservoir
from rheobase.models.reservoir.diagnose import diagnose
from rheobase.models.reservoir.estimators import ReservoirClassifier, ReservoirRegressor
from rheobase.models.reservoir.settings import ITERATIVE, Adapt, Network, Target
from rheobase.models.reservoir.wiring import balanced_rows

pytestmark = pytest.mark.slow
FAMILY = "reservoir"
SEEDS = tuple(range(10))
TARGETS = {".3": Target("homogeneous", 0.3), ".5": Target("homogeneous", 0.5), "Beta": Target()}


def uniform(seed, length=3000):
    return np.random.default_rng(1000 + seed).uniform(-1, 1, length)


def test_balance_is_exact(criterion):
    worst = 0.0
    for topology in ("er", "fixed"):
        networks = [Network(topology=topology, balance=b) for b in (0.5, 0.0, -0.3, -2.0, 1.0)]
        many = BatchedReservoir(networks, SEEDS[:3], channels=1)
        for s in range(3):
            for m, network in enumerate(networks):
                realised = balanced_rows(many.weights[s], many.inhibitory(s, m)).mean()
                worst = max(worst, abs(realised - network.balance))
    criterion(
        "A1", "realised less requested balance, largest", "1e-6", worst, worst < 1e-6, seeds=3
    )


def test_signs_and_pattern_survive_adaptation(criterion):
    ways = [Adapt(method="iterative", target=t, schedule=ITERATIVE) for t in TARGETS.values()]
    ways += [Adapt(target=t) for t in TARGETS.values()]
    many = BatchedReservoir([Network(input_scale=0.5)] * len(ways), SEEDS[:3], channels=1)
    report = adapt(many, uniform(0), ways)
    held = [many.inhibitory(s, m) for s in range(3) for m in range(len(ways))]
    before = [many.weights[s].inh for s in range(3) for _ in ways]
    lowest = min(one.data.min() for one in held)
    same = all(np.array_equal(a.indices, b.indices) and np.array_equal(a.indptr, b.indptr)
               for a, b in zip(held, before, strict=True))  # fmt: skip
    criterion("A2", f"smallest inhibitory weight and pattern kept ({report.cut.max():.2%} cut)",
              "0, True", [float(lowest), same], lowest >= 0 and same, seeds=3)  # fmt: skip


@pytest.mark.parametrize(("scale", "limit"), [(0.05, 0.004), (0.5, 0.02)])
def test_targets_are_reached(scale, limit, criterion):
    missed = []
    for seed in SEEDS:
        many = BatchedReservoir([Network(input_scale=scale)] * 3, [seed], channels=1)
        u = uniform(seed)
        report = adapt(many, u[:1500], [Adapt(target=target) for target in TARGETS.values()])
        found = diagnose(many, u[1500:], targets=report.targets, start=many.state, washout=0)
        missed.append(found.missed[0])
    worst = np.mean(missed, axis=0)
    criterion(f"A3-{scale:g}", f"mean distance from targets {list(TARGETS)}, input {scale:g}",
              str(limit), worst.round(4).tolist(), worst.max() < limit,
              seeds=len(SEEDS))  # fmt: skip


def test_oscillation_is_found_where_it_is(criterion):
    low, middle = (Target("homogeneous", r, allow_oscillation=True) for r in (0.15, 0.3))
    ways = [Adapt(target=low), Adapt(target=middle), None]
    found = []
    for seed in SEEDS:
        u = uniform(seed)
        many = BatchedReservoir([Network(input_scale=0.05)] * 3, [seed], channels=1)
        adapt(many, u[:1500], ways)
        fixed = Network(input_scale=0.05, topology="fixed", balance=-1)
        other = BatchedReservoir([fixed], [seed], channels=1)
        own = diagnose(many, u[1500:], start=many.state).oscillation[0]
        found.append([*own, diagnose(other, u[1500:]).oscillation[0, 0]])
    p2 = np.array(found)
    mean = p2.mean(axis=0)
    passed = mean[[0, 3]].min() > 0.05 and mean[[1, 2]].max() < 0.02
    span = [f"{low:.3f} to {high:.3f}" for low, high in zip(p2.min(0), p2.max(0), strict=True)]
    criterion("A12", "P2 at rate .15, rate .3, beta 0, fixed in-degree at beta -1, mean over seeds "
              f"(seeds reach from {', '.join(span)})", "above .05, below .02, below .02, above .05",
              mean.round(3).tolist(), passed, seeds=len(SEEDS))  # fmt: skip


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_implicit_and_explicit_adaptation_agree(dtype, limit, criterion):
    differ = 0.0
    for seed in SEEDS[:3]:
        made = []
        for mode in ("implicit", "explicit"):
            many = BatchedReservoir(
                [Network(input_scale=0.05)] * 3, [seed], channels=1, dtype=dtype
            )
            report = adapt(many, uniform(seed), [Adapt(target=t) for t in TARGETS.values()],
                           mode=mode)  # fmt: skip
            assert report.cut.max() == 0
            assert report.mode == mode
            made.append([many.inhibitory(0, m) for m in range(3)])
        differ = max(differ, *(abs(a - b).max() for a, b in zip(*made, strict=True)))
    criterion(f"A13-{str(dtype)[6:]}", "largest difference of weights, no synapse cut",
              f"{limit:g}", float(differ), differ < limit, seeds=3)  # fmt: skip


def test_one_step_is_enough_for_small_inputs(criterion):
    missed = []
    for seed in SEEDS:
        many = BatchedReservoir([Network(input_scale=0.05)], [seed], channels=1)
        u = uniform(seed)
        report = adapt(many, u[:1500], [Adapt(method="one_step", target=TARGETS[".5"])])
        missed.append(diagnose(many, u[1500:], targets=report.targets, washout=100).missed[0, 0])
    mean = float(np.mean(missed))
    criterion("A14", "mean distance from rate .5 after one step, input .05", "0.003",
              round(mean, 5), mean < 0.003, seeds=len(SEEDS))  # fmt: skip


def test_a_batch_is_its_columns(criterion):
    networks = [Network(balance=-0.02 * i, input_scale=0.05 * (1 + i % 5)) for i in range(40)]
    u = uniform(0, 200)
    together = BatchedReservoir(networks, [0], channels=1).states(u)
    alone = [BatchedReservoir([one], [0], channels=1).states(u)[:, 0] for one in networks]
    differ = float(np.abs(np.stack(alone, axis=1) - together).max())
    criterion("A15", "a batch of 40 beside single runs, largest difference in 200 steps", "1e-5",
              differ, differ < 1e-5)  # fmt: skip


def test_the_same_seed_gives_the_same_bits(criterion):
    def once():
        networks = [Network(input_scale=0.05, balance=b) for b in (0, -0.25)] * 10
        return protocol.reservoirs(networks, [None, Adapt()] * 10, tasks.narma10, seeds=(0,),
                                   judge=scores.nrmse_of).scores  # fmt: skip

    differ = float(np.abs(once() - once()).max())
    criterion(
        "A17-cpu", "the same fit twice, largest difference of NRMSE", "0", differ, differ == 0
    )


@pytest.mark.gpu
def test_a_gpu_gives_the_same_errors(criterion):
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    networks = [Network(input_scale=0.05, balance=b) for b in (0, -0.25)]
    on = [protocol.reservoirs(networks, [None, Adapt()], tasks.narma10, seeds=(0, 1),
                              judge=scores.nrmse_of, device=device).scores
          for device in ("cpu", "cuda")]  # fmt: skip
    differ = float(np.abs(on[0] - on[1]).max())
    criterion("A17-cuda", "NRMSE on the GPU less that on the CPU", "1e-3", differ, differ < 1e-3,
              seeds=2)  # fmt: skip


def of_recordings(recordings, horizons):
    """Return inner folds of recordings, the targets being themselves so many samples ahead."""
    targets = []
    for x in recordings:
        ahead = [np.vstack([x[h:], np.full((h, x.shape[1]), np.nan)]) for h in horizons]
        targets.append(np.hstack(ahead))
    lengths = [len(x) for x in recordings]
    names = [str(number) for number in range(len(recordings))]
    made = folds.splits(lengths, names, folds=3, gap=100, least=100)
    return [folds.fold(split, recordings, targets, washout=50) for split in made]


def test_white_noise_is_not_forecast(criterion):
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=(3000, 2)) for _ in range(3)]
    alphas = (1e-3, 1e-1, 10.0)
    trials = [search.Trial(Network(n_units=200), Adapt()), search.Trial(Network(n_units=200))]
    errors = np.array([
        search.errors_of(trials, of_recordings(noise, (h,)), seeds=(0, 1), alphas=alphas)
        for h in (1, 2, 5, 10)
    ]).mean(axis=(2, 3))  # fmt: skip
    criterion("A20-noise", "NRMSE in white noise, smallest over horizons and penalties", "0.99",
              round(float(errors.min()), 4), errors.min() >= 0.99, seeds=2)  # fmt: skip


def test_no_forecast_beats_the_oracle(criterion):
    rng, horizon = np.random.default_rng(1), 2
    coupling = np.array([[0.8, 0.2, 0], [-0.2, 0.7, 0.1], [0, 0.1, 0.5]])
    runs = []
    for _ in range(4):
        x = np.zeros((3000, 3))
        for t in range(1, len(x)):
            x[t] = coupling @ x[t - 1] + rng.normal(size=3)
        runs.append(x)
    train, test = runs[:3], runs[3]
    pairs = [np.vstack([x[horizon:], x[-horizon:]]) for x in train]
    model = ReservoirRegressor(n_units=200, input_scale=0.2).fit(train, pairs)
    told = model.predict(test)[100:-horizon]
    truth, oracle = test[100 + horizon :], test[100:-horizon] @ (coupling @ coupling).T
    lost = ((truth - told) ** 2).mean(axis=1) - ((truth - oracle) ** 2).mean(axis=1)
    error = float(lost.std() / np.sqrt(len(lost) / 10))
    criterion("A20-oracle", "squared error less that of the oracle, VAR(1), 2 ahead",
              f"above -2 standard errors ({-2 * error:.4f})", round(float(lost.mean()), 4),
              lost.mean() > -2 * error)  # fmt: skip


def test_permuted_labels_are_not_told(criterion):
    rng, trials = np.random.default_rng(2), 120
    at = np.arange(150)
    truth = rng.permutation(np.repeat(["a", "b"], trials // 2))
    signals = [np.sin(at * (0.2 if c == "a" else 0.5) + rng.uniform(0, 6))
               + 0.3 * rng.normal(size=150) for c in truth]  # fmt: skip
    found = {}
    for name, labels in (("true", truth), ("permuted", rng.permutation(truth))):
        model = ReservoirClassifier(n_units=200).fit(signals[:60], labels[:60])
        found[name] = float(np.mean(model.predict(signals[60:]) == labels[60:]))
    low, high = (float(binom.ppf(q, 60, 0.5)) / 60 for q in (0.025, 0.975))
    criterion("A20-labels", "accuracy, labels permuted and true", f"{low:.2f} to {high:.2f}, above",
              [round(found["permuted"], 3), round(found["true"], 3)],
              low <= found["permuted"] <= high < found["true"])  # fmt: skip


def test_the_future_does_not_reach_the_past(criterion):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2000, 2))
    model = ReservoirRegressor(n_units=200).fit(x, np.roll(x, 3, axis=0))
    other = x.copy()
    other[1200:] = rng.normal(size=(800, 2))
    before, after = model.predict(x), model.predict(other)
    differ = float(np.abs(before[:1200] - after[:1200]).max())
    criterion("A20-future", "predictions before replaced samples, largest difference",
              "0", differ,
              differ == 0 and not np.array_equal(before[1200:], after[1200:]))  # fmt: skip
