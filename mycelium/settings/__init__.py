"""What the people around a store have settled: `.mycelium/config.json`, variables over it, flags over those.

Nothing else in this package reads it: whoever opens a store by its URL needs no file.
"""

from mycelium.settings.load import Configuration, Surroundings, configuration, settings_shown
from mycelium.settings.model import MODES
from mycelium.settings.names import Setting, settings
from mycelium.settings.origin import Origin

__all__ = [
    "MODES",
    "Configuration",
    "Origin",
    "Setting",
    "Surroundings",
    "configuration",
    "settings",
    "settings_shown",
]
