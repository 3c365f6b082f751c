"""The bounded queue between decoding, detection and flow."""

from threading import Thread
from time import sleep

import pytest

from vidal.evidence.channel import Channel, ChannelCancelled


def test_items_come_out_in_the_order_they_went_in():
    channel: Channel[int] = Channel(2)
    writer = Thread(target=lambda: ([channel.put(i) for i in range(50)], channel.close()))
    writer.start()
    assert list(channel) == list(range(50))
    writer.join()


def test_writer_waits_while_the_channel_is_full():
    channel: Channel[int] = Channel(1)
    done: list[int] = []
    writer = Thread(target=lambda: [(channel.put(i), done.append(i)) for i in range(3)])
    writer.start()
    sleep(0.05)
    assert done == [0]
    stream = iter(channel)
    assert [next(stream), next(stream), next(stream)] == [0, 1, 2]
    writer.join()


def test_cancelling_frees_a_writer_that_waits():
    channel: Channel[int] = Channel(1)
    seen: list[BaseException] = []

    def write() -> None:
        try:
            for i in range(3):
                channel.put(i)
        except ChannelCancelled as error:
            seen.append(error)

    writer = Thread(target=write)
    writer.start()
    sleep(0.02)
    channel.cancel()
    writer.join(2)
    assert not writer.is_alive()
    assert len(seen) == 1
    assert list(channel) == []


def test_reading_after_close_gives_what_waits_and_ends():
    channel: Channel[str] = Channel(4)
    channel.put("a")
    channel.close()
    assert list(channel) == ["a"]


def test_putting_into_a_cancelled_channel_is_refused():
    channel: Channel[int] = Channel(4)
    channel.cancel()
    with pytest.raises(ChannelCancelled):
        channel.put(1)
