"""Claims about lists of choices in recipes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lowvision.config.validation import from_error
from lowvision.plugins import registry
from lowvision.plugins.choices import distinct
from lowvision.plugins.l1_loss import L1
from lowvision.training.options import Fit

KNOWN = registry.load()


def issues(value: object) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        Fit.model_validate({"loss": value}, context=KNOWN)
    return [(issue.path, issue.message) for issue in from_error(caught.value, Fit, {"loss": value})]


@pytest.mark.parametrize("value", ["l1", {"l1": {}}, {"l1": None}, ("l1",), ["l1"], ({"l1": {}},), (L1(),), L1()])
def test_a_single_choice_is_read_as_a_list(value: object) -> None:
    assert Fit.model_validate({"loss": value}, context=KNOWN).loss == (L1(),)


def test_a_list_survives_dumping_and_reading() -> None:
    fit = Fit.model_validate({"loss": ("l1", {"l1": {"weight": 0.5}})}, context=KNOWN)
    written = fit.model_dump(mode="json", context=KNOWN)["loss"]
    assert written == [{"l1": {"weight": 1.0}}, {"l1": {"weight": 0.5}}]
    assert Fit.model_validate({"loss": written}, context=KNOWN).loss == fit.loss


def test_issues_name_the_item() -> None:
    assert issues(()) == [(("loss",), "must be one choice or a list of at least one, not []")]
    ((path, message),) = issues(("l1", {"l1": {"wieght": 1.0}}))
    assert (path, message) == (("loss", 1, "l1", "wieght"), "unknown key (did you mean 'weight'?)")
    ((path, message),) = issues(("l1", "no_such_loss"))
    assert path == ("loss", 1)
    assert message.startswith("no loss named 'no_such_loss'; there are ")
    ((path, message),) = issues({"l1": {"weight": 0}})
    assert path == ("loss", "l1", "weight")


def test_the_schema_shows_defaults_by_name() -> None:
    assert Fit.model_json_schema()["properties"]["loss"]["default"] == ["l1"]


def test_repeated_names_get_numbers() -> None:
    assert distinct(["fft", "l1", "fft", "fft"]) == ["fft", "l1", "fft_2", "fft_3"]
