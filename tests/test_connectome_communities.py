"""The block model scores partitions exactly, finds planted ones and says how sure it is."""

import itertools
import sys

import numpy as np
import pytest
from scipy.special import betaln, gammaln

from rheobase.models.connectome import sbm_backends
from rheobase.models.connectome.communities import (
    communities,
    consensus_partition,
    node_confidence,
    partition_score,
)
from rheobase.models.connectome.sbm_chains import Chains
from rheobase.models.connectome.sbm_model import block_model, block_sums, rescaled, score
from rheobase.models.connectome.sbm_search import merge_tree, search

VARIANTS = [(kind, dc) for kind in ("exponential", "log-normal") for dc in (False, True)]


def planted(mu, *, blocks=5, size=30, outside=0.3, seed=0):
    """Return weights drawn once above the diagonal, (N, N), and their blocks."""
    truth = np.repeat(np.arange(blocks), size)
    mean = np.where(truth[:, None] == truth, mu, outside)
    upper = np.triu(np.random.default_rng(seed).exponential(mean), 1)
    return upper + upper.T, truth


def sparse(rng, *, nodes=6, density=0.8):
    upper = np.triu(rng.exponential(1, (nodes, nodes)) * (rng.random((nodes, nodes)) < density), 1)
    return upper + upper.T


def adjusted_rand(a, b):
    def pairs(x):
        return (x * (x - 1) / 2).sum()

    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)
    rows, columns = pairs(table.sum(1)), pairs(table.sum(0))
    expected = rows * columns / (len(a) * (len(a) - 1) / 2)
    return (pairs(table) - expected) / ((rows + columns) / 2 - expected)


def partitions(nodes):
    """Yield every partition of the nodes once, as labels."""
    for labels in itertools.product(range(nodes), repeat=nodes):
        if all(label <= max(labels[:i], default=-1) + 1 for i, label in enumerate(labels)):
            yield np.array(labels)


def spelled_out(weights, labels, kind, degree_corrected):
    """Return L with each pair of blocks written out."""
    n = len(weights)
    iu = np.triu_indices(n, 1)
    w = weights / weights[iu][weights[iu] > 0].mean()
    total = 0.0
    if degree_corrected:
        theta = w.sum(1) / w.sum(1).mean()
        scale = np.outer(theta, theta)
        total -= np.log(scale[iu][w[iu] > 0]).sum() + n / 2 * np.log(n)
        w = w / scale
    positive = w[iu][w[iu] > 0]
    logs = np.log(positive)
    if kind == "log-normal":
        total -= logs.sum() + len(logs) * np.log(logs.std())
    for a, b in itertools.combinations_with_replacement(np.unique(labels), 2):
        here = [w[i, j] for i, j in zip(*iu, strict=True) if {labels[i], labels[j]} == {a, b}]
        x = np.array([v for v in here if v > 0])
        m = len(x)
        total += betaln(1 + m, 1 + len(here) - m)
        if kind == "exponential":
            beta = positive.mean()
            total += np.log(beta) + gammaln(1 + m) - (1 + m) * np.log(beta + x.sum())
        elif m:
            y = (np.log(x) - logs.mean()) / logs.std()
            kappa, shape = 0.1 + m, 1 + m / 2
            rate = 0.5 + 0.5 * ((y - y.mean()) ** 2).sum() + 0.1 * m * y.mean() ** 2 / (2 * kappa)
            total += gammaln(shape) - gammaln(1) + np.log(0.5) - shape * np.log(rate)
            total += 0.5 * np.log(0.1 / kappa) - m / 2 * np.log(2 * np.pi)
    sizes = np.unique(labels, return_counts=True)[1]
    blocks = len(sizes)
    total -= gammaln(n) - gammaln(blocks) - gammaln(n - blocks + 1)
    return total - gammaln(n + 1) + gammaln(sizes + 1).sum() - np.log(n)


@pytest.mark.parametrize(("kind", "dc"), VARIANTS)
def test_score_and_search_equal_all_partitions_of_six_nodes(kind, dc):
    weights = sparse(np.random.default_rng(3))
    weights[:3, :3] *= 9
    best = -np.inf
    for labels in partitions(6):
        expected = spelled_out(weights, labels, kind, dc)
        made = partition_score(weights, labels, kind=kind, degree_corrected=dc)
        assert made == pytest.approx(expected, abs=1e-8)
        best = max(best, expected)
    degrees = "yes" if dc else "no"
    found = communities(weights, kind=kind, degree_correction=degrees, sweeps=20)
    assert found.score == pytest.approx(best, abs=1e-8)


