"""Thresholds, decoder and temperature are chosen on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from torch import Tensor, nn

from ...difficulty.calibration import fit_temperature
from ...inference.activate import Maps, tempered
from ...inference.tta import FOUR_VIEWS
from ...instances import methods, needs, on_request, tuned, with_option
from ...recipe import Recipe
from ...types import IGNORE, Heads, InstanceOptions, Sample, Setting, Step, TrustRecord
from ..predict import Predictor
from .certainty import Certainty, annotated_pixels, certainty_of
from .trust import fit_on_held_out
from .tune_steps import learn_from_training, tune_steps
from .validate import check_outputs, measure, measure_objects, middle, within
from .views import with_gains

SMALLEST_AREAS_PX = (5, 10, 20, 30, 45)

SPECK_FRACTIONS = (1 / 64, 1 / 32, 1 / 16, 1 / 8)
"""Of the median object: where objects are large, specks are, too."""


@dataclass(frozen=True)
class Tuned:
    """What validation chose.

    Attributes:
        options: How objects are made.
        temperature: Of the softmax.
        metrics: Of the chosen options on the validation samples, name → value; of class maps before any repair.
        steps: Repairs of the class map, with the options that were chosen.
        trust: How results are to be judged; None where validation is too small, or for semantic data.
        note: Why nothing was chosen, in a sentence; empty where something was.
        certainty: Whether what the model says of itself is true of the held-out samples.
    """

    options: InstanceOptions
    temperature: float
    metrics: Mapping[str, float]
    steps: tuple[Step, ...] = ()
    note: str = ""
    trust: TrustRecord | None = None
    certainty: Certainty = field(default_factory=Certainty)


def tune(
    members: Sequence[Mapping[str, Tensor]],
    held_out: Sequence[Sequence[Sample]],
    *,
    recipe: Recipe,
    heads: Heads,
    module: nn.Module,
    groups: Sequence[Sequence[str]],
    most_pixels: int,
    copies: bool = True,
    say: Callable[[str], None] = lambda line: None,
    classes: Sequence[str] = (),
    taught: Callable[[], Iterable[tuple[int, Sample]]] = tuple,
    seed: int = 0,
) -> Tuned:
    """Choose what validation can: how objects are made, the options of repairs, and the temperature.

    Each member sees only the samples that were held out from it, as `segment` shows them by default: one view.

    Args:
        members: Weights of each fold's network.
        held_out: Samples of each fold.
        recipe: Gives the options to start from.
        heads: Of the network.
        module: A network of the members' shape, for their weights to be put in.
        groups: A name for each held-out sample, by which metrics are reported too; "" for none.
        most_pixels: Of held-out samples that are looked at.
        copies: Whether verdicts are fitted on degraded copies, too, and kinds that gain by more views are looked for.
        say: Told where validation is too small to fit verdicts on, and what the temperature of several members is.
        classes: Names of all classes, by which repairs find theirs.
        taught: Gives training samples with the number of a member that learned from them, for repairs that learn.
        seed: Of what repairs draw.
    """
    cuts = [middle(sample) for fold in held_out for sample in fold]
    kept = within(cuts, most_pixels)
    owners = [number for number, fold in enumerate(held_out) for _ in fold]
    every_name = [name for fold_groups in groups for name in fold_groups]
    samples, names = [cuts[position] for position in kept], [every_name[position] for position in kept]
    maps: list[Maps] = []
    predictors = _OnePredictor(members, module, heads=heads, recipe=recipe)
    for position in kept:
        maps.append(predictors.of(owners[position]).predict_sample(cuts[position]))
    check_outputs(maps)
    note = nothing_to_choose_with(samples, heads)
    can_choose = heads.has_instances and not note
    options = tune_instances(samples, maps, recipe.instance, heads) if can_choose else recipe.instance
    metrics = measure(samples, maps, heads=heads, options=options)
    for name in sorted(set(names) - {""}):
        chosen = [i for i, group in enumerate(names) if group == name]
        part = measure([samples[i] for i in chosen], [maps[i] for i in chosen], heads=heads, options=options)
        metrics |= {f"{name}/{metric}": value for metric, value in part.items()}
    temperature = 1.0 if _is_one_class(samples) else calibrate(samples, maps)
    if len(members) > 1:
        say(
            f"the temperature is that of single networks, each on the images that it did not learn from; the mean of "
            f"all {len(members)}, which nobody can check on these images, is less sure than it is right"
        )
    trust = None
    if can_choose:

        def predict(number: int, image: np.ndarray) -> Maps:
            if image is samples[number].image:
                return tempered(maps[number], temperature)
            return tempered(
                predictors.of(owners[kept[number]]).predict_sample(replace(samples[number], image=image)), temperature
            )

        # The coarsest features of networks that were trained apart have nothing in common.
        trust = fit_on_held_out(
            samples, names, predict, deep=len(members) == 1, options=options, copies=copies, say=say
        )
        if trust is not None and copies:
            trust = with_gains(
                trust,
                samples,
                names,
                lambda number: predict(number, samples[number].image),
                lambda number: replace(predictors.of(owners[kept[number]]), temperature=temperature).predict_sample(
                    samples[number], views=FOUR_VIEWS
                ),
                options=options,
                say=say,
            )
    steps, errors = _steps(samples, maps, taught, predictors, temperature, classes=classes, seed=seed, say=say)
    if can_choose and options == recipe.instance:
        note = "no other way to make objects was better on the held-out images; the recipe's options are kept"
    certainty = certainty_of(samples, maps, temperature=temperature, trust=trust)
    return Tuned(options, temperature, metrics | errors, steps, note, trust, certainty)


def _steps(
    samples: Sequence[Sample],
    maps: Sequence[Maps],
    taught: Callable[[], Iterable[tuple[int, Sample]]],
    predictors: _OnePredictor,
    temperature: float,
    *,
    classes: Sequence[str],
    seed: int,
    say: Callable[[str], None],
) -> tuple[tuple[Step, ...], dict[str, float]]:
    """Repairs with what they learned and what was chosen for them, and their scores.

    They see probabilities as the finished model predicts them.
    """
    steps = predictors.recipe.steps
    if not steps:
        return (), {}

    def predicted() -> Iterable[tuple[Sample, Maps]]:
        for number, sample in taught():
            cut = middle(sample)
            yield cut, tempered(predictors.of(number).predict_sample(cut), temperature)

    learned, scores = learn_from_training(steps, predicted, classes, seed=seed, say=say)
    chosen, errors = tune_steps(samples, [tempered(one, temperature) for one in maps], learned, classes)
    return chosen, scores | errors


class _OnePredictor:
    """Predictors of members that take turns in one module; samples of a member after one another load it once."""

    def __init__(
        self, members: Sequence[Mapping[str, Tensor]], module: nn.Module, *, heads: Heads, recipe: Recipe
    ) -> None:
        self.members, self.module, self.heads, self.recipe = members, module, heads, recipe
        self.number = -1
        self.predictor: Predictor | None = None

    def of(self, number: int) -> Predictor:
        """The predictor of a member, until another is asked for."""
        if self.predictor is None or number != self.number:
            self.module.load_state_dict(dict(self.members[number]))
            self.module.eval()
            self.number = number
            self.predictor = Predictor.of_module(
                self.module,
                heads=self.heads,
                in_channels=self.recipe.data.in_channels,
                conditions=self.recipe.data.conditions,
                unknown=self.recipe.data.unknown,
                precision=self.recipe.training.precision,
            )
        return self.predictor


def nothing_to_choose_with(samples: Sequence[Sample], heads: Heads) -> str:
    """Why held-out samples cannot choose anything, in a sentence; empty where they can."""
    kept = "so nothing was chosen, the recipe's options are kept and scores say little: hold out images that show some"
    if heads.has_instances and not any(sample.instances is not None and sample.instances.any() for sample in samples):
        return f"the {len(samples)} held-out images hold no object, {kept}"
    if _is_one_class(samples):
        return f"the {len(samples)} held-out images hold no annotated pixel of more than one class, {kept}"
    return ""


def _is_one_class(samples: Sequence[Sample]) -> bool:
    """Whether all annotated pixels are of one class, from which no temperature follows."""
    found = {int(value) for sample in samples for value in np.unique(sample.class_map)} - {IGNORE}
    return len(found) < 2


def tune_instances(
    samples: Sequence[Sample], maps: Sequence[Maps], options: InstanceOptions, heads: Heads
) -> InstanceOptions:
    """Options of the best mean AP, one at a time: method, then threshold, then the method's own."""
    fitting = [method for method in methods() if set(needs(method)) <= set(heads.names) and not on_request(method)]
    if on_request(options.method):
        fitting = [options.method]
    # What needs no output of its own is for networks that have nothing better.
    better = [method for method in fitting if needs(method)]
    options = _best(
        samples, maps, [msgspec.structs.replace(options, method=method) for method in better or fitting], options
    )
    choices: list[tuple[str, Sequence[Setting]]] = [
        ("foreground_threshold", (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)),
        *tuned(options.method).items(),
        ("smallest_area_px", (*SMALLEST_AREAS_PX, *specks(samples))),
    ]
    for name, values in choices:
        options = _best(samples, maps, _nearest_first(options, name, values), options)
    return options


