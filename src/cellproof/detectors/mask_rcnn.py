"""Mask R-CNN of torchvision: anchors → proposals → boxes with a class → a mask of each box.

Differences from torchvision's: images come normalized and are not resized; targets come as object ids.

References:
    He, Gkioxari, Dollár, Girshick (2017). Mask R-CNN. ICCV. doi:10.1109/ICCV.2017.322
    Lin, Dollár, Girshick, He, Hariharan, Belongie (2017). Feature pyramid networks for object detection. CVPR.
    doi:10.1109/CVPR.2017.106
    Li, Xie, Chen, Dollár, He, Girshick (2021). Benchmarking detection transfer learning with vision transformers.
    arXiv 2111.11429 (version 2: normalized heads, deeper proposals)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from ..checks import InputError
from ._object_targets import object_targets
from ._operators import torchvision

Backbone = Literal["resnet10", "resnet18", "resnet34", "resnet50"]
Norm = Literal["batch", "frozen"]

PACKAGE = "torchvision"
"""What must be installed for it."""

LEVELS = 5
"""Resolutions at which anchors lie: strides 4, 8, 16, 32 and 64."""

MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the images that published backbones were trained on."""

_BLOCKS = {"resnet10": (1, 1, 1, 1), "resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


def build(
    *,
    in_channels: int,
    out_channels: int,
    backbone: Backbone = "resnet50",
    version: int = 1,
    norm: Norm = "frozen",
    frozen_stages: int = 0,
    anchors: str = "32 64 128 256 512",
    ratios: str = "0.5 1 2",
    pyramid_channels: int = 256,
    box_channels: int = 1024,
    mask_channels: int = 256,
    proposals: int = 1000,
    sampled: int = 512,
    detections: int = 100,
    least_score: float = 0.05,
    overlap: float = 0.5,
) -> MaskRCNN:
    """Make a Mask R-CNN.

    Args:
        in_channels: Channels of the image.
        out_channels: Of the heads that it serves: the classes with the background, then the four of "detections".
        backbone: Residual network below the pyramid; "resnet10" has one block a stage.
        version: 1 as published; 2 with two convolutions before proposals, four before boxes, and normalized heads.
        norm: "frozen" leaves statistics and factors of the normalization as they are, for published weights; from
            random weights "batch" learns better.
        frozen_stages: How many of the backbone's five stages, first to last, are not trained.
        anchors: Sides in pixels of the boxes tried at strides 4, 8, 16, 32 and 64: one number each.
        ratios: Heights over widths of these boxes.
        pyramid_channels: Channels of each level of the pyramid.
        box_channels: Channels of the layers that class a box.
        mask_channels: Channels of the layers that draw its mask.
        proposals: Boxes that are passed on from the first stage; twice as many in training.
        sampled: Boxes of an image that a training step learns from.
        detections: Most objects of an image, or of a window where it is cut.
        least_score: Objects of a lower score are never given.
        overlap: Of two boxes of one class whose IoU exceeds this the less likely one is dropped.

    Raises:
        InputError: A word or number that cannot be, or torchvision is not installed.

    Example:
        >>> from importlib.util import find_spec
        >>> network = build(in_channels=1, out_channels=6, backbone="resnet10") if find_spec("torchvision") else None
        >>> network is None or network.stride == 32
        True
    """
    for name, word, known in (("backbone", backbone, get_args(Backbone)), ("norm", norm, get_args(Norm))):
        if word not in known:
            raise InputError(f"{name} is {word!r}, expected one of {', '.join(known)}")
    classes = out_channels - 4
    if classes < 2:
        raise InputError(f"out_channels is {out_channels}; a detector needs 4 and one for each class, background too")
    if version not in (1, 2):
        raise InputError(f"version is {version!r}, expected 1 or 2")
    sides, shapes = _numbers("anchors", anchors), _numbers("ratios", ratios)
    if len(sides) != LEVELS:
        raise InputError(
            f"anchors are {anchors!r}; expected {LEVELS} sides in pixels, one for each stride from 4 to 64"
        )
    trunk = _trunk(
        in_channels, backbone, version=version, norm=norm, frozen_stages=frozen_stages, channels=pyramid_channels
    )
    detection = _package("models.detection")
    network = detection.mask_rcnn.MaskRCNN(
        trunk,
        rpn_anchor_generator=detection.anchor_utils.AnchorGenerator(
            tuple((side,) for side in sides), (tuple(shapes),) * LEVELS
        ),
        rpn_head=detection.rpn.RPNHead(pyramid_channels, len(shapes), conv_depth=version),
        rpn_pre_nms_top_n_train=2 * proposals,
        rpn_post_nms_top_n_train=2 * proposals,
        rpn_pre_nms_top_n_test=proposals,
        rpn_post_nms_top_n_test=proposals,
        box_batch_size_per_image=sampled,
        box_detections_per_img=detections,
        box_score_thresh=least_score,
        box_nms_thresh=overlap,
        **_heads(classes, version=version, pyramid=pyramid_channels, box=box_channels, mask=mask_channels),
    )
    return MaskRCNN(network, in_channels, classes, norm=norm, radius_px=_radius_px(backbone))


class MaskRCNN(nn.Module):
    """The network; `build` describes its options. Weights have torchvision's names.

    Attributes:
        stride: Height and width are multiples of it.
        receptive_field_px: Reach of the layers that propose boxes; of an object itself, all of its box is seen.
        takes_targets: It computes its losses itself.
        norm: "batch" or "frozen".
        classes: Classes, the background among them.
    """

    takes_targets = True

    def __init__(self, network: Any, in_channels: int, classes: int, *, norm: Norm, radius_px: int) -> None:
        super().__init__()
        self.backbone, self.rpn, self.roi_heads = network.backbone, network.rpn, network.roi_heads
        self.stride = 32
        self.receptive_field_px = radius_px
        self.in_channels = in_channels
        self.norm = norm
        self.classes = classes

    def forward(
        self, images: Tensor, class_map: Tensor | None = None, fields: Tensor | None = None
    ) -> Mapping[str, Tensor] | Tensor:
        """Losses in training, else a table of the objects of one image; see the room's page.

        Raises:
            InputError: Training without targets, or several images at once otherwise.
        """
        if self.training and self.norm == "batch" and images.numel() <= self.in_channels * self.stride**2:
            raise InputError(
                f"a batch of shape {tuple(images.shape)} leaves one value a channel at stride 32, which has no spread "
                "to normalize by; give larger patches, more of them, or norm = 'frozen'"
            )
        features = {name: level.float() for name, level in self.backbone(_scaled(images)).items()}
        sizes = [(images.shape[2], images.shape[3])] * len(images)
        listed = _package("models.detection.image_list").ImageList(images.float(), sizes)
        # Boxes need more than the eight bits of bfloat16: at 512 px these are two pixels apart.
        with torch.autocast(images.device.type, enabled=False):
            if not self.training:
                return self._table(listed, features, sizes)
            if class_map is None or fields is None:
                raise InputError("a detector in training mode needs class maps and object ids; or call eval() first")
            targets = object_targets(class_map, fields[:, 0])
            proposals, first = self.rpn(listed, features, targets)
            _, second = self.roi_heads(features, proposals, sizes, targets)
            return {**first, **second}

    def _table(self, listed: Any, features: Mapping[str, Tensor], sizes: list[tuple[int, int]]) -> Tensor:
        if len(sizes) != 1:
            raise InputError(f"a detector takes one image at a time, got {len(sizes)}")
        proposals, _ = self.rpn(listed, features)
        (found,), _ = self.roi_heads(features, proposals, sizes)
        columns = (found["boxes"], found["scores"][:, None], found["labels"][:, None].float())
        return torch.cat([*columns, found["masks"].flatten(1)], dim=1)


def _package(path: str) -> Any:
    """A module of torchvision."""
    found: Any = torchvision()
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _numbers(name: str, text: str) -> list[float]:
    """Numbers above 0, separated by blanks.

    Raises:
        InputError: There are none.
    """
    try:
        numbers = [float(word) for word in str(text).split()]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) <= 0:
        raise InputError(f"{name} are {text!r}; expected numbers above 0 with blanks between, such as '0.5 1 2'")
    return numbers


