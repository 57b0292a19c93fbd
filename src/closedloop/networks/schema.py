"""The configuration of each network and each augmentation; the modules beside this one read it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from closedloop.section import Positive, Section


class CNN(Section):
    name: Literal["cnn"]
    filters: Annotated[list[Positive], Field(min_length=1)] = [32, 64, 64]
    kernel_size: Annotated[int, Field(ge=1, le=11)] = 3
    padding: Literal["auto", "valid", "same"] = "auto"  # auto: valid, and same where an image would vanish by that
    pooled_layers: Annotated[int, Field(ge=0)] = 2  # 2x2 max-pooling follows this many of the first convolutions
    dense: list[Positive] = [64]
    normalisation: Literal["none", "batch"] = "none"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    def shape(self) -> str:
        """The sizes that tell one such network from another, for the names of runs."""
        return "-".join(map(str, self.filters))


class ResNet(Section):
    """Residual blocks for images."""

    name: Literal["resnet"]
    widths: Annotated[list[Positive], Field(min_length=1)] = [32, 64, 128]  # of the stages: all but the first halve
    blocks: Annotated[int, Field(ge=1, le=32)] = 2  # of each stage
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1

    @property
    def shape(self) -> str:
        """The sizes that tell one such network from another, for the names of runs."""
        return f"{self.blocks}x {'-'.join(map(str, self.widths))}"


class CNNGRU(Section):
    """Convolutions over spectrograms, then a GRU over time."""

    name: Literal["cnn_gru"]
    filters: Annotated[list[Positive], Field(min_length=1)] = [16, 32, 64]  # pooling halves the bands after each
    kernel_size: Annotated[int, Field(ge=1, le=11)] = 3
    pooled_time: Annotated[int, Field(ge=0)] = 2  # pooling halves the frames as well after this many of the first
    hidden: Positive = 48  # of the GRU, in each direction
    bidirectional: bool = True
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3

    @property
    def shape(self) -> str:
        """The sizes that tell one such network from another, for the names of runs."""
        return "-".join(map(str, self.filters))


class MLP(Section):
    """A perceptron for tables."""

    name: Literal["mlp"]
    hidden: Annotated[list[Positive], Field(min_length=1)] = [192, 192]
    members: Annotated[int, Field(ge=1, le=64)] = 4  # of an ensemble that shares nearly all its weights
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    category_width: Positive = 8  # of the embedding of a category
    number_width: Positive = 16  # of the embedding of a number
    frequencies: Positive = 32  # sines and cosines that a number is embedded by
    # deviation of the frequencies at the start, in oscillations a unit of the normal score: larger ones tell values
    # apart that lie closer together, and overfit sooner
    frequency_scale: Annotated[float, Field(gt=0, le=100)] = 6.0

    @property
    def shape(self) -> str:
        """The sizes that tell one such network from another, for the names of runs."""
        return f"{'-'.join(map(str, self.hidden))} x{self.members}"


class TextNetwork(Section):
    """What networks for texts share."""

    width: Annotated[int, Field(ge=2, le=4096)] = 64  # of a token's embedding
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    # factor on the logits that character n-grams add; 0: tokens alone
    ngram_scale: Annotated[float, Field(ge=0, le=100)] = 8
    ngram_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class TextTransformer(TextNetwork):
    name: Literal["text_transformer"]
    layers: Annotated[int, Field(ge=1, le=48)] = 2
    heads: Positive = 4

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self

    @property
    def shape(self) -> str:
        """The sizes that tell one such network from another, for the names of runs."""
        return f"{self.layers}x{self.width}"


class TextLSTM(TextNetwork):
    name: Literal["text_lstm"]
    hidden: Annotated[int, Field(ge=1, le=4096)] = 64  # of the state, in each direction
    layers: Annotated[int, Field(ge=1, le=8)] = 1

    @property
    def shape(self) -> str:
        """The sizes that tell one such network from another, for the names of runs."""
        return f"{self.layers}x{self.hidden}"


class CharLSTM(Section):
    """Reads a text character by character, and says which one is next."""

    name: Literal["char_lstm"]
    width: Annotated[int, Field(ge=1, le=4096)] = 128  # of a character's embedding
    hidden: Annotated[int, Field(ge=1, le=8192)] = 128  # of the state
    layers: Annotated[int, Field(ge=1, le=8)] = 1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    steps: Positive = 64  # characters that the gradient goes back; the state goes on through the passage

    @property
    def shape(self) -> str:
        """The sizes that tell one such network from another, for the names of runs."""
        return f"{self.layers}x{self.hidden}"


class GAN(Section):
    """Makes images out of noise, and learns it against a discriminator."""

    name: Literal["gan"]
    # maps of the generator: at a quarter of the image's size, at half and at all of it
    generator: Annotated[list[Positive], Field(min_length=3, max_length=3)] = [256, 128, 64]
    discriminator: Annotated[list[Positive], Field(min_length=1, max_length=4)] = [64, 128]  # each halves the image
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3  # of the discriminator
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.999  # of the generator's weights, kept in each step; 0: none

    @property
    def shape(self) -> str:
        """The sizes that tell one such network from another, for the names of runs."""
        return "-".join(map(str, self.generator))


class Policy(Section):
    """Chooses actions, and learns it from what comes of them."""

    name: Literal["policy"]
    algorithm: Literal["dqn", "reinforce", "actor_critic"]
    hidden: Annotated[list[Positive], Field(min_length=1)] = [64, 64]
    discount: Annotated[float, Field(gt=0, lt=1)] = 0.99  # of what comes a step later
    entropy: Annotated[float, Field(ge=0)] = 0.01  # reinforce, actor_critic: how much chance is worth
    steps: Positive = 32  # actor_critic: after which it learns
    smoothing: Annotated[float, Field(ge=0, le=1)] = 0.99  # actor_critic: lambda of the generalised advantages
    memory: Annotated[int, Field(ge=100, le=10_000_000)] = 50_000  # dqn: transitions that are remembered
    batch: Positive = 128  # dqn: of them, in each step of learning
    follow: Annotated[float, Field(gt=0, le=1)] = 0.01  # dqn: of the slower copy, in each step
    curiosity: Annotated[float, Field(ge=0, le=1)] = 0.05  # dqn: share of actions that are drawn in the end
    curious_share: Annotated[float, Field(gt=0, le=1)] = 0.3  # dqn: of the training, until that share is reached

    @property
    def shape(self) -> str:
        """The sizes that tell one such network from another, for the names of runs."""
        return f"{self.algorithm} {'-'.join(map(str, self.hidden))}"


Model = Annotated[
    CNN | ResNet | CNNGRU | MLP | TextTransformer | TextLSTM | CharLSTM | GAN | Policy, Field(discriminator="name")
]


class NoAugmentation(Section):
    name: Literal["none"] = "none"


class Affine(Section):
    """Random affine maps of training images; 0 switches a component off."""

    name: Literal["affine"] = "affine"
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 0
    translation: Annotated[float, Field(ge=0, lt=1)] = 0  # share of the image's side
    scale: Annotated[float, Field(ge=0, lt=1)] = 0  # +- share of the size
    shear_degrees: Annotated[float, Field(ge=0, lt=90)] = 0


class Spectrogram(Section):
    """Random changes of training spectrograms; 0 switches a component off."""

    name: Literal["spectrogram"] = "spectrogram"
    stretch: Annotated[float, Field(ge=0, lt=1)] = 0  # +- share of the time that a sound takes
    shift: Annotated[float, Field(ge=0, lt=1)] = 0  # +- share of the frames
    pitch: Annotated[float, Field(ge=0, lt=1)] = 0  # +- share of the bands by which all pitches move
    tilt: Annotated[float, Field(ge=0)] = 0  # +- deviations that the highest band gains over the lowest: a microphone
    noise: Annotated[float, Field(ge=0)] = 0  # deviations, of each band at each time
    masks: Annotated[int, Field(ge=0)] = 0  # hidden stretches of time, and as many of pitch
    mask_share: Annotated[float, Field(ge=0, le=1)] = 0.1  # of all frames or bands that each hides at most


class TokenDropout(Section):
    """Training texts with some of their tokens made unknown (Iyyer et al., 2015)."""

    name: Literal["token_dropout"]
    share: Annotated[float, Field(ge=0, lt=1)] = 0.1


Augmentation = Annotated[NoAugmentation | Affine | Spectrogram | TokenDropout, Field(discriminator="name")]
