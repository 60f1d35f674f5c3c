"""The reader of the pages notices what a human reader would: a block that does not do what the page says."""

import pytest

from tests.docs.page import Reader, blocks, rounded, slow

WRONG = {
    "```python\n1 / 0\n```": "ZeroDivisionError: division by zero",
    "```python\n>>> 1 + 1\n3\n```": "Expected:\n    3\nGot:\n    2",
    "```console\n$ lingqu chek\n```": "status 2: Expected a command of lingqu, found 'chek'. Did you mean 'check'?",
    "```console\n$ lingqu --version\nlingqu 9.9.9\n```": "`lingqu --version` printed\nlingqu 0.1.0",
    "```console\n$ lingqu --version\n$ echo $?\n1\n```": "status 0, but the page says 1",
    "```sh\nmake dinner\n```": "no target dinner",
    "```sh\nsudo make test\n```": "the command sudo",
    "```sh\npip install 'lingqu[trian]'\n```": "no extra trian",
    "```sh\ncat nothing.csv\n```": "status 1: cat: nothing.csv: No such file",
    "```yaml\nname: a\ntask: text-clasification\ndata: {source: 'sklearn:iris'}\n```": "Did you mean 'text-classification'",
    "```yaml\nsize: huge\n```": "a part of a spec, and no whole one before it",
    "```json\n{\n```": "JSONDecodeError",
    "```toml\na = \n```": "TOMLDecodeError",
    "```rust\nfn main() {}\n```": "which nobody can run",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=range(len(WRONG)))
def test_a_wrong_block_is_told_with_its_line(text: str, message: str, reader: Reader) -> None:
    with pytest.raises(AssertionError) as caught:
        reader.follow("page.md", f"# A page\n\n{text}\n")
    assert str(caught.value).startswith("page.md:3: ")
    assert message in str(caught.value)


RIGHT = """
```python title="one.py"
print("never run here")
```

```python
one = 1
```

```python
>>> one + 1
2
```

!!! note

    ```console
    $ cat one.py
    print(...)
    $ lingqu chek
    Expected a command of lingqu, found 'chek'. ...
    $ echo $?
    2
    ```

```yaml
name: a
task: tabular-classification
data: {source: "sklearn:iris", columns: {label: label}}
```

```yaml
data: {split: {test: 0.3}}
```

```text
anything
```
"""


def test_a_page_is_followed_in_order(reader: Reader) -> None:
    assert reader.follow("page.md", RIGHT) == 7


def test_a_part_is_checked_inside_the_whole(reader: Reader) -> None:
    with pytest.raises(AssertionError, match=r"page.md:32: SpecError: .*data\.split, found .tset."):
        reader.follow("page.md", RIGHT.replace("test: 0.3", "tset: 0.3"))


def test_numbers_with_a_point_may_differ_and_others_may_not() -> None:
    assert (
        rounded("f1 0.9449 on 19 rows, 12.3 s") == rounded("f1 0.81 on 19 rows, 7.7 s") != rounded("f1 0.81 on 20 rows")
    )


def test_what_trains_is_slow() -> None:
    assert slow("```console\n$ lingqu run\n```\n")
    assert not slow("```text\n$ lingqu run\n```\n")
    assert [block.line for block in blocks(RIGHT)][:2] == [2, 6]