def _scaled(images: Tensor) -> Tensor:
    """Images as published backbones know them; other than three channels by the mean over colors."""
    colors = images.shape[1] == len(MEAN)
    mean = images.new_tensor(MEAN if colors else [sum(MEAN) / 3])[:, None, None]
    sd = images.new_tensor(SD if colors else [sum(SD) / 3])[:, None, None]
    return (images - mean) / sd


def _trunk(
    in_channels: int, backbone: Backbone, *, version: int, norm: Norm, frozen_stages: int, channels: int
) -> nn.Module:
    """Residual network with a feature pyramid."""
    if not 0 <= frozen_stages <= 5:
        raise InputError(f"frozen_stages is {frozen_stages}, expected 0 to 5, the stages of the backbone")
    resnet, utils = _package("models.resnet"), _package("models.detection.backbone_utils")
    layer = nn.BatchNorm2d if norm == "batch" else _package("ops.misc").FrozenBatchNorm2d
    block = resnet.Bottleneck if backbone == "resnet50" else resnet.BasicBlock
    body = resnet.ResNet(block, _BLOCKS[backbone], norm_layer=layer)
    if in_channels != 3:
        body.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
    for stage in (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))[:frozen_stages]:
        for part in stage:
            getattr(body, part).requires_grad_(False)
    trunk: nn.Module = utils.BackboneWithFPN(
        body,
        {f"layer{number}": str(number - 1) for number in range(1, 5)},
        [64 * block.expansion * 2**stage for stage in range(4)],
        channels,
        norm_layer=nn.BatchNorm2d if version == 2 else None,
    )
    return trunk


