"""The text of every error that a spec can cause."""

from pathlib import Path

import pytest

from lingqu.errors import SpecError
from lingqu.spec import load_spec

TASKS = {"text-classification": ["text", "label"], "tabular-regression": ["target"]}
METRICS = ["accuracy", "f1", "roc_auc"]
MODELS = ["cnn", "mlp", "ngram-linear"]
HEAD = "name: a\ntask: text-classification\ndata:\n  source: sklearn:iris\n"

MESSAGES = {
    "bugdet: 5 min": "5: Expected a setting of the spec, found 'bugdet'. Did you mean 'budget'?",
    "frobnicate: 1": "5: Expected a setting of the spec, found 'frobnicate'. Known: budget, compress, data, gates, "
    "improve, model, monitor, name, report, serve, size, task, track, train, tune.",
    "budget: 10": "5: Expected a length of time such as '10 min' or '2 h' for budget, found 10. Correct it; left out, it is 10 min.",
    "budget: 10 parsecs": "5: Expected a length of time such as '10 min' or '2 h' for budget, found '10 parsecs'. Correct it; left out, it is 10 min.",
    "size: huge": "5: Expected tiny, small, medium or large for size, found 'huge'. Correct it; left out, it is small.",
    "size: smal": "5: Expected tiny, small, medium or large for size, found 'smal'. Did you mean 'small'?",
    "model: cnnn": "5: Expected a model family that lingqu knows, found 'cnnn'. Did you mean 'cnn'?",
    "model: [cnn, ml]": "5: Expected a model family that lingqu knows, found 'ml'. Did you mean 'mlp'?",
    "model: []": "5: Expected the name of a model family or a list of them for model, found an empty list. Correct it; left out, it is auto.",
    "model: [3]": "5: Expected the name of a model family for model.0, found 3. Put it in quotes.",
    "train: fast": "5: Expected a group of method, epochs, batch_size, learning_rate, weight_decay, patience, "
    "optimiser, schedule, accumulate, label_smoothing, ema, augment, clip, class_weights, precision, seed and threads for train, found 'fast'. Correct it.",
    "train: {epochs: 0}": "5: Expected a whole number from 1 to 10,000 or nothing for train.epochs, found 0. Correct it, or leave it out.",
    "train: {epochs: true}": "5: Expected a whole number from 1 to 10,000 or nothing for train.epochs, found true. Correct it, or leave it out.",
    'train: {epochs: "3"}': "5: Expected a whole number from 1 to 10,000 or nothing for train.epochs, found '3'. Correct it, or leave it out.",
    "train: {lr: .nan}": "5: Expected a number above 0 and at most 10 or nothing for train.learning_rate, found nan. Correct it, or leave it out.",
    "train: {clip: ~}": "5: Expected a number above 0 for train.clip, found nothing. Correct it; left out, it is 1.0.",
    "train: {method: qlora}": "5: Expected auto, scratch, pretrain, head, lora or full for train.method, "
    "found 'qlora'. Did you mean 'lora'?",
    "train: {device: cuda}": "5: Expected a setting of train, found 'device'. "
    "lingqu has no setting for it; remove the line.",
    "train: {optimizer: adam}": "5: Expected adamw, sgd, muon or nothing for train.optimiser, found 'adam'. "
    "Did you mean 'adamw'?",
    "train: {augment: [flip, rotate]}": "5: Expected flip, shift, crop, colour, cutout, mixup, drop or swap "
    "for train.augment.1, found 'rotate'. Correct it.",
    "train: {augment: automatic}": "5: Expected auto, none or a list such as [shift, flip] for train.augment, found 'automatic'. "
    "Did you mean 'auto'?",
    "train: {fp16: true}": "5: Expected a setting of train, found 'fp16'. "
    "lingqu calls it train.precision: float32 or bfloat16.",
    "train: {lr: 1e-3, learning_rate: 1e-3}": "5: Expected one of them, "
    "found both 'lr' and 'learning_rate', which mean the same. Keep one.",
    "num_train_epochs: 3": "5: Expected a setting of the spec, found 'num_train_epochs'. lingqu calls it train.epochs.",
    "target: queue": "5: Expected a setting of the spec, found 'target'. "
    "lingqu calls it data.columns.label, or data.columns.target for a number.",
    "gates: {f2: '>= 0.5'}": "5: Expected a metric or a setting of gates, found 'f2'. "
    "Known: accuracy, alpha, f1, latency_p95, margin, roc_auc, size, slices.",
    "gates: {acuracy: '>= 0.5'}": "5: Expected a metric or a setting of gates, found 'acuracy'. "
    "Did you mean 'accuracy'?",
    "size： tiny": "5: Expected ':' as on an English keyboard, found '：'. Type it in half width, with a space behind it.",
    "数据: {source: a}": "5: Expected a setting of the spec, found '数据'. lingqu calls it data.",
    "gates: {f1: 0.85}": "5: Expected a limit such as '>= 0.85' for gates.f1, found 0.85. Correct it.",
    "gates: {f1: '> 0.85'}": "5: Expected a limit such as '>= 0.85' for gates.f1, found '> 0.85'. Correct it.",
    "gates: {latency_p95: '>= 20 ms'}": "5: Expected a limit such as '<= 20 ms' or nothing for gates.latency_p95, "
    "found '>= 20 ms'. Correct it, or leave it out.",
    "gates: {size: '<= 20 ms'}": "5: Expected a limit such as '<= 50 MB' or nothing for gates.size, found '<= 20 ms'. Correct it, or leave it out.",
    "gates: {slices: {language: {f3: '>= 0.8'}}}": "5: Expected a metric that lingqu knows, found 'f3'. "
    "Known: accuracy, f1, roc_auc.",
    "gates: {slices: {language: '>= 0.8'}}": "5: Expected {NAME: a limit such as '>= 0.85'} "
    "for gates.slices.language, found '>= 0.8'. Correct it.",
    "  identity: id": "5: Expected a list of names of columns for data.identity, found 'id'. Correct it, or leave it out.",
    "serve: {hosts: example.org}": "5: Expected a list of names such as [models.example.org] for serve.hosts, found 'example.org'. Correct it, or leave it out.",
    "monitor: {webhook_hosts: example.org}": "5: Expected a list of names such as [alerts.example.org] for monitor.webhook_hosts, found 'example.org'. Correct it, or leave it out.",
    "improve: {canary_shares: 0.1}": "5: Expected a list of shares above 0 and below 1 for improve.canary_shares, found 0.1. Correct it, or leave it out.",
    "improve: {canary_shares: []}": "5: Expected a list of shares above 0 and below 1 for improve.canary_shares, found an empty list. Correct it, or leave it out.",
    "serve: {port: 99999}": "5: Expected a whole number from 0 to 65,535 for serve.port, found 99999. Correct it; left out, it is 8000.",
    "improve: {after: soon}": "5: Expected a count such as '200 new labels' for improve.after, found 'soon'. Correct it; left out, it is 200 new labels.",
    "improve: {at_most: daily}": "5: Expected a rate such as '1 per day' for improve.at_most, found 'daily'. Correct it; left out, it is 1 per day.",
    "  columns: [text]": "5: Expected {NAME: the name of a column} for data.columns, found a list. Correct it, or leave it out.",
    "  columns: {txt: body}": "5: Expected a column that text-classification has, found 'txt'. Did you mean 'text'?",
    "  columns: {text: 3}": "5: Expected the name of a column for data.columns.text, found 3. Put it in quotes.",
    "  types: {age: numbr}": "5: Expected number, category, text, image, time, id or ignore for data.types.age, "
    "found 'numbr'. Did you mean 'number'?",
    "  encoding: klingon": "5: Expected auto, utf-8, utf-8-sig, gb18030, big5, utf-16, utf-16-le, utf-16-be, latin-1 "
    "or cp1252 for data.encoding, found 'klingon'. Correct it; left out, it is auto.",
    "  delimiter: ab": "5: Expected auto or one character such as ; or tab for data.delimiter, found 'ab'. Correct it; left out, it is auto.",
    "  split: {validation: 0.5, test: 0.5}": "5: Expected shares that leave at least a tenth to train on "
    "for data.split, found 0.5 + 0.5. Make one of them smaller.",
    "  split: {train: 0.5}": "5: Expected a setting of data.split, found 'train'. "
    "Training gets the rows that validation and test leave for it.",
    "  near_duplicates: maybe": "5: Expected true or false for data.near_duplicates, found 'maybe'. Correct it; left out, it is true.",
    "  max_bad: 2": "5: Expected a number from 0 to 1 for data.max_bad, found 2. Correct it; left out, it is 0.01.",
    "  shuffle: true": "5: Expected a setting of data, found 'shuffle'. "
    "Rows are put into splits by a hash of their content, so their order does not matter; remove the line.",
    "budget: &b 5 min": "5: Expected the value itself, found the anchor &b. A spec has no anchors; write it out.",
    "budget: *b": "5: Expected the value itself, found the alias *b. A spec has no anchors; write it out.",
    "budget: !!str 5": "5: Expected a plain value, found the tag 'tag:yaml.org,2002:str'. "
    "A spec names no types; remove the tag.",
    "? [a]\n: 1": "5: Expected a name before the colon, found something else. Write NAME: VALUE.",
    "size: tiny\nsize: tiny": "6: Expected each name once, found 'size' again (first on line 5). Keep one of them.",
    "train: {epochs: 3": "6: Expected YAML, found while parsing a flow mapping, expected ',' or '}', but got "
    "'<stream end>'. Check indentation, colons, quotes and brackets here.",
    "train:\n\tepochs: 3": "6: Expected spaces, found a tab. Put spaces in its place: YAML takes no tabs there.",
    "size: \x07": "5: Expected text without control characters, found the character U+0007. Remove it.",
    "---\nname: b": "5: Expected one YAML document, found a second one. Remove the line --- and what follows.",
    "size: " + "[" * 30: "5: Expected at most 20 levels, found more. A spec needs four.",
}