@pytest.mark.parametrize(("kind", "dc"), VARIANTS)
def test_running_sums_equal_a_full_count(kind, dc):
    rng = np.random.default_rng(1)
    model = block_model(
        rescaled(sparse(rng, nodes=20, density=0.5)), kind=kind, degree_corrected=dc
    )
    chains = Chains(model, rng.integers(5, size=(4, 20)), slots=7)
    before = chains.scores()
    for _ in range(5):
        chains.wander(rng)
    chains.climb(rng.permutation(20))
    to_block, sums = block_sums(model, chains.labels, 7)
    np.testing.assert_allclose(chains.to_block, to_block, atol=1e-9)
    np.testing.assert_allclose(chains.sums, sums, atol=1e-9)
    again = [score(model, one) for one in chains.labels]
    np.testing.assert_allclose(chains.scores(), again, atol=1e-8)
    assert (chains.scores() != before).all()


@pytest.mark.parametrize(("kind", "dc"), VARIANTS)
def test_gain_of_a_move_equals_the_difference_of_scores(kind, dc):
    rng = np.random.default_rng(2)
    model = block_model(
        rescaled(sparse(rng, nodes=12, density=0.6)), kind=kind, degree_corrected=dc
    )
    labels = np.stack([rng.integers(3, size=12), np.r_[2, rng.integers(2, size=11)]])
    for node in (0, 5):
        gain = Chains(model, labels, slots=4).lift(node)[0]
        for c, slot in itertools.product(range(2), range(4)):
            moved = labels[c].copy()
            moved[node] = slot
            difference = score(model, moved) - score(model, labels[c])
            assert gain[c, slot] - gain[c, labels[c, node]] == pytest.approx(difference, abs=1e-8)


def test_hard_planted_blocks_are_described_at_least_as_well_as_the_truth():
    weights, truth = planted(0.6)
    found = communities(weights, degree_correction="no", sweeps=20)
    assert found.score >= partition_score(weights, truth)
    assert found.blocks == 5
    assert adjusted_rand(found.labels, truth) > 0.85


@pytest.mark.parametrize("top_frac", [1.0, 0.3])
def test_planted_blocks_are_found(top_frac):
    weights, truth = planted(0.9)
    found = communities(weights, top_frac=top_frac, degree_correction="no")
    assert found.blocks == 5
    assert adjusted_rand(found.labels, truth) == 1
    assert adjusted_rand(found.consensus, truth) == 1
    same = truth[:, None] == truth
    assert found.co_assignment[same].mean() > 0.95
    assert found.co_assignment[~same].mean() < 0.02
    assert found.mean_weights.diagonal().min() > 1.5 * found.mean_weights[0, 1]


def test_noise_is_one_block():
    weights, _ = planted(0.3, size=10)
    found = communities(weights)
    assert found.blocks == 1
    assert found.score == found.single_score == found.level_scores[0]


@pytest.mark.parametrize("seed", range(4))
def test_score_is_never_below_the_single_block_or_a_start(seed):
    rng = np.random.default_rng(seed)
    weights = sparse(rng, nodes=25, density=0.4)
    start = rng.integers(3, size=25)
    start[:12] = 0
    weights[:12, :12] *= 1 + 5 * (seed % 2)
    found = communities(weights, starts=[start], degree_correction="no", seed=seed, sweeps=20)
    assert found.score >= found.single_score - 1e-9
    assert found.score >= partition_score(weights, start) - 1e-9
    assert found.single_score == pytest.approx(partition_score(weights, np.zeros(25, int)))


def test_supplied_start_is_kept_where_nothing_improves_it(monkeypatch):
    weights, truth = planted(0.9, size=10)
    graph = rescaled(weights)
    model = block_model(graph, kind="exponential", degree_corrected=False)
    worse = np.zeros((1, len(graph)), dtype=int)
    monkeypatch.setattr(
        "rheobase.models.connectome.sbm_search.improve", lambda *_, **__: worse.copy()
    )
    found = search(model, graph, rng=np.random.default_rng(0), starts=[truth])
    assert score(model, found) >= score(model, truth)


def test_seed_decides_the_result():
    weights, _ = planted(0.9, blocks=3, size=6)
    first, again, other = (communities(weights, seed=s, sweeps=40) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.co_assignment, again.co_assignment)
    assert (first.co_assignment != other.co_assignment).any()


