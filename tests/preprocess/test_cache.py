import threading

from xdyna.preprocess.cache import RecentlyUsed, file_hash


def test_the_values_used_last_are_kept():
    cache = RecentlyUsed(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_everything_can_be_forgotten():
    cache = RecentlyUsed(2)
    cache.put("a", 1)
    cache.clear()
    assert cache.get("a") is None


def test_many_threads_may_use_it():
    cache = RecentlyUsed(8)

    def work(start):
        for k in range(2000):
            cache.put((start + k) % 20, k)
            cache.get(k % 20)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(cache.get(key) is not None for key in range(20)) == 8


def test_a_file_is_known_by_its_bytes_not_its_name(tmp_path):
    one, same, other = tmp_path / "one.mp4", tmp_path / "two.mp4", tmp_path / "three.mp4"
    one.write_bytes(b"x" * 3_000_000)
    same.write_bytes(b"x" * 3_000_000)
    other.write_bytes(b"x" * 2_999_999 + b"y")
    assert file_hash(one) == file_hash(same) != file_hash(other)