def problem(text: str, folder: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(text, tasks=TASKS, metrics=METRICS, models=MODELS, folder=folder)
    return str(caught.value)


@pytest.mark.parametrize("line", MESSAGES, ids=lambda line: line[:40])
def test_one_line_too_many(line, tmp_path):
    assert problem(HEAD + line + "\n", tmp_path) == "spec:" + MESSAGES[line]


def test_unknown_task(tmp_path):
    text = HEAD.replace("text-classification", "text-clasification")
    assert problem(text, tmp_path) == (
        "spec:2: Expected a task that lingqu knows, found 'text-clasification'. Did you mean 'text-classification'?"
    )


def test_a_task_in_chinese(tmp_path):
    text = HEAD.replace("text-classification", "文本分类")
    assert problem(text, tmp_path) == (
        "spec:2: Expected a task that lingqu knows, found '文本分类'. lingqu calls it text-classification."
    )


def test_a_path_that_is_nearly_right(tmp_path):
    (tmp_path / "tickets.csv").write_text("")
    text = HEAD.replace("sklearn:iris", "ticket.csv")
    assert problem(text, tmp_path) == (
        "spec:4: Expected a file or folder for data.source, found nothing at 'ticket.csv'. Did you mean 'tickets.csv'?"
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("a.csv", "found nothing at 'a.csv'. It is looked for in {folder}."),
        ("~/a.csv", "found nothing at '~/a.csv'. Nothing is replaced in a spec: write the path itself."),
        ("${HOME}/a.csv", "found nothing at '${HOME}/a.csv'. Nothing is replaced in a spec: write the path itself."),
    ],
)
def test_a_path_that_is_not_there(source, said, tmp_path):
    (tmp_path / "a.csv").symlink_to("gone.csv")
    text = HEAD.replace("sklearn:iris", source)
    expected = "spec:4: Expected a file or folder for data.source, " + said.replace("{folder}", str(tmp_path))
    assert problem(text, tmp_path) == expected


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "https://example.org/a.csv",
            (
                "a file, a folder or an address for data.source, found the address 'https://example.org/a.csv'. "
                "Known: sklearn:, hf://, sqlite:///, postgresql://. Or save the rows to a file."
            ),
        ),
        (
            "https://anna:secret@example.org/a.csv",
            (
                "a file, a folder or an address for data.source, found the address 'https://…'. "
                "Known: sklearn:, hf://, sqlite:///, postgresql://. Or save the rows to a file."
            ),
        ),
        (
            "jdbc:h2:mem:x",
            (
                "a file, a folder or an address for data.source, found the address 'jdbc:h2:mem:x'. "
                "Known: sklearn:, hf://, sqlite:///, postgresql://. Or save the rows to a file."
            ),
        ),
        (
            "hf://name",
            (
                "hf://owner/name[/config][@revision]#split for data.source, found 'hf://name'. "
                "A folder on disk is written hf://./folder#split."
            ),
        ),
        (
            "postgresql://anna:secret@host/shop?table=t",
            "an address without a password for data.source, found one. Set PGPASSWORD, or write it to ~/.pgpass.",
        ),
        (
            "postgresql://anna@host/shop?password=secret&table=t",
            "an address without a password for data.source, found one. Set PGPASSWORD, or write it to ~/.pgpass.",
        ),
        (
            "postgresql://anna@host/shop?table=t&passfile=/etc/x",
            (
                "an option that an address may have for data.source, found 'passfile'. "
                "Known: host, port, sslmode, sslrootcert."
            ),
        ),
        (
            "postgresql://anna@host/shop",
            (
                "a table or a query in the address of a database for data.source, found neither. "
                "Write ?table=NAME, or last of all ?query=SELECT …."
            ),
        ),
        (
            "postgresql://anna@host?table=t",
            (
                "postgresql://USER@HOST/DATABASE?table=NAME for data.source, found 'postgresql://…'. "
                "Write ?table=NAME, or last of all ?query=SELECT …."
            ),
        ),
        (
            "postgresql://anna@host:port/shop?table=t",
            (
                "postgresql://USER@HOST/DATABASE?table=NAME for data.source, found a wrong one "
                "(Port could not be cast to integer value as 'port')."
            ),
        ),
        (
            "sqlite://shop.db?table=t",
            (
                "sqlite:///FILE?table=NAME for data.source, found 'sqlite://shop.db'. "
                "Write ?table=NAME, or last of all ?query=SELECT …."
            ),
        ),
        (
            "sqlite:///shop.db?query=DELETE FROM t",
            (
                "one query that begins with SELECT or WITH for data.source, found DELETE. "
                "Only reading is done; make a view of anything more."
            ),
        ),
        (
            "sqlite:///shop.db?query=SELECT 1; DROP TABLE t",
            (
                "one query that begins with SELECT or WITH for data.source, found a semicolon. "
                "Only reading is done; make a view of anything more."
            ),
        ),
    ],
)
def test_addresses_that_are_refused(source, said, tmp_path):
    assert problem(HEAD.replace("sklearn:iris", f'"{source}"'), tmp_path) == f"spec:4: Expected {said}"


