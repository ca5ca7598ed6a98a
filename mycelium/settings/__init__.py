"""What the people around a store have settled: `.mycelium/config.json`, variables over it, flags over those.

Nothing else in this package reads it: whoever opens a store by its URL needs no file.
"""

from mycelium.settings.load import Configuration, Surroundings, configuration, settings_shown
from mycelium.settings.model import MODES
from mycelium.settings.names import Setting, settings
from mycelium.settings.origin import Origin
from mycelium.settings.urls import leaves_the_choice, surroundings_of, with_flags

__all__ = [
    "MODES",
    "Configuration",
    "Origin",
    "Setting",
    "Surroundings",
    "configuration",
    "leaves_the_choice",
    "settings",
    "settings_shown",
    "surroundings_of",
    "with_flags",
]
