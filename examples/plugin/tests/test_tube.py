"""ampsim's own contract tests, run on a model from outside it."""

from tube_lab.models import Tube

from ampsim.testing import check_model


def test_a_tube_keeps_the_contract_of_every_model() -> None:
    check_model(Tube)
