"""Every data set from the files that torchvision reads, made here, to the report."""

import json
import pickle
import struct

import numpy as np
import pytest
import scipy.io
import torchvision
from PIL import Image

from chromatic_descent import probe_logits
from chromatic_descent.study import Study

TRAIN, TEST = 500, 200  # what debug=quick wants
FEW = ("distances=[hellinger]", "maps=[hellinger]", "combiners=[mean_logit]", "figures=[]")
FEW += ("bootstrap=5", "splits=3", "draws=9", "permutations=19", "tsne=0", "subsets=3")


def made(images, classes, size, channels=3):
    """Images with a class that can be seen: its brightness; every class occurs."""
    rng = np.random.default_rng(images)
    labels = rng.permutation(np.arange(images) % classes)
    base = (20 + 200 * labels / classes).astype(int)
    noise = rng.integers(0, 30, (images, size, size, channels))
    return (base[:, None, None, None] + noise).astype(np.uint8), labels


def write_cifar100(root):
    folder = root / "cifar-100-python"
    folder.mkdir()
    for part, count in (("train", TRAIN), ("test", TEST)):
        images, labels = made(count, 100, 32)
        rows = images.transpose(0, 3, 1, 2).reshape(count, -1)
        entry = {"data": rows, "fine_labels": labels.tolist(), "coarse_labels": [0] * count}
        (folder / part).write_bytes(pickle.dumps(entry))
    names = {"fine_label_names": [f"kind {c}" for c in range(100)], "coarse_label_names": []}
    (folder / "meta").write_bytes(pickle.dumps(names))


def write_cifar10(root):
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    images, labels = made(TRAIN, 10, 32)
    rows = images.transpose(0, 3, 1, 2).reshape(TRAIN, -1)
    parts = [(f"data_batch_{k + 1}", slice(100 * k, 100 * k + 100)) for k in range(5)]
    for name, part in parts:
        entry = {"data": rows[part], "labels": labels[part].tolist()}
        (folder / name).write_bytes(pickle.dumps(entry))
    images, labels = made(TEST, 10, 32)
    entry = {"data": images.transpose(0, 3, 1, 2).reshape(TEST, -1), "labels": labels.tolist()}
    (folder / "test_batch").write_bytes(pickle.dumps(entry))
    names = {"label_names": [f"kind {c}" for c in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names))


def write_svhn(root):
    for part, count in (("train", TRAIN), ("test", TEST)):
        images, labels = made(count, 10, 32)
        labels = np.where(labels == 0, 10, labels)[:, None]  # as SVHN numbers the digit 0
        content = {"X": images.transpose(1, 2, 3, 0), "y": labels}
        scipy.io.savemat(root / f"{part}_32x32.mat", content)


def write_mnist(root, name="MNIST"):
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        images, labels = made(count, 10, 28, 1)
        head = struct.pack(">BBBBIII", 0, 0, 8, 3, count, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = struct.pack(">BBBBI", 0, 0, 8, 1, count)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.astype(np.uint8).tobytes())


def write_fashion_mnist(root):
    write_mnist(root, "FashionMNIST")


def write_folder(root):
    for part, count in (("train", TRAIN), ("test", TEST)):
        images, labels = made(count, 3, 20)
        for k, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = root / part / f"kind {label}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{k}.png")


WRITERS = {
    "cifar10": (write_cifar10, 10, (32, 32, 3)),
    "cifar100": (write_cifar100, 100, (32, 32, 3)),
    "svhn": (write_svhn, 10, (32, 32, 3)),
    "mnist": (write_mnist, 10, (28, 28, 1)),
    "fashion_mnist": (write_fashion_mnist, 10, (28, 28, 1)),
    "folder": (write_folder, 3, (32, 32, 3)),
}


@pytest.fixture
def any_file_will_do(monkeypatch):
    """torchvision knows its files by their MD5, which those made here cannot have."""
    for module in (torchvision.datasets.cifar, torchvision.datasets.svhn):
        monkeypatch.setattr(module, "check_integrity", lambda path, md5=None: True)


@pytest.mark.parametrize(
    "name",
    [
        *("cifar100", "fashion_mnist", "folder"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("cifar10", "svhn", "mnist")),
    ],
)
def test_from_its_files_to_the_report(name, command_line, tmp_path, any_file_will_do):
    write, classes, _ = WRITERS[name]
    root = tmp_path / "files"
    root.mkdir()
    write(root)
    where = f"paths.data={root}"
    code, printed = command_line(
        *("train", "-m", "seed=0,1", "study=s", f"data={name}", where, "debug=quick"),
        *("model.widths=[8,16]", "threads=1"),
    )
    assert code == 0, printed
    study = Study(tmp_path / "multirun" / "s")
    for member in study.members():
        loaded = probe_logits.load(member.artefact)
        assert loaded.logits.shape == (TEST, classes)
        assert set(loaded.labels.tolist()) == set(range(classes))
        assert len(loaded.record["dataset"]["classes"]) == classes
    code, printed = command_line("analyze", "study=s", where, *FEW)
    assert code == 0, printed
    numbers = json.loads((study.reports / "analysis.json").read_text())
    assert len(numbers["members"]["table"]) == 2
    page = (study.reports / "report.html").read_text()
    shown = page.count("data:image/png;base64,")
    if name == "folder":  # its name does not tell where it is
        assert "not a data set that can be loaded by its name" in page
    else:
        assert shown > 0


@pytest.mark.parametrize("name", ["svhn", "folder"])
def test_what_is_missing_says_how_to_get_it(name, command_line, tmp_path):
    code, printed = command_line("train", f"data={name}", "study=s", f"paths.data={tmp_path}/none")
    assert code == 1
    assert f"{tmp_path}/none" in printed
    wanted = "train/CLASS/*.png" if name == "folder" else "data.source.download=true"
    assert wanted in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("name", WRITERS)
def test_the_networks_see_images_of_the_right_shape(name, tmp_path, any_file_will_do):
    from chromatic_descent.data import sources

    write, _, shape = WRITERS[name]
    write(tmp_path)
    names = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "svhn": "SVHN", "mnist": "MNIST"}
    names["fashion_mnist"] = "FashionMNIST"
    images = (
        sources.folder(str(tmp_path), 32)
        if name == "folder"
        else sources.torchvision_images(names[name], str(tmp_path))
    )
    assert images.train_images.shape == (TRAIN, *shape)
    assert images.test_images.shape == (TEST, *shape)
    by_class = [images.test_images[images.test_labels == c].float().mean() for c in range(3)]
    assert by_class == sorted(by_class)  # pixels and labels belong together
