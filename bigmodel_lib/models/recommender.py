"""Two recommenders: a table of learned vectors, and two networks that make the vectors.

Both score a pair of user u and item i as

    μ + b_u + b_i + p_u·q_i  -- Koren, Bell & Volinsky 2009, eq. 4, IEEE Computer 42(8), 30-37.

Matrix factorisation learns b and the vectors for each user and item that it has met. Two towers
compute them from features, so that they can score what nobody has rated.

Symbols: B batch, U users, I items, D width of p and q, F and G features.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Recommender(nn.Module):
    """What both have in common: from a bias and a vector of each side to the score.

    A subclass defines `users(ids)` and `items(ids)`, both (B,) → (B, 1 + D), the bias first, and
    `penalty(users, items)`.
    """

    def __init__(self, mean: float):
        super().__init__()
        self.register_buffer("mean", torch.tensor(float(mean)))

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores (B,) of the pairs (users[k], items[k]), each (B,) int64.

        Raises:
            ValueError: the two differ in shape.
        """
        if users.ndim != 1 or users.shape != items.shape:
            raise ValueError(
                f"need users and items (B,), got {tuple(users.shape)} and {tuple(items.shape)}"
            )
        u, i = self.users(users), self.items(items)
        return self.mean + u[:, 0] + i[:, 0] + (u[:, 1:] * i[:, 1:]).sum(dim=1)

    def scores(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores (B, C) of each of the users (B,) with each of the items (C,)."""
        u, i = self.users(users), self.items(items)
        return self.mean + u[:, :1] + i[:, 0] + u[:, 1:] @ i[:, 1:].T

    def penalty(self, users: Tensor, items: Tensor) -> Tensor:
        """Squared length (B,) of what was learned for these users and items alone."""
        raise TypeError(f"{type(self).__name__} must define penalty()")


class MatrixFactorisation(Recommender):
    """A bias and a vector for each user and item, looked up by number.

    Koren, Bell & Volinsky 2009, eq. 4. Biases start at 0 and vectors near 0: an item that is
    never met keeps such a vector and is scored μ + b_u, whatever it is.

    Args:
        users, items: how many, U and I.
        D: width of the vectors.
        mean: μ, the mean of the ratings to learn from.
    """

    def __init__(self, users: int, items: int, D: int, mean: float = 0.0):
        super().__init__(mean)
        self.user_table, self.item_table = nn.Embedding(users, 1 + D), nn.Embedding(items, 1 + D)
        for table in (self.user_table, self.item_table):
            # not 0: p = q = 0 is a saddle, where both gradients vanish
            nn.init.normal_(table.weight, std=0.1)
            nn.init.zeros_(table.weight[:, 0])

    def users(self, ids: Tensor) -> Tensor:
        """Numbers (B,) to b_u and p_u, (B, 1 + D)."""
        return self.user_table(ids)

    def items(self, ids: Tensor) -> Tensor:
        """Numbers (B,) to b_i and q_i, (B, 1 + D)."""
        return self.item_table(ids)

    def penalty(self, users: Tensor, items: Tensor) -> Tensor:
        """‖p_u‖² + ‖q_i‖² + b_u² + b_i², (B,) -- Koren et al. 2009, eq. 5."""
        return self.users(users).square().sum(dim=1) + self.items(items).square().sum(dim=1)


class TwoTowers(Recommender):
    """A network for each side makes bias and vector from features.

    The towers meet only in the dot product, so that the vectors of all items can be stored
    beforehand and searched -- Covington, Adams & Sargin 2016, RecSys; Yi et al. 2019, RecSys,
    doi:10.1145/3298689.3346996.

    Users also have a table, from zero: what the network can't see in their features is
    learned from their ratings. Items have one only if asked for; an item that is never met
    stays at zero there, and its features speak alone.

    Args:
        user_features: (U, F), kept with the model.
        item_features: (I, G), kept with the model.
        D: width of the vectors.
        hidden: width of each tower's hidden layer.
        item_table: learn something for each item, too.
        mean: μ, the mean of the ratings to learn from.
    """

    def __init__(
        self,
        user_features: Tensor,
        item_features: Tensor,
        D: int,
        *,
        hidden: int = 32,
        item_table: bool = True,
        mean: float = 0.0,
    ):
        super().__init__(mean)
        # no part of the state: they are data, and the same in every checkpoint
        self.register_buffer("user_features", user_features, persistent=False)
        self.register_buffer("item_features", item_features, persistent=False)
        self.user_tower = _tower(user_features.shape[1], hidden, 1 + D)
        self.item_tower = _tower(item_features.shape[1], hidden, 1 + D)
        self.user_table = _zeros(len(user_features), 1 + D)
        self.item_table = _zeros(len(item_features), 1 + D) if item_table else None

    def users(self, ids: Tensor) -> Tensor:
        """Numbers (B,) to b_u and p_u, (B, 1 + D)."""
        return self.user_tower(self.user_features[ids]) + self.user_table(ids)

    def items(self, ids: Tensor) -> Tensor:
        """Numbers (B,) to b_i and q_i, (B, 1 + D)."""
        made = self.item_tower(self.item_features[ids])
        return made if self.item_table is None else made + self.item_table(ids)

    def penalty(self, users: Tensor, items: Tensor) -> Tensor:
        """Squared length (B,) of the tables' rows; what the towers make from features is free."""
        own = self.user_table(users).square().sum(dim=1)
        if self.item_table is not None:
            own = own + self.item_table(items).square().sum(dim=1)
        return own


def _tower(width: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, out))


def _zeros(count: int, width: int) -> nn.Embedding:
    table = nn.Embedding(count, width)
    nn.init.zeros_(table.weight)
    return table


def batch_softmax(scores: Tensor, log_q: Tensor | None = None) -> Tensor:
    """How surely each user's own item is told from the batch's others, as a loss.

    -log softmax(s_kj - log q_j)_k over the items j of the batch, each of which came with
    probability q_j -- Yi et al. 2019, section 3, doi:10.1145/3298689.3346996.

    A popular item is in many batches, so it serves too often as the wrong answer; subtracting
    log q undoes that. With it s learns log p(i|u), how likely the item is; without, log p(i|u) -
    log q(i), how much likelier than for anybody.

    Args:
        scores: (B, B), users in rows, items in columns; user k chose item k.
        log_q: (B,), logarithm of each item's share of the choices; None leaves it out.

    Returns:
        The mean over the users, in nats.

    Raises:
        ValueError: scores are not square, or log_q is not of the same batch.
    """
    if scores.ndim != 2 or len(scores) != scores.shape[1]:
        raise ValueError(f"need scores (B, B), got {tuple(scores.shape)}")
    if log_q is not None:
        if log_q.shape != scores.shape[1:]:
            raise ValueError(f"need log_q ({len(scores)},), got {tuple(log_q.shape)}")
        scores = scores - log_q
    return F.cross_entropy(scores, torch.arange(len(scores), device=scores.device))
