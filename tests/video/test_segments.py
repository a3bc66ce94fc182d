"""Claims about segments on the disk."""

from __future__ import annotations

from pathlib import Path

from lowvision.video.segments import Packet, Segments

PACKETS = [Packet(80, 40, True, b"\n{key}\n"), Packet(40, 40, False, b""), Packet(120, 40, False, b"\0\n\xff")]


def test_packets_are_read_in_order(tmp_path: Path) -> None:
    segments = Segments(tmp_path / "a.mp4", {"crf": 17})
    segments.append(PACKETS[:2], {"frames": 2})
    segments.append(PACKETS[2:], {"frames": 1})
    again = Segments(tmp_path / "a.mp4", {"crf": 17})
    assert list(again.packets()) == PACKETS
    assert again.times().tolist() == [80, 40, 120]
    assert again.summaries == [{"frames": 2}, {"frames": 1}]


def test_segments_with_other_settings_are_deleted(tmp_path: Path) -> None:
    Segments(tmp_path / "a.mp4", {"crf": 17}).append(PACKETS, {"frames": 3})
    Segments(tmp_path / "b.mp4", {"crf": 17}).append(PACKETS, {"frames": 3})
    assert Segments(tmp_path / "a.mp4", {"crf": 18}).summaries == []
    assert Segments(tmp_path / "b.mp4", {"crf": 17}).summaries == [{"frames": 3}]
    assert len(list(tmp_path.iterdir())) == 1


def test_an_unfinished_segment_is_ignored(tmp_path: Path) -> None:
    segments = Segments(tmp_path / "a.mp4", {})
    segments.append(PACKETS, {"frames": 3})
    (tmp_path / ".a.mp4.segments" / ".000001.segment.1-2.part").write_bytes(b"half")
    assert list(Segments(tmp_path / "a.mp4", {}).packets()) == PACKETS
    segments.remove()
    assert list(tmp_path.iterdir()) == []