def _heads(classes: int, *, version: int, pyramid: int, box: int, mask: int) -> dict[str, Any]:
    """What classes boxes and draws masks."""
    faster, masked = _package("models.detection.faster_rcnn"), _package("models.detection.mask_rcnn")
    if version == 1:
        box_head = faster.TwoMLPHead(pyramid * 7**2, box)
        mask_head = masked.MaskRCNNHeads(pyramid, (mask,) * 4, 1)
    else:
        box_head = faster.FastRCNNConvFCHead((pyramid, 7, 7), [pyramid] * 4, [box], norm_layer=nn.BatchNorm2d)
        mask_head = masked.MaskRCNNHeads(pyramid, (mask,) * 4, 1, norm_layer=nn.BatchNorm2d)
    return {
        "box_head": box_head,
        "box_predictor": faster.FastRCNNPredictor(box, classes),
        "mask_head": mask_head,
        "mask_predictor": masked.MaskRCNNPredictor(mask, mask, classes),
    }


def _radius_px(backbone: Backbone) -> int:
    """Pixels beyond which no pixel changes a proposal: of the backbone, the pyramid and the proposing layers."""
    reach = 6 + 2 * 2  # the 7 × 7 convolution and the pooling after it
    jump = 4
    for stage, blocks in enumerate(_BLOCKS[backbone]):
        for number in range(blocks):
            halves = stage > 0 and number == 0
            # The first convolution of 3 × 3 in a block of two sees the grid before it is halved, as in a bottleneck.
            reach += 2 * jump
            jump *= 2 if halves else 1
            reach += 2 * jump if backbone != "resnet50" else 0
    return reach // 2 + 2 * jump + 2 * jump  # the pyramid's 3 × 3 at stride 32, the proposals' at stride 64
