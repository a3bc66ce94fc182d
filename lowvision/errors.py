"""Every error that lowvision raises on purpose.

LowvisionError            one line for a person: the place, the thing, the way out
├── RecipeError           a recipe, an override or an option: the user's to mend
├── UsageError            words of a command that contradict each other, or mean nothing
├── PluginError           a plugin that is broken, missing or at odds with another
├── DataError             an image, a folder or a pair of folders
├── WeightsError          a weights file that is damaged or belongs to another architecture
├── RunError              a run folder, a device or a number of processes
└── TrainingError         training that must not go on: not finite, or collapsed to one branch
"""


class LowvisionError(Exception):
    """The root of the tree; the command line prints it as it is and exits with `exit_code`."""

    exit_code = 1


class RecipeError(LowvisionError):
    """What a recipe says cannot be done; holds every complaint, one a line."""

    exit_code = 2


class UsageError(LowvisionError):
    """The words of a command contradict each other, name nothing, or would overwrite what they read."""

    exit_code = 2


class PluginError(LowvisionError):
    """A plugin is broken, missing, or claims a name that another one holds."""

    exit_code = 2


class DataError(LowvisionError):
    """An image cannot be read, a folder is empty, or two folders do not pair."""


class WeightsError(LowvisionError):
    """A weights file is damaged, of another format, or does not fit the network."""


class RunError(LowvisionError):
    """The surroundings of a run are wrong: its folder, its device, its processes."""

    exit_code = 2


class TrainingError(LowvisionError):
    """Training stopped itself; the last good checkpoint is kept."""
