"""KuaiRec 2.0, written as published in a few kilobytes and read by the real loader."""

from pathlib import Path

import numpy as np
import pytest

from bench.data.catalog import CATALOG
from bench.data.interactions import Interactions, untimed
from bench.data.protocols import split
from bench.data.sources.kuairec import glass_split, load_kuairec_big, load_kuairec_small
from bench.errors import BenchError, MissingDataError

MATRIX = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"
CAPTIONS = (
    "video_id,manual_cover_text,caption,topic_tag,first_level_category_id,first_level_category_name,"
    "second_level_category_id,second_level_category_name,third_level_category_id,third_level_category_name\n"
)


def view(user: int, video: int, timestamp: float | str, ratio: float | str) -> str:
    return f"{user},{video},13838,10867,2020-07-05 00:08:23.438,20200705.0,{timestamp},{ratio}\n"


# User 7 never watched a whole video, nobody watched the whole video 30, and user 0's third view repeats the second.
VIEWS = [
    view(14, 20, 1593878903.438, 1.273397),
    view(0, 30, 1593880000.1, 0.3),
    view(0, 10, 1593880002.9, 2.0),
    view(0, 10, 1593880002.9, 2.0),
    view(0, 20, 1593880002.1, 1.000001),
    view(0, 11, 1593880001.0, 1.0),
    view(0, 11, 1593879000.0, 5.5),
    view(14, 10, "", 3.0),
    view(7, 10, 1593880002.9, 0.99),
    view(14, 20, 1593878999.0, 1.5),
    view(14, 11, 1593878000.0, ""),
]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the files, where the archive puts them."""
    monkeypatch.setenv("GLASS_BENCH_DATA", str(tmp_path))
    folder = tmp_path / "kuairec" / "KuaiRec 2.0" / "data"
    folder.mkdir(parents=True)
    (folder / "big_matrix.csv").write_text(MATRIX + "".join(VIEWS))
    (folder / "item_categories.csv").write_text('video_id,feat\n10,[8]\n20,"[27, 9]"\n30,[]\n')
    (folder / "kuairec_caption_category.csv").write_text(
        CAPTIONS
        + '10,UNKNOWN,精神小伙路难走 程哥你狗粮慢点撒,"[五爱街,精神小伙]",8,颜值,673,颜值随拍,-124,UNKNOWN\n'
        + '20,封面,"a caption, with\na line break and ""quotes""",[],27,高新数码,-124,UNKNOWN,-124,UNKNOWN\n'
        + "11,UNKNOWN,an unquoted caption\nwith a line break,[],9,喜剧\n",
        encoding="utf-8",
    )
    return folder


def test_views_of_more_than_the_whole_video_are_events_in_the_order_of_time(published):
    dataset = load_kuairec_big()
    interactions = dataset.interactions
    assert dataset.user_ids.tolist() == ["0", "14"]
    assert dataset.item_ids[interactions.items].tolist() == ["11", "20", "10", "20", "20"]
    # A fraction of a second decides the order and is dropped afterwards.
    assert interactions.timestamps.tolist() == [1593879000, 1593880002, 1593880002, 1593878903, 1593878999]
    assert interactions.offsets.tolist() == [0, 3, 5]
    assert dataset.has_time
    assert dataset.seen_items == "keep"


def test_ties_in_time_keep_the_order_of_the_file(published):
    videos = np.random.default_rng(0).permutation(50)
    (published / "big_matrix.csv").write_text(MATRIX + "".join(view(1, video, 7.0, 2.0) for video in videos))
    dataset = load_kuairec_big()
    assert dataset.item_ids[dataset.interactions.items].tolist() == [str(video) for video in videos]


def test_the_catalogue_are_all_videos_of_the_matrix(published):
    dataset = load_kuairec_big()
    assert dataset.item_ids.tolist() == ["10", "11", "20", "30"]
    assert dataset.interactions.item_counts().tolist() == [1, 1, 3, 0]


def test_what_is_left_out_is_counted_in_words(published):
    assert load_kuairec_big().filters == (
        "watch ratio above 1: 7 of 11 views, of 2 users, are events",
        # The times of these toy rows are unlike one another; in the published files it is 8 h everywhere.
        "time is 'timestamp'; 'time' is not used; 'time' is +7.7 h from 'timestamp' (seconds, UTC): the local time of "
        "China is 8 h ahead",
        "1 events without a timestamp are left out",
        "1 events that repeat another one in everything are left out",
    )