def test_addresses_that_are_taken(tmp_path):
    for source in ("hf://owner/name", "hf://./rows#train", "sqlite:///a.db?table=t", "postgresql:///shop?table=a.b"):
        assert load_spec(HEAD.replace("sklearn:iris", f'"{source}"'), folder=tmp_path).data.source == source


def test_a_folder_of_images_that_is_not_there(tmp_path):
    assert problem(HEAD + "  root: pictures\n", tmp_path) == (
        f"spec:5: Expected a folder for data.root, found nothing at 'pictures'. It is looked for in {tmp_path}."
    )


def test_a_split_with_a_wrong_name(tmp_path):
    (tmp_path / "a.csv").write_text("")
    text = HEAD.replace("sklearn:iris", "{train: a.csv, tset: a.csv}")
    assert problem(text, tmp_path) == "spec:4: Expected a setting of data.source, found 'tset'. Did you mean 'test'?"


@pytest.mark.parametrize(("text", "found"), [("- a\n- b\n", "a list"), ("just words\n", "'just words'")])
def test_no_settings_at_all(text, found, tmp_path):
    advice = "Write NAME: VALUE, a line each; lingqu new NAME --task TASK --data FILE makes one."
    assert problem(text, tmp_path) == f"spec:1: Expected a spec, which is names with settings, found {found}. {advice}"