def test_permuted_nodes_have_the_permuted_partitions_score():
    weights, _ = planted(3, size=8)
    order = np.random.default_rng(0).permutation(40)
    found = communities(weights, sweeps=20)
    moved = communities(weights[np.ix_(order, order)], sweeps=20)
    assert found.blocks == 5
    assert moved.score == pytest.approx(found.score, abs=1e-8)
    assert adjusted_rand(moved.labels, found.labels[order]) == 1


def test_levels_are_nested_from_the_partition_to_one_block():
    weights, _ = planted(3, size=8)
    found = communities(weights, sweeps=20)
    np.testing.assert_array_equal(found.levels[0], found.labels)
    assert [level.max() + 1 for level in found.levels] == [5, 4, 3, 2, 1]
    for fine, coarse in itertools.pairwise(found.levels):
        assert all(len(np.unique(coarse[fine == b])) == 1 for b in np.unique(fine))
    scores = [partition_score(weights, level) for level in found.levels]
    np.testing.assert_allclose(found.level_scores, scores, atol=1e-8)


def test_each_level_is_the_best_merge():
    weights, _ = planted(0.9, size=6, blocks=4)
    model = block_model(rescaled(weights), kind="log-normal", degree_corrected=False)
    levels, values = merge_tree(model, np.repeat(np.arange(4), 6))
    joined = [
        np.where(levels[0] == b, a, levels[0]) for a, b in itertools.combinations(range(4), 2)
    ]
    assert values[1] == pytest.approx(max(score(model, one) for one in joined), abs=1e-8)


def test_metropolis_samples_the_posterior_of_all_partitions():
    weights = sparse(np.random.default_rng(5), nodes=5)
    found = communities(weights, degree_correction="no", sweeps=20000)
    every = list(partitions(5))
    # A partition stands for B! labelled ones of the prior.
    logs = np.array([partition_score(weights, z) + gammaln(z.max() + 2) for z in every])
    weight = np.exp(logs - logs.max())
    exact = sum(w * (z[:, None] == z) for w, z in zip(weight, every, strict=True)) / weight.sum()
    np.testing.assert_allclose(found.co_assignment, exact, atol=0.03)
    assert 0.05 < exact[0, 1:].mean() < 0.95


def test_ambiguous_node_is_the_least_sure():
    rng = np.random.default_rng(0)
    upper = np.triu(rng.exponential(0.2, (41, 41)), 1)
    upper[:20, :20] = upper[20:40, 20:40] = np.triu(rng.exponential(1, (20, 20)), 1)
    upper[:20, 40] = upper[20:40, 40] = rng.exponential(0.5, 20)
    found = communities(upper + upper.T, degree_correction="no")
    assert found.confidence.argmin() == 40
    assert found.confidence[40] < 0.7 < 0.9 < np.median(found.confidence[:40])


def test_consensus_and_confidence_of_known_probabilities():
    together = np.array([[1, 0.9, 0.2], [0.9, 1, 0.1], [0.2, 0.1, 1]])
    labels = consensus_partition(together)
    np.testing.assert_array_equal(labels, [0, 0, 1])
    np.testing.assert_allclose(node_confidence(together, labels), [0.9, 0.9, 0.8])


def test_shorter_of_the_degree_corrections_is_kept():
    rng = np.random.default_rng(0)
    strength = rng.gamma(0.5, 2, 60) + 0.05
    upper = np.triu(rng.exponential(np.outer(strength, strength)), 1)
    weights = upper + upper.T
    plain, corrected, shorter = (
        communities(weights, degree_correction=d, sweeps=20) for d in ("no", "yes", "shorter")
    )
    assert shorter.score == max(plain.score, corrected.score)
    assert shorter.degree_corrected
    assert corrected.blocks < plain.blocks


def test_kinds_are_compared_by_their_descriptions():
    rng = np.random.default_rng(0)
    normal = np.triu(rng.lognormal(0, 0.2, (30, 30)), 1)
    exponential = np.triu(rng.exponential(1, (30, 30)), 1)
    for upper, kind in ((normal, "log-normal"), (exponential, "exponential")):
        assert communities(upper + upper.T, kind="shorter", sweeps=20).kind == kind


