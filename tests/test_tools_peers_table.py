"""What a table of tools/peers/ may say, and what is said of one that says something else."""

from pathlib import Path
from typing import Any

import pytest
from toy_peer import CLAIM, table, toy

from refimpl.errors import UsageError


def test_every_table_of_this_repository_is_valid() -> None:
    assert "torch" in table.read_peers()


def test_a_table_becomes_a_peer(tmp_path: Path) -> None:
    waiver = {"route": "lazy", "case": "torch.SparseAdam/eps/*", "reason": "known", "link": "https://example.org/1"}
    peer = toy(tmp_path, claims=[CLAIM], waivers=[waiver], absent=[{"what": "toy.Fast", "why": "needs a GPU"}])
    assert (peer.id, peer.routes["lazy"].dialects, peer.timeout) == ("toy", ("torch.SparseAdam",), 180)
    assert peer.claims == (table.Claim(CLAIM["says"], CLAIM["where"], CLAIM["but"], **CLAIM["evidence"], link=CLAIM["link"]),)
    assert str(peer.waivers["lazy"][0]) == "known (https://example.org/1)"
    assert peer.absent == (table.Absent("toy.Fast", "needs a GPU"),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "'name'"),
        ({"speed": 1}, "'speed'"),
        ({"python": [3.10]}, r"python\[0\]: 3\.1 "),
        ({"install": ["numpy"]}, r"install\[0\]: 'numpy' "),
        ({"backend": "torch.py"}, "backend: 'torch.py' "),
        ({"backend": "nothing_backend:factory"}, "backend: there is no 'nothing_backend:factory'"),
        ({"routes": {"lazy": {"about": "x", "dialects": ["torch.Adam"], "options": {"lazy": True}}}}, r"options.lazy: True "),
        ({"routes": {}}, "routes: {} "),
        ({"routes": {"lazy": {"about": "x", "dialects": ["no.Adam"]}}}, "routes: no dialect 'no.Adam'"),
        ({"readings": [{"cause": "x", "routes": ["quick"], "where": "f", "code": "g"}]}, r"readings\[0\].routes: there is no 'quick'"),
        ({"claims": [{**CLAIM, "evidence": {**CLAIM["evidence"], "route": "quick"}}]}, r"claims\[0\].evidence.route: there is no 'quick'"),
        (
            {"claims": [{**CLAIM, "evidence": {**CLAIM["evidence"], "case": "torch.Adam/eps/one"}}]},
            "evidence.case: there is no 'torch.Adam'",
        ),
        ({"claims": [{**CLAIM, "evidence": {**CLAIM["evidence"], "status": "bad"}}]}, "evidence.status: 'bad' "),
        ({"claims": [{key: value for key, value in CLAIM.items() if key != "evidence"}]}, r"claims\[0\]: 'evidence'"),
        ({"waivers": [{"route": "lazy", "case": "torch.SparseAdam/*", "reason": "so"}]}, r"waivers\[0\]: 'link'"),
        ({"waivers": [{"route": "lazy", "case": "torch.SparseAdam/*", "reason": " ", "link": "https://a.b"}]}, r"waivers\[0\].reason: ' '"),
        ({"waivers": [{"route": "lazy", "case": "*", "reason": "so", "link": "https://a.b"}]}, r"waivers\[0\].case: there is no '\*'"),
    ],
)
def test_what_is_wrong_in_a_table_is_named_with_its_file_and_key(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=rf"toy\.yaml: .*{message}"):
        toy(tmp_path, **changes)


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text("name: [")
    with pytest.raises(UsageError, match=r"toy\.yaml: cannot be read"):
        table.read_peers(tmp_path)


def test_a_peer_that_there_is_not_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    toy(tmp_path)
    with pytest.raises(UsageError, match="no peer 'other'") as caught:
        table.find_peer("other", tmp_path)
    assert "choose from toy" in caught.value.hint
