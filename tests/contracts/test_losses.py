"""The contract of `cellproof.losses`, run over every loss in the folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cellproof import losses
from cellproof.data.targets import heads_of, losses_of
from cellproof.losses.binary_cross_entropy import binary_cross_entropy
from cellproof.losses.border_weight import term as border_weight
from cellproof.losses.cross_entropy import cross_entropy
from cellproof.losses.deep_supervision import deep_supervision
from cellproof.losses.dice import soft_dice
from cellproof.losses.flow import flow_loss
from cellproof.losses.focal import term as focal
from cellproof.losses.lovasz import term as lovasz
from cellproof.losses.mutual_information import missing_information
from cellproof.losses.smooth_l1 import smooth_l1
from cellproof.losses.squared_error import masked_mse
from cellproof.losses.star_convex import star_convex_loss
from cellproof.losses.topk import term as topk
from cellproof.losses.weighted_sum import weighted_sum
from cellproof.types import IGNORE, Heads

N, C, H, W = 2, 3, 3, 4
HEADS = heads_of(C, ["boundary", "distance", "flows"])


@dataclass(frozen=True)
class Case:
    """A loss as a function of the outputs and of the pixels (N, H, W) that are left out.

    Attributes:
        file: Stem of the file that the loss lives in.
        loss: (outputs, left out) → scalar.
        perfect: Outputs that say exactly what is expected.
        kind: What to call it.
    """

    file: str
    loss: Callable[[Tensor, Tensor], Tensor]
    perfect: Tensor
    kind: str = ""


def classes():
    return (torch.arange(N * H * W) * 7 % 5 % C).reshape(N, H, W)


def annotated(left_out):
    return torch.where(left_out, IGNORE, classes()).to(torch.uint8)


def clusters():
    """(N, H, W), each cluster as often as the others, with and without `SOME`."""
    order = torch.zeros(N * H * W, dtype=torch.long)
    for chosen in (torch.arange(N * H * W) % 4 != 1, torch.arange(N * H * W) % 4 == 1):
        order[chosen] = torch.arange(int(chosen.sum())) % C
    return order.reshape(N, H, W)


def cluster_logits():
    return decided(torch.nn.functional.one_hot(clusters(), C).movedim(-1, 1).bool())


def decided(yes):
    return torch.where(yes, 60.0, -60.0).double()


def class_logits():
    return decided(torch.nn.functional.one_hot(classes(), C).movedim(-1, 1).bool())


def numbers():
    return torch.linspace(-1, 1, N * H * W, dtype=torch.float64).reshape(N, H, W)


def vectors():
    angle = 3 * numbers()
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def fields():
    boundary = (classes() == 2).double()[:, None]
    return torch.cat([boundary, numbers().abs()[:, None], vectors()], dim=1)


def edges():
    return (classes() == 2).double()[:, None]


def told(left_out):
    return {"class_map": annotated(left_out), "class_weights": None}


def stars():
    inside = (classes() == 1).double()[:, None]
    return torch.cat([inside, 4 * inside, 7 * inside], dim=1)


def perfect_outputs():
    target = fields()
    return torch.cat([class_logits(), decided(target[:, :1] > 0), target[:, 1:]], dim=1)


CASES = [
    Case("cross_entropy", lambda x, out: cross_entropy(x, annotated(out)), class_logits()),
    Case(
        "cross_entropy",
        lambda x, out: cross_entropy(x, annotated(out), class_weights=torch.tensor([1.0, 5.0, 0.5])),
        class_logits(),
        "weighted",
    ),
    Case(
        "binary_cross_entropy",
        lambda x, out: binary_cross_entropy(x, (classes() == 1).float(), positive_weight=3.0, valid=~out),
        decided(classes() == 1),
    ),
    Case("dice", lambda x, out: soft_dice(x, annotated(out)), class_logits()),
    Case(
        "dice",
        lambda x, out: soft_dice(x, annotated(out), per_image=True, include_background=False),
        class_logits(),
        "of each image",
    ),
    Case("squared_error", lambda x, out: masked_mse(x, numbers(), ~out), numbers()),
    Case("smooth_l1", lambda x, out: smooth_l1(x, numbers(), ~out * 0.3, beta=0.3), numbers()),
    Case("flow", lambda x, out: flow_loss(x, vectors(), ~out), vectors()),
    Case("topk", lambda x, out: topk(x, annotated(out), fraction=0.3, **told(out)), class_logits()),
    Case(
        "topk",
        lambda x, out: topk(x, edges(), count=5, per_image=False, descent=0.5, progress=0.4, **told(out)),
        decided(edges() > 0),
        "of a batch, falling",
    ),
    Case("focal", lambda x, out: focal(x, annotated(out), **told(out)), class_logits()),
    Case("focal", lambda x, out: focal(x, edges(), gamma=0.5, **told(out)), decided(edges() > 0), "of edges"),
    Case("lovasz", lambda x, out: lovasz(x, annotated(out), **told(out)), class_logits()),
    Case(
        "lovasz", lambda x, out: lovasz(x, edges(), per_image=True, **told(out)), decided(edges() > 0), "of each image"
    ),
    Case(
        "border_weight",
        lambda x, out: border_weight(x, annotated(out), border_gap=5 * numbers().abs(), **told(out)),
        class_logits(),
    ),
    Case("mutual_information", lambda x, out: missing_information(x, cluster_logits(), ~out), cluster_logits()),
    Case(
        "star_convex",
        lambda x, out: star_convex_loss(x, stars(), valid=~out, rays=0.3, background=0.01),
        torch.cat([decided(stars()[:, :1] > 0), stars()[:, 1:]], dim=1),
    ),
    Case(
        "deep_supervision",
        lambda x, out: deep_supervision(lambda one: soft_dice(one, annotated(out)), (x, 2 * x), weight=0.5),
        class_logits(),
    ),
    Case(
        "weighted_sum",
        lambda x, out: weighted_sum(x, annotated(out), fields(), heads=HEADS, terms=losses_of(HEADS)),
        perfect_outputs(),
    ),
    Case(
        "weighted_sum",
        lambda x, out: weighted_sum(x, annotated(out), fields()[:, :0], heads=Heads(C), terms=losses_of(Heads(C))),
        class_logits(),
        "semantic",
    ),
]
EVERY_LOSS = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file} {case.kind}".strip())
NOTHING = torch.zeros(N, H, W, dtype=torch.bool)
SOME = torch.arange(N * H * W).reshape(N, H, W) % 4 == 1


def somewhere(case, *, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(case.perfect.shape, generator=generator, dtype=torch.float64)
    return outputs.to(dtype).requires_grad_()


def gradient(case, outputs, left_out):
    loss = case.loss(outputs, left_out)
    return torch.autograd.grad(loss, outputs)[0]


def at(left_out, values):
    """Values of the pixels that are left out, whatever the channels."""
    return values.movedim(1, -1)[left_out] if values.ndim == 4 else values[left_out]


def test_every_file_of_the_folder_is_held_to_the_contract():
    files = {path.stem for path in Path(losses.__path__[0]).glob("*.py") if not path.stem.startswith("_")}
    assert {case.file for case in CASES} == files


@EVERY_LOSS
@pytest.mark.parametrize("left_out", [NOTHING, SOME], ids=["all pixels", "some pixels"])
def test_the_gradient_is_that_of_finite_differences(case, left_out):
    assert torch.autograd.gradcheck(lambda outputs: case.loss(outputs, left_out), somewhere(case))


@EVERY_LOSS
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_the_loss_is_finite_and_not_negative(case, size):
    outputs = (somewhere(case, dtype=torch.float32) * size).detach().requires_grad_()
    loss = case.loss(outputs, SOME)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert 0 <= loss.item() < float("inf")
    assert gradient(case, outputs, SOME).isfinite().all()


@EVERY_LOSS
def test_the_loss_is_nothing_at_the_perfect_answer_and_grows_away_from_it(case):
    assert case.loss(case.perfect, SOME).item() == pytest.approx(0, abs=1e-12)
    other = somewhere(case).detach()
    way = [case.loss(torch.lerp(case.perfect, other, share), SOME).item() for share in (0.1, 0.98, 1.0)]
    assert -1e-12 <= way[0] < way[1] < way[2]


@EVERY_LOSS
def test_pixels_left_out_have_exactly_no_gradient_and_no_say(case):
    outputs = somewhere(case)
    assert gradient(case, outputs, SOME).abs().max() > 0
    assert not at(SOME, gradient(case, outputs, SOME)).any()
    changed = outputs.detach().clone()
    view = changed.movedim(1, -1) if changed.ndim == 4 else changed
    view[SOME] += 5
    assert case.loss(changed, SOME).item() == case.loss(outputs, SOME).item()


@EVERY_LOSS
def test_a_batch_without_annotation_costs_nothing_and_teaches_nothing(case):
    outputs = somewhere(case)
    everything = torch.ones_like(NOTHING)
    assert case.loss(outputs, everything).item() == 0
    assert not gradient(case, outputs, everything).any()


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(case, dtype):
    outputs = somewhere(case, dtype=dtype)
    loss = case.loss(outputs, SOME)
    assert loss.dtype == torch.float32
    assert loss.item() == case.loss(outputs.float(), SOME).item()
    assert gradient(case, outputs, SOME).dtype == dtype


@EVERY_LOSS
def test_a_small_step_downhill_makes_the_loss_smaller(case):
    outputs = somewhere(case)
    step = 1e-3 * gradient(case, outputs, SOME)
    assert case.loss(outputs - step, SOME).item() < case.loss(outputs, SOME).item()