def test_an_empty_spec_says_what_is_needed(tmp_path):
    assert problem("\n", tmp_path) == (
        "1. spec:1: Expected the setting name, found nothing. "
        "Add it: the model's name; versions are counted under it.\n"
        "2. spec:1: Expected the setting task, found nothing. Add it: what to learn; `lingqu tasks` lists them.\n"
        "3. spec:1: Expected the setting data, found nothing. Add it: where the rows are and how to read them."
    )


def test_a_huge_spec(tmp_path):
    assert problem("a: " + "x" * 300_000 + "\n", tmp_path) == (
        "spec:1: Expected a spec of at most 262,144 characters, found 300,004. "
        "Is it your data? Then: lingqu new NAME --task TASK --data FILE"
    )


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gbk.yaml").write_bytes("name: a\n# 路由\n".encode("gbk"))
    expected = {
        "absent.yaml": "Expected a spec, found no file 'absent.yaml'. "
        "Make one: lingqu new NAME --task TASK --data FILE",
        ".": "Expected a spec, found the folder '.'. Name the YAML file in it.",
        "x" * 300: f"Expected a spec that can be read, found {'x' * 300!r}: File name too long. "
        "Check the path, and who may read it.",
        "gbk.yaml": "gbk.yaml:2: Expected text in UTF-8, found the byte 0xD3. Save the file as UTF-8.",
    }
    for name, text in expected.items():
        with pytest.raises(SpecError) as caught:
            load_spec(name)
        assert str(caught.value) == text


def test_a_byte_order_mark_is_no_problem(tmp_path):
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
    assert load_spec(tmp_path / "bom.yaml").name == "a"
