from __future__ import annotations

import importlib.resources

import numpy as np
import pytest
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image

from worker.models.efficientnet_lite import EfficientNetLite0, load
from worker.models.plan import Dtype, Plan
from worker.models.processor import this_processor
from worker.models.runtimes import Network
from worker.models.samples import typical_frames
from worker.models.tuning import MIN_COSINE, min_cosine

DAISY, PALACE = 985, 698  # classes of ImageNet


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return load()


def photograph(name: str) -> NDArray[np.uint8]:
    """The middle square of one of scikit-learn's sample photographs."""
    content = (importlib.resources.files("sklearn.datasets.images") / name).read_bytes()
    image = Image.fromarray(simplejpeg.decode_jpeg(content))
    left, top = (image.width - image.height) // 2, 0
    box = (left, top, left + image.height, image.height)
    return np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC, box=box))


@pytest.mark.parametrize(("name", "label"), [("flower.jpg", DAISY), ("china.jpg", PALACE)])
def test_a_photograph_is_recognised(network: EfficientNetLite0, name: str, label: int) -> None:
    with torch.inference_mode():
        logits = network.classify(torch.tensor(photograph(name)[None]))[0]
    assert int(logits.argmax()) == label


def test_folded_batch_norms_change_nothing_but_the_speed(network: EfficientNetLite0) -> None:
    frames = torch.from_numpy(typical_frames(2))
    folded = load().folded()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    with torch.inference_mode():
        assert torch.allclose(network(frames), folded(frames), atol=1e-4)


@pytest.mark.skipif(not this_processor().bfloat16, reason="the processor has no bfloat16")
def test_photographs_keep_their_embeddings_in_bfloat16() -> None:
    frames = np.stack([photograph("flower.jpg"), photograph("china.jpg")])
    converted = Network(lambda: load().folded(), lambda: (frames,))
    dtypes: tuple[Dtype, ...] = ("float32", "bfloat16")
    exact, fast = (converted.start(Plan("openvino", each, 2, 1))(frames) for each in dtypes)
    assert min_cosine(fast, exact) >= MIN_COSINE


def test_typical_frames_are_fixed_and_use_the_range_of_pixels() -> None:
    frames = typical_frames(3)
    assert np.array_equal(frames, typical_frames(3))
    assert 30 < frames.std() < 90
    assert not np.array_equal(frames[0], frames[1])
