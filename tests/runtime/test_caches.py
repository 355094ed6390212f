"""The bounded cache."""

from gradserve.runtime.caches import Lru


def test_the_least_recently_used_entry_goes_first():
    cache: Lru[str, int] = Lru(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)


def test_weights_count_and_the_newest_stays():
    cache: Lru[str, int] = Lru(10)
    cache.put("a", 1, weight=6)
    cache.put("b", 2, weight=6)
    assert len(cache) == 1
    cache.put("huge", 3, weight=100)
    assert "huge" in cache
    assert "b" not in cache


def test_replacing_gives_the_weight_back():
    cache: Lru[str, int] = Lru(10)
    for _ in range(5):
        cache.put("a", 1, weight=9)
    cache.put("b", 2, weight=1)
    assert len(cache) == 2