def test_a_category_is_the_first_of_the_list(published):
    assert load_kuairec_big().item_table.category.tolist() == [8, -1, 27, -1]


def test_texts_survive_commas_quotes_and_line_breaks(published):
    table = load_kuairec_big().item_table
    assert table.columns.loc[0].tolist() == [
        "精神小伙路难走 程哥你狗粮慢点撒",
        "",
        "五爱街 精神小伙",
        "颜值",
        "颜值随拍",
        "",
    ]
    assert table.columns["caption"].tolist()[1:] == [
        "an unquoted caption",
        'a caption, with\na line break and "quotes"',
        "",
    ]
    assert table.columns["topic_tag"].tolist() == ["五爱街 精神小伙", "", "", ""]
    assert set(table.text_columns) == set(table.columns)


def test_the_small_matrix_is_another_data_set(published):
    (published / "small_matrix.csv").write_text(MATRIX + "".join(VIEWS))
    small, big = load_kuairec_small(), load_kuairec_big()
    assert small.name == "kuairec-small"
    assert small.content_hash != big.content_hash
    assert small.interactions.items.tolist() == big.interactions.items.tolist()


def test_the_split_of_glass_has_eight_training_targets_with_fifty_events_before_the_first():
    lengths = np.array([59, 60, 0, 100])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    items = np.arange(219, dtype=np.int32)
    shipped = glass_split(Interactions(items, untimed(219), offsets, 219))
    assert shipped.train_ends.tolist() == [59, 58, 0, 98]
    assert shipped.test_rows.tolist() == shipped.validation_rows.tolist() == [1, 3]
    assert shipped.test_targets.tolist() == [118, 218]
    assert shipped.test_ends.tolist() == [59, 99]
    assert shipped.validation_targets.tolist() == [117, 217]
    assert shipped.validation_ends.tolist() == [58, 98]
    assert shipped.train_rows.tolist() == [1] * 8 + [3] * 8
    assert shipped.train_positions.tolist() == [*range(50, 58), *range(90, 98)]


def test_every_protocol_divides_the_views(published):
    rng = np.random.default_rng(1)
    rows = [
        view(user, video, 1.6e9 + 1000 * place + user, 2.0)
        for user in range(5)
        for place, video in enumerate(rng.permutation(80)[:70])
    ]
    (published / "big_matrix.csv").write_text(MATRIX + "".join(rows))
    dataset = load_kuairec_big()
    for protocol in ("leave-one-out", "temporal", "shipped"):
        parts = split(dataset, protocol)
        assert len(parts.test) == 5
    assert parts.test.ends.tolist() == [69] * 5


def test_missing_files_say_what_to_download_and_where_to_put_it(published, tmp_path):
    (published / "item_categories.csv").unlink()
    with pytest.raises(MissingDataError, match=r"\(item_categories\.csv not found\)"):
        load_kuairec_big()
    with pytest.raises(MissingDataError, match=r"small_matrix\.csv") as raised:
        CATALOG["kuairec-small"].load()
    message = str(raised.value)
    assert "https://kuairec.com" in message
    assert str(tmp_path / "kuairec") in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("big_matrix.csv", "user_id,video_id\n1,2\n", "is no matrix of KuaiRec"),
        ("big_matrix.csv", "", "is no matrix of KuaiRec"),
        ("big_matrix.csv", MATRIX + view(1, 2, 3, "much"), "is no matrix of KuaiRec .*much"),
        ("big_matrix.csv", MATRIX + "1,,1,1,,,1,2\n", "row 2: video_id is empty"),
        ("big_matrix.csv", MATRIX + view(1, 2, 3, 0.5), "none of 1 rows has a watch ratio above 1"),
        ("item_categories.csv", "video_id\n1\n", "line 1: column 'feat' is missing"),
        ("kuairec_caption_category.csv", "", "line 1: column 'video_id' is missing"),
    ],
)
def test_malformed_files_are_one_clear_line(published, file, content, message):
    (published / file).write_text(content)
    with pytest.raises(BenchError, match=message) as raised:
        load_kuairec_big()
    assert file in str(raised.value)
    assert "\n" not in str(raised.value)
