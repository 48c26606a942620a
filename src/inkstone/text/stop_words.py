"""Function words of English and of Chinese (simplified and traditional), in lower case.

The lists are short on purpose: they leave in whatever carries the meaning of some text.
"""

from functools import cache

_ENGLISH = """
a about above after again against all also am an and any are aren't as at be because been before being below between
both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each either else ever
every few for from further had hadn't has hasn't have haven't having he he'd he'll he's her here here's hers herself
him himself his how how's however i i'd i'll i'm i've if in into is isn't it it'd it'll it's its itself just let's
many may me might more most much must mustn't my myself neither no nor not now of off on once one only or other others
ought our ours ourselves out over own same shall shan't she she'd she'll she's should shouldn't since so some such
than that that'll that's the their theirs them themselves then there there's these they they'd they'll they're they've
this those though through thus to too under until up upon us very was wasn't we we'd we'll we're we've were weren't
what what's when when's where where's whether which while who who's whom whose why why's will with within without
won't would wouldn't yet you you'd you'll you're you've your yours yourself yourselves
"""

_CHINESE = """
的 了 着 过 地 得 之 是 在 有 和 与 及 以及 或 或者 而 而且 并 并且 但 但是 不过 然而 可是 因为 因此 所以 由于
如果 要是 虽然 尽管 即使 只要 只有 除了 于是 然后 那么 这么 怎么 什么 为什么 怎样 这样 那样 我 你 您 他 她 它 我们
你们 他们 她们 它们 咱们 自己 大家 人家 这 那 这个 那个 这些 那些 这里 那里 这儿 那儿 哪 哪里 哪儿 哪个 谁 某 各 每
几 多少 一 一个 一些 一种 一样 一下 个 些 种 不 没 没有 无 未 别 不是 也 都 就 才 又 再 还 还是 只 只是 很 太
更 最 非常 已 已经 曾 曾经 正 正在 将 将要 会 能 能够 可 可以 要 应 应该 必须 把 被 给 让 叫 使 对 对于 关于 向
往 朝 从 自 自从 由 到 至 为 为了 以 用 按 按照 根据 跟 同 比 当 当时 上 下 里 中 内 外 前 后 之前 之后 以前
以后 时 时候 来 去 起来 出来 下来 啊 吗 呢 吧 呀 嘛 哦 啦 哪怕 等 等等 所 其 其他 其中 此 如此 如 如何 若 则 却
便 即 既 且 乃 于 者 也许 二 两 过去 那时 这时 嗯 唉 們 這 個 來 對 為 與 過 沒 沒有 還 還是 會 說 後 時 裡
嗎 這個 那個 這些 我們 你們 他們 她們 什麼 怎麼 這樣 那樣 因為 雖然 應該 從 讓 給 將 於 於是 並 並且 並不 已經 無
卻 則 當 時候
"""

STOP_WORDS: dict[str, frozenset[str]] = {"en": frozenset(_ENGLISH.split()), "zh": frozenset(_CHINESE.split())}


@cache
def stop_words(language: str | None) -> frozenset[str]:
    """The function words of a language: of English and Chinese, both together for None, and none for any other."""
    if language is None:
        return STOP_WORDS["en"] | STOP_WORDS["zh"]
    return STOP_WORDS.get(language, frozenset())


def is_stop_word(word: str, language: str | None = None) -> bool:
    """Whether a word, in any case and with either apostrophe, is a function word.

    >>> is_stop_word("Don’t", "en"), is_stop_word("ink", "en"), is_stop_word("的")
    (True, False, True)
    """
    return word.lower().replace("’", "'") in stop_words(language)