def specks(samples: Sequence[Sample]) -> tuple[int, ...]:
    """Areas of specks beside the objects of these samples, where they exceed `SMALLEST_AREAS_PX`."""
    areas = [np.bincount(sample.instances.ravel())[1:] for sample in samples if sample.instances is not None]
    together = np.concatenate(areas) if areas else np.zeros(0)
    together = together[together > 0]
    if not together.size:
        return ()
    sizes = (round(float(np.median(together)) * fraction) for fraction in SPECK_FRACTIONS)
    return tuple(size for size in sizes if size > SMALLEST_AREAS_PX[-1])


def _nearest_first(options: InstanceOptions, name: str, values: Sequence[Setting]) -> list[InstanceOptions]:
    """Candidates for an option, the nearest to its present value first, so that of equals it wins."""
    settings = dict(options.options)
    present = getattr(options, name) if name in options.__struct_fields__ else settings.get(name)

    def distance(value: Setting) -> float:
        if isinstance(present, int | float) and isinstance(value, int | float):
            return abs(float(value) - float(present))
        return 0.0

    return [with_option(options, name, value) for value in sorted(values, key=distance)]


def _best(
    samples: Sequence[Sample],
    maps: Sequence[Maps],
    candidates: Sequence[InstanceOptions],
    present: InstanceOptions,
) -> InstanceOptions:
    """The candidate of the highest mean AP; of equals the present options, else the first."""
    ordered = sorted(candidates, key=lambda candidate: candidate != present)
    scores = [measure_objects(samples, maps, candidate)["map"] for candidate in ordered]
    return ordered[int(np.nanargmax(scores)) if not np.isnan(scores).all() else 0]


def calibrate(samples: Sequence[Sample], maps: Sequence[Maps]) -> float:
    """Temperature that makes the class probabilities most likely, from a regular grid of pixels."""
    probabilities, classes = annotated_pixels(samples, maps)
    # A softmax takes logits up to a constant, and log-probabilities are such logits.
    return fit_temperature(np.log(np.maximum(probabilities, 1e-7)), classes)