@pytest.mark.parametrize("kind", ["exponential", "log-normal", "shorter"])
@pytest.mark.parametrize(
    "weights",
    [np.ones((2, 2)), np.zeros((2, 2)), np.zeros((7, 7)), np.ones((9, 9))],
    ids=["two", "two silent", "no edges", "equal"],
)
def test_smallest_and_flat_graphs_have_one_block(weights, kind):
    found = communities(weights, kind=kind, sweeps=20)
    assert found.blocks == 1
    assert np.isfinite(found.score)
    assert np.isfinite(found.confidence).all()


def test_isolated_nodes_are_apart_from_a_dense_core():
    weights = np.zeros((30, 30))
    weights[:15, :15] = planted(1, blocks=1, size=15)[0]
    for degrees in ("no", "yes"):
        found = communities(weights, degree_correction=degrees, sweeps=20)
        assert adjusted_rand(found.labels, np.repeat([0, 1], 15)) == 1


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda w: w.__setitem__((0, 1), np.nan), "NaN"),
        (lambda w: w.__setitem__((0, 1), -1), "negative"),
        (lambda w: w.__setitem__((0, 1), 7), "not symmetric"),
    ],
)
def test_impossible_weights_are_refused(spoil, words):
    weights = np.ones((4, 4))
    spoil(weights)
    with pytest.raises(ValueError, match=words):
        communities(weights)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "poisson"}, "kind is 'poisson'"),
        ({"degree_correction": "maybe"}, "degree_correction is 'maybe'"),
        ({"backend": "infomap"}, "backend is 'infomap'"),
        ({"top_frac": 0.0}, "top_frac is 0.0"),
        ({"sweeps": 0}, "sweeps is 0"),
        ({"starts": [np.zeros(3)]}, "a partition is"),
    ],
)
def test_impossible_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        communities(np.ones((4, 4)), **arguments)
    with pytest.raises(ValueError, match="must be"):
        communities(np.ones((4, 3)))


def test_top_fraction_keeps_the_largest_pairs():
    graph = rescaled(np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0.0]]), top_frac=2 / 3)
    np.testing.assert_allclose(graph, np.array([[0, 0, 0.8], [0, 0, 1.2], [0.8, 1.2, 0]]))


def test_missing_backends_are_named(monkeypatch):
    monkeypatch.setattr(sbm_backends, "SYSTEM_PYTHONS", ("no-such-python",))
    with pytest.raises(RuntimeError, match="python3-graph-tool"):
        communities(np.ones((4, 4)), backend="graph_tool")
    monkeypatch.setitem(sys.modules, "graspologic_native", None)
    with pytest.raises(RuntimeError, match=r"pip install 'rheobase\[leiden\]'"):
        communities(np.ones((4, 4)), backend="leiden")


STAND_IN = """
import types, sys
import numpy as np
def seed_rng(seed): pass
class Graph:
    def __init__(self, directed): assert not directed
    def add_vertex(self, n): self.n = n
    def add_edge_list(self, edges): self.edges = edges
    def new_edge_property(self, kind): return types.SimpleNamespace()
def minimise(graph, state_args):
    assert len(graph.edges) == len(state_args["recs"][0].a) == 45, "edges enter once"
    assert state_args["rec_types"] == ["real-exponential"]
    blocks = np.arange(graph.n) // 5 + 3
    level = types.SimpleNamespace(get_blocks=lambda: blocks)
    return types.SimpleNamespace(get_levels=lambda: [level])
inference = types.ModuleType("graph_tool.inference")
inference.minimize_nested_blockmodel_dl = minimise
sys.modules["graph_tool.inference"] = inference
"""


def test_graph_tool_runs_as_a_program_of_its_own(monkeypatch, tmp_path):
    (tmp_path / "graph_tool.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sbm_backends, "SYSTEM_PYTHONS", (sys.executable,))
    weights, _ = planted(0.5, blocks=2, size=5)
    found = communities(weights, backend="graph_tool", degree_correction="no", sweeps=20)
    np.testing.assert_array_equal(found.labels, np.repeat([0, 1], 5))
    with pytest.raises(RuntimeError, match="edges enter once"):
        communities(planted(1, blocks=1, size=4)[0], backend="graph_tool")


def test_leiden_finds_planted_blocks():
    pytest.importorskip("graspologic_native")
    weights, truth = planted(0.9)
    found = communities(weights, backend="leiden", sweeps=20)
    assert adjusted_rand(found.labels, truth) == 1
    assert communities(np.zeros((3, 3)), backend="leiden", sweeps=20).blocks == 3
