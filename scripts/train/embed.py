"""Embeddings before training: pieces that translate each other get similar vectors.

embed.py DATA WIDTH       reads pairs.npz and links.txt, writes DATA/embeddings.npy and DATA/prior.npy

A piece is described by what it is linked to in the other language, by itself, and a little by its neighbours, each as
positive pointwise mutual information. The leading eigenvectors of that symmetric matrix are the embeddings: the
product of two of them approximates log p(target | source) / p(target), which is what the output layer has to compute.
Most pieces are too rare for a short training to place them, so the counts do it. The prior is log p(target), for the
bias of the output layer.
"""
import pathlib
import sys

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import eigsh

SELF, NEIGHBOUR = 3.0, 0.3
SMOOTH = 0.75


def linked_counts(pairs, links_path, size):
    """How often each source piece is linked to each target piece; the pieces of linked units share one count."""
    rows, columns, values = [], [], []
    source, s_off, s_unit = pairs["source"], pairs["source_offsets"], pairs["source_units"]
    target, t_off, t_unit = pairs["target"], pairs["target_offsets"], pairs["target_units"]
    for n, line in enumerate(links_path.open()):
        links = line.split()
        if not links:
            continue
        x, xu = source[s_off[n]:s_off[n + 1]].tolist(), s_unit[s_off[n]:s_off[n + 1]].tolist()
        y, yu = target[t_off[n]:t_off[n + 1]].tolist(), t_unit[t_off[n]:t_off[n + 1]].tolist()
        xs, ys = {}, {}
        for piece, unit in zip(x, xu):
            xs.setdefault(unit, []).append(piece)
        for piece, unit in zip(y, yu):
            ys.setdefault(unit, []).append(piece)
        for link in links:
            i, j = map(int, link.split("-"))
            a, b = xs.get(i, ()), ys.get(j, ())
            for p, piece in enumerate(a):
                for q, other in enumerate(b):
                    rows.append(piece)
                    columns.append(other)
                    values.append(1 / max(len(a), len(b)))
    return sparse.coo_matrix((values, (rows, columns)), (size, size)).tocsr()


def neighbour_counts(flat, offsets, size):
    """Pieces one or two places apart in the same sentence."""
    sentence = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    total = sparse.csr_matrix((size, size))
    for gap in (1, 2):
        same = sentence[gap:] == sentence[:-gap]
        a, b = flat[:-gap][same].astype(np.int64), flat[gap:][same].astype(np.int64)
        total = total + sparse.coo_matrix((np.full(len(a), 1 / gap), (a, b)), (size, size)).tocsr()
    return total + total.T


def positive_information(counts):
    """max(0, log p(a, b) / p(a) p(b)), with the marginals of rare pieces smoothed upwards."""
    counts = counts.tocoo()
    total = counts.data.sum()
    left = np.bincount(counts.row, counts.data, counts.shape[0]) + 0.5
    right = np.bincount(counts.col, counts.data, counts.shape[1]) + 0.5
    right = right**SMOOTH * (total / (right**SMOOTH).sum())
    value = np.log(np.maximum(counts.data, 1e-9) * total / (left[counts.row] * right[counts.col]))
    keep = (value > 0) & (counts.data >= 0.3)
    return sparse.coo_matrix((value[keep], (counts.row[keep], counts.col[keep])), counts.shape).tocsr()


def main():
    data, width = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    import sentencepiece as spm

    size = spm.SentencePieceProcessor(model_file=str(data / "spm.model")).get_piece_size()
    pairs = dict(np.load(data / "pairs.npz"))
    cross = positive_information(linked_counts(pairs, data / "links.txt", size))
    near = sum(positive_information(neighbour_counts(pairs[s], pairs[s + "_offsets"], size)) for s in ("source", "target"))
    matrix = cross + cross.T + NEIGHBOUR * (near + near.T) / 2 + SELF * sparse.eye(size)
    # Without this scaling the few directions of the most frequent pieces take up the whole width.
    degree = np.asarray(abs(matrix).sum(1)).ravel() ** -0.25
    matrix = sparse.diags(degree) @ matrix @ sparse.diags(degree)
    values, vectors = eigsh(matrix.astype(np.float32), k=width, which="LA", tol=1e-2)
    vectors = vectors * np.sqrt(np.maximum(values, 0))
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    random = np.random.default_rng(1).normal(size=vectors.shape) * width**-0.5
    vectors = np.where(norm > 1e-3, vectors / np.maximum(norm, 1e-3), random)
    # A random rotation spreads the information over all heads and dimensions alike.
    rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(width, width)))
    np.save(data / "embeddings.npy", (vectors @ rotation).astype(np.float32))
    seen = np.bincount(pairs["target"], np.repeat(pairs["weights"], np.diff(pairs["target_offsets"])), size)
    np.save(data / "prior.npy", np.where(seen > 0, np.log((seen + 0.1) / seen.sum()), -np.inf).astype(np.float32))
    print(f"{matrix.nnz} associations, eigenvalues {values.max():.2f} to {values.min():.2f}")


if __name__ == "__main__":
    main()
