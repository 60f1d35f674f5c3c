"""A team's own family lies outside lingqu: when its source changes, its stages are done again."""

from lingqu.models.hub import identity


def test_an_edited_family_is_another_family(tmp_path, monkeypatch):
    (tmp_path / "their_family.py").write_text("FAMILY = 1\n")
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lingqu.models]\ntheirs = their_family:FAMILY\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = identity("theirs")
    assert before.keys() == {"family code"}
    (tmp_path / "their_family.py").write_text("FAMILY = 2\n")
    assert identity("theirs") != before
    assert identity("bilstm") == {}
