"""Networks by the name in model.name."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from closedloop.networks.char_lstm import CharLSTM
from closedloop.networks.cnn import CNN
from closedloop.networks.cnn_gru import CNNGRU
from closedloop.networks.gan import GAN
from closedloop.networks.mlp import MLP
from closedloop.networks.policy import Policy
from closedloop.networks.resnet import ResNet
from closedloop.networks.schema import CNN as CNNConfig
from closedloop.networks.schema import CNNGRU as CNNGRUConfig
from closedloop.networks.schema import GAN as GANConfig
from closedloop.networks.schema import MLP as MLPConfig
from closedloop.networks.schema import CharLSTM as CharLSTMConfig
from closedloop.networks.schema import Model
from closedloop.networks.schema import Policy as PolicyConfig
from closedloop.networks.schema import ResNet as ResNetConfig
from closedloop.networks.schema import TextLSTM as TextLSTMConfig
from closedloop.networks.schema import TextTransformer as TextTransformerConfig
from closedloop.networks.text_lstm import TextLSTM
from closedloop.networks.text_transformer import TextTransformer
from closedloop.tasks.control.cartpole import SCALE


@dataclass(frozen=True)
class Input:
    """One input of a network, by what a batch of it holds for each example."""

    shape: tuple[int, ...]
    cardinalities: tuple[int, ...] = ()  # of an integer input: how many values each of its columns has


def build_network(config: Model, inputs: Mapping[str, Input], outputs: int) -> nn.Module:  # noqa: PLR0911  one a network
    """The network of a configuration; its forward takes the inputs by name, and gives (N, outputs).

    It may give the outputs of several members, (N, members, outputs), which learn each by its own loss. One that reads
    texts takes and gives its state as well.
    """
    match config:
        case CNNConfig():
            channels, height, width = inputs["inputs"].shape
            return CNN(config, (channels, height, width), outputs)
        case ResNetConfig():
            return ResNet(config, inputs["inputs"].shape[0], outputs)
        case CNNGRUConfig():
            channels, bands, frames = inputs["inputs"].shape
            return CNNGRU(config, (channels, bands, frames), outputs)
        case MLPConfig():
            numbers = inputs["numbers"].shape[0] if "numbers" in inputs else 0
            cardinalities = inputs["categories"].cardinalities if "categories" in inputs else ()
            return MLP(config, numbers, cardinalities, outputs)
        case TextTransformerConfig():
            tokens, ngrams = inputs["tokens"], inputs["ngrams"]
            return TextTransformer(config, tokens.shape[0], tokens.cardinalities[0], ngrams.cardinalities[0], outputs)
        case GANConfig():
            channels, height, width = inputs["inputs"].shape
            return GAN(config, inputs["noise"].shape[0], (channels, height, width))
        case PolicyConfig():
            return Policy(config, SCALE, outputs)
        case CharLSTMConfig():
            return CharLSTM(config, inputs["tokens"].cardinalities[0])
        case TextLSTMConfig():
            tokens, ngrams = inputs["tokens"], inputs["ngrams"]
            return TextLSTM(config, tokens.cardinalities[0], ngrams.cardinalities[0], outputs)
