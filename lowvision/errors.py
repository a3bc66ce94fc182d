"""The errors that lowvision raises on purpose, and exceptions as one line of text.

LowvisionError            root; its message is `<place>: <what is wrong>; <way out>`, one line per problem
├── RecipeError           a recipe, an override or an option is invalid
├── UsageError            the arguments of a command are invalid or contradict each other
├── PluginError           a plugin is broken, missing or conflicts with another one
├── DataError             an image, a folder of images or a pair of folders cannot be used
├── WeightsError          a weights file is damaged or belongs to another architecture
├── RunError              a run folder, a device or the number of processes cannot be used
└── TrainingError         training stopped: a loss is not finite or no scalar, or one branch got all tiles
"""


class LowvisionError(Exception):
    """Base of all errors that lowvision raises; the command line prints the message and exits with `exit_code`."""

    exit_code = 1


class RecipeError(LowvisionError):
    """A recipe is invalid; the message holds all validation issues, one per line."""

    exit_code = 2


class UsageError(LowvisionError):
    """Arguments of a command are invalid, contradict each other, or would overwrite an input."""

    exit_code = 2


class PluginError(LowvisionError):
    """A plugin is broken, missing, or provides a name that another plugin provides too."""

    exit_code = 2


class DataError(LowvisionError):
    """An image cannot be read, a folder has no images, or two folders do not pair."""


class WeightsError(LowvisionError):
    """A weights file is damaged, has another format, or does not fit the network."""


class RunError(LowvisionError):
    """The folder, the device or the processes of a run cannot be used."""

    exit_code = 2


class TrainingError(LowvisionError):
    """Training stopped itself; the last good checkpoint is kept."""


def message_of(error: BaseException) -> str:
    """Return the message of an exception as one line."""
    return " ".join(str(error).split())


def summary_of(error: BaseException) -> str:
    """Return the type and the message of an exception as one line, e.g. `ValueError: too small`."""
    return f"{type(error).__name__}: {message_of(error)}".rstrip()
