"""Parts of someone's own that break their contract, told before a run begins."""

from typing import Any

import pytest
import tensorflow as tf

from ampsim import AmpsimError
from ampsim.losses import MSE
from ampsim.models import AmpModel
from ampsim.training.foreign import check_model, check_term


class Unreduced(MSE):
    def __call__(self, target, prediction):
        return tf.square(target - prediction)


class Counted(MSE):
    def __call__(self, target, prediction):
        return tf.size(target)


class Nothing(MSE):
    def __call__(self, target, prediction):
        tf.reduce_mean(target - prediction)


class Misspelt(MSE):
    def __call__(self, target, prediction):
        return tf.reduce_meen(target - prediction)


class Halved(MSE):
    def __call__(self, target, prediction):
        return 0.5 * super().__call__(target, prediction)


@pytest.mark.parametrize(
    ("term", "sentence"),
    [
        (Unreduced(), r"`mine` \(.*Unreduced\) returns the shape \(2, 500\), not a scalar: .*tf\.reduce_mean"),
        (Counted(), "returns int32, which has no gradient"),
        (Nothing(), "returns NoneType, not a scalar tensor"),
        (Misspelt(), r"Misspelt\) fails \(.*test_foreign\.py, line \d+\): .*has no attribute 'reduce_meen'"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, MSE) else "",
)
def test_a_loss_term_that_fails_is_refused(term: MSE, sentence: str):
    with pytest.raises(AmpsimError, match=sentence):
        check_term("mine", term, 500)


def test_a_loss_term_that_was_typed_where_there_is_no_file_is_told_without_a_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Misspelt, "__module__", "sys")
    with pytest.raises(AmpsimError, match=r"\(sys\.Misspelt\) fails: .*has no attribute 'reduce_meen'"):
        check_term("own", Misspelt(), 64)


def test_a_loss_term_that_returns_a_scalar_is_taken():
    check_term("mine", Halved(), 500)


class Filter(AmpModel):
    """Keeps the contract, by the constructor of all."""

    taps: Any = 8

    @property
    def receptive_field(self) -> int:
        return self.taps

    def build(self, input_shape=None):
        self.kernel = self.add_weight(shape=(8, 1, 1), name="kernel")
        self.built = True

    def transform(self, segment, training=False):
        return tf.nn.conv1d(segment[..., None], self.kernel, 1, "VALID")[..., 0]


class Longer(Filter):
    def transform(self, segment, training=False):
        return tf.nn.conv1d(segment[..., None], self.kernel, 1, "SAME")[..., 0]


class OneMoreAxis(Filter):
    def transform(self, segment, training=False):
        return super().transform(segment)[..., None]


class ReturnsNothing(Filter):
    def call(self, segment, training=False):
        self.transform(segment)


class OtherName(Filter):
    def transform(self, segment, training=False):
        return self.filterd(segment)


class NoTraining(Filter):
    def transform(self, segment):
        return super().transform(segment)


class Fractional(Filter):
    taps = 7.5


class WithoutField(Filter):
    receptive_field = AmpModel.receptive_field


class WithoutTransform(Filter):
    transform = AmpModel.transform


class NotAgain(Filter):
    def __init__(self, curve, **keras_arguments):
        super().__init__(**keras_arguments)
        self.curve = curve

    def get_config(self):
        return {key: value for key, value in super().get_config().items() if key != "curve"}


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            Longer(),
            r"Longer returns the shape \(2, 23\) for .* \(2, 23\), and has to return \(2, 16\): .*receptive_field=8",
        ),
        (OneMoreAxis(), r"returns the shape \(2, 16, 1\) "),
        (ReturnsNothing(), "returns NoneType for a segment"),
        (OtherName(), r"OtherName fails \(.*test_foreign\.py, line \d+\): .*no attribute 'filterd'"),
        (NoTraining(), r"fails: TypeError: transform\(\) got an unexpected keyword argument 'training'"),
        (Fractional(), r"receptive_field is 7\.5, and has to be a whole number"),
        (WithoutField(), r"has no receptive_field: WithoutField does not define receptive_field"),
        (WithoutTransform(), r"fails: .*WithoutTransform does not define transform\(\)"),
        (NotAgain("tanh"), r"could be saved but not loaded: .*'curve'"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AmpModel) else "",
)
def test_a_model_that_breaks_its_contract_is_refused(model: AmpModel, sentence: str):
    model.build()
    with pytest.raises(AmpsimError, match=sentence):
        check_model(model)


def test_a_model_without_a_constructor_of_its_own_is_taken():
    model = Filter(future=3)
    model.build()
    check_model(model)
    assert Filter.from_config(model.get_config()).future == 3
