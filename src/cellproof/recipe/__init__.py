"""What may be asked for: frozen structs read from and written to TOML."""

from __future__ import annotations

from .sections import AugmentConfig, AugmentStep, DataConfig, HeadConfig, LossConfig, ModelConfig, TrainingConfig
from .steps import format_step, parse_step
from .study import Division, Entry, Profile, Published, Recipe, Simulated, StudyConfig, StudySetConfig
from .toml import format_recipe, override, parse_recipe, read_recipe, recipe_names, recipe_text

__all__ = [
    "AugmentConfig",
    "AugmentStep",
    "DataConfig",
    "Division",
    "Entry",
    "HeadConfig",
    "LossConfig",
    "ModelConfig",
    "Profile",
    "Published",
    "Recipe",
    "Simulated",
    "StudyConfig",
    "StudySetConfig",
    "TrainingConfig",
    "format_recipe",
    "format_step",
    "override",
    "parse_recipe",
    "parse_step",
    "read_recipe",
    "recipe_names",
    "recipe_text",
]
